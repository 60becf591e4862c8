#include "distributed/checkpoint/tensor_file_writer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace sbm::distributed::checkpoint {

std::map<std::string, std::string> tensor_file_metadata(std::int64_t step) {
  return {{"format", "pt"}, {"producer", "sbm"}, {"step", std::to_string(step)}};
}

TensorFileWriter::TensorFileWriter(const Directory& folder, std::string name,
                                   std::vector<TensorToWrite> tensors,
                                   const std::map<std::string, std::string>& metadata, mode_t mode)
    : name_(std::move(name)), file_(folder.create_file(name_, mode)) {
  const std::string header = make_safetensors_header(tensors, metadata);
  const auto bytes = std::as_bytes(std::span(header));
  file_.write(bytes);
  file_hasher_.update(bytes);
  record_.header_bytes = header.size();
  record_.header_hash = content_hash(bytes);
  position_ = header.size();
  block_begin_ = position_;
  std::uint64_t offset = position_;
  for (TensorToWrite& tensor : tensors) {
    TensorRecord record;
    record.file = name_;
    record.type = tensor.type;
    record.begin = offset;
    std::uint64_t size = data_type_bits(tensor.type) / 8;
    for (const std::uint64_t extent : tensor.shape) size *= extent;  // the header checked it
    offset += size;
    record.end = offset;
    record.shape = std::move(tensor.shape);
    order_.push_back(&records_.emplace(std::move(tensor.name), std::move(record)).first->second);
  }
  close_finished();
}

void TensorFileWriter::close_finished() {
  while (current_ < order_.size()) {
    TensorRecord& tensor = *order_[current_];
    const bool tensor_done = position_ == tensor.end;
    if (position_ > block_begin_ && (tensor_done || position_ - block_begin_ == kBlockBytes)) {
      tensor.blocks.push_back(block_hasher_.digest());
      block_hasher_.reset();
      block_begin_ = position_;
    }
    if (!tensor_done) return;
    ++current_;
  }
}

void TensorFileWriter::append(std::span<const std::byte> bytes) {
  file_.write(bytes);
  file_hasher_.update(bytes);
  while (!bytes.empty()) {
    if (current_ == order_.size()) throw InternalError("checkpoint: more bytes than tensors");
    const std::uint64_t room =
        std::min(order_[current_]->end, block_begin_ + kBlockBytes) - position_;
    const auto part = bytes.first(std::min<std::uint64_t>(room, bytes.size()));
    block_hasher_.update(part);
    position_ += part.size();
    bytes = bytes.subspan(part.size());
    close_finished();
  }
}

void TensorFileWriter::finish() {
  if (current_ != order_.size()) throw InternalError("checkpoint: fewer bytes than tensors");
  record_.bytes = position_;
  record_.hash = file_hasher_.digest();
  file_.sync();
  file_.close();
}

}  // namespace sbm::distributed::checkpoint
