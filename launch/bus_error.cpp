#include "launch/bus_error.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "launch/exit_code.h"

// Everything the handler calls is async-signal-safe: system calls and plain loops over memory that
// is there already. It looks the file up in /proc/self/maps, so that mapping a file costs nothing.
namespace sbm::launch {
namespace {

constexpr std::size_t kLongestName = 200;
std::array<char, kLongestName> process_name;
std::atomic<std::size_t> process_name_size{0};

// A line of /proc/self/maps: addresses, rights, offset, device, inode and a path of at most
// PATH_MAX bytes, in which each line feed takes four.
constexpr std::size_t kLongestLine = 20'000;
std::array<char, kLongestLine> line;
std::array<char, 4096> input;
std::atomic_flag handling = ATOMIC_FLAG_INIT;

struct Mapping {
  std::string_view rights;  ///< "r--s"
  std::string_view path;    ///< empty for memory without a file
};

std::uintptr_t parse_hexadecimal(std::string_view& text) {
  std::uintptr_t value = 0;
  while (!text.empty()) {
    const char digit = text.front();
    if (digit >= '0' && digit <= '9') {
      value = value * 16 + static_cast<std::uintptr_t>(digit - '0');
    } else if (digit >= 'a' && digit <= 'f') {
      value = value * 16 + static_cast<std::uintptr_t>(digit - 'a' + 10);
    } else {
      break;
    }
    text.remove_prefix(1);
  }
  return value;
}

// Whether `text`, a line, is about the mapping that holds `address`; fills `mapping` then.
bool parse_line(std::string_view text, std::uintptr_t address, Mapping& mapping) {
  const std::uintptr_t begin = parse_hexadecimal(text);
  if (text.empty()) return false;
  text.remove_prefix(1);  // '-'
  const std::uintptr_t end = parse_hexadecimal(text);
  if (address < begin || address >= end || text.size() < 5) return false;
  mapping.rights = text.substr(1, 4);
  const std::size_t slash = text.find('/');
  mapping.path = slash == std::string_view::npos ? std::string_view() : text.substr(slash);
  // Device numbers and inode come before the path and have no slash in them.
  return true;
}

Mapping find_mapping(std::uintptr_t address) {
  Mapping mapping;
  const int file = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0) return mapping;
  std::size_t size = 0;
  for (ssize_t count; (count = ::read(file, input.data(), input.size())) > 0;) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if (input[i] != '\n') {
        if (size < line.size()) line[size++] = input[i];
        continue;
      }
      if (parse_line({line.data(), size}, address, mapping)) {
        ::close(file);
        return mapping;
      }
      size = 0;
    }
  }
  ::close(file);
  return mapping;
}

void say(std::string_view text) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

extern "C" void sbm_explain_bus_error(int number, siginfo_t* info, void*) {
  if (info->si_code <= 0) {  // sent by a process: no memory is to blame
    ::signal(number, SIG_DFL);
    ::raise(number);  // comes when this handler is left
    return;
  }
  // Several threads may read the same file; one message is enough.
  if (handling.test_and_set()) {
    for (;;) ::pause();
  }
  const Mapping mapping = find_mapping(reinterpret_cast<std::uintptr_t>(info->si_addr));
  const bool is_data = mapping.rights == "r--s" && !mapping.path.empty();
  say("sbm: ");
  if (const std::size_t size = process_name_size.load(); size > 0) {
    say({process_name.data(), size});
    say(": ");
  }
  if (mapping.path.empty()) {
    say("bus error in memory that belongs to no file\n");
  } else {
    say(mapping.path);
    say(is_data
            ? ": became shorter, or its disk failed, while this process was reading it; data may "
              "not change while they are in use\n"
            : ": the memory of this file cannot be used: its disk or memory is full or has failed, "
              "or the file became shorter\n");
  }
  if (is_data) ::_exit(kDataFailure);
  ::signal(number, SIG_DFL);  // the instruction is tried again, and now ends the process
}

}  // namespace

void explain_bus_errors() {
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_sigaction = sbm_explain_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

void name_this_process(std::string_view who) {
  const std::size_t size = std::min(who.size(), process_name.size());
  std::memcpy(process_name.data(), who.data(), size);
  process_name_size.store(size);
}

}  // namespace sbm::launch
