#include "data/file_digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/error.h"
#include "data/mapped_file.h"

namespace sbm::data {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{8} << 20;

class Digest {
 public:
  Digest(const char* name, const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    // A system may forbid MD5 altogether.
    if (!context_ || EVP_DigestInit_ex(context_.get(), kind, nullptr) != 1) {
      throw DataError(std::string("this system's OpenSSL refuses to compute ") + name);
    }
  }

  void update(std::span<const std::uint8_t> bytes) {
    if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) {
      throw InternalError("OpenSSL refused bytes");
    }
  }

  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int length = 0;
    if (EVP_DigestFinal_ex(context_.get(), bytes.data(), &length) != 1) {
      throw InternalError("OpenSSL gave no digest");
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < length; ++i) {
      text += kDigits[bytes[i] >> 4];
      text += kDigits[bytes[i] & 15];
    }
    return text;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace

FileDigest digest_file(const std::filesystem::path& path, bool with_md5,
                       const std::function<void(std::uint64_t)>& progress) {
  const MappedFile file(path);
  Digest sha256("SHA-256", EVP_sha256());
  std::optional<Digest> md5;
  if (with_md5) md5.emplace("MD5", EVP_md5());
  const std::span<const std::uint8_t> bytes = file.bytes();
  for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    if (progress) progress(at);
    const auto piece = bytes.subspan(at, std::min(kPieceBytes, bytes.size() - at));
    sha256.update(piece);
    if (md5) md5->update(piece);
  }
  return {.sha256 = sha256.hex(), .md5 = md5 ? md5->hex() : std::string()};
}

}  // namespace sbm::data
