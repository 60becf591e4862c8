#include "cuda_host/runtime/program.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace sbm::cuda_host {
namespace {

struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;
};

struct Loaded {
  std::vector<Range> ranges;  // the program's own first
  std::uintptr_t base = 0;    // of the program
  bool first = true;
};

int add_ranges(dl_phdr_info* info, std::size_t /*size*/, void* result) {
  auto& loaded = *static_cast<Loaded*>(result);
  if (loaded.first) loaded.base = info->dlpi_addr;
  loaded.first = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    const std::uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    loaded.ranges.push_back({begin, begin + header.p_memsz});
  }
  return 0;
}

const Loaded& loaded() {
  static const Loaded all = [] {
    Loaded result;
    dl_iterate_phdr(&add_ranges, &result);
    return result;
  }();
  return all;
}

std::string program_path() {
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : "";
}

// "launch.h:12 (name)" out of addr2line's two lines, function and path:line.
std::string ask_addr2line(std::uint32_t offset) {
  const std::string path = program_path();
  if (path.find('\'') != std::string::npos) return "";
  std::array<char, 16> hexadecimal{};
  std::snprintf(hexadecimal.data(), hexadecimal.size(), "%x", offset);
  const std::string command = "addr2line -C -f -e '" + path + "' " + hexadecimal.data() + " 2>&1";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  if (pipe == nullptr) return "";
  std::string output;
  std::array<char, 1024> buffer{};
  while (fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) output += buffer.data();
  const std::size_t end_of_function = output.find('\n');
  const std::size_t slash = output.rfind('/');
  if (end_of_function == std::string::npos || slash == std::string::npos ||
      slash < end_of_function) {
    return "";
  }
  std::string line = output.substr(slash + 1);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

}  // namespace

bool in_program(const void* address) {
  const auto value = reinterpret_cast<std::uintptr_t>(address);
  for (const Range& range : loaded().ranges) {
    if (value >= range.begin && value < range.end) return true;
  }
  return false;
}

std::uint32_t code_offset(const void* code) {
  // Of the instruction before: calls return to the one after them.
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(code) - loaded().base - 1);
}

std::string code_place(std::uint32_t offset) {
  const std::string line = ask_addr2line(offset);
  if (!line.empty()) return line;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "program offset 0x%x", offset);
  return text.data();
}

std::string function_name(const void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_sname == nullptr) {
    return code_place(code_offset(static_cast<const char*>(address) + 1));
  }
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable(
      abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status), &std::free);
  if (readable == nullptr) return info.dli_sname;
  std::string name = readable.get();
  // "void sbm::kernels::cuda::sample<Traits<32> >(Params)"
  name = name.substr(0, name.rfind('('));
  return name.starts_with("void ") ? name.substr(5) : name;
}

}  // namespace sbm::cuda_host
