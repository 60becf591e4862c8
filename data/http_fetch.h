#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"

namespace sbm::data {

/// A file could not be fetched; what() is the address and the reason.
class FetchError : public DataError {
 public:
  using DataError::DataError;
};

struct FetchRequest {
  std::string url{};  ///< http or https; redirections are followed, never from https to http
  std::filesystem::path path{};  ///< of the partial file
  std::uint64_t bytes = 0;       ///< what the whole must have; 0: unknown
  int attempts = 4;              ///< one more after each connection that broke off
};

/// Fetches a file into `path`, going on behind the bytes that are there already: a server that
/// still has the same version (by its entity tag or date, kept in `path`.version) sends only the
/// rest; with another version, or where it cannot tell, the file is fetched anew. On failure what
/// has come stays for the next call. Nothing is checked but the size. `progress` gets the bytes
/// that are there and the whole, 0 while unknown, and may throw to give up. Proxies are taken from
/// the environment (https_proxy and so on). One process at a time may fetch to `path`. Throws
/// FetchError; DataError when the file cannot be written.
void fetch_file(const FetchRequest& request,
                const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

/// The name under which fetch_file() keeps what it knows of the version of a partial file.
std::filesystem::path version_path(const std::filesystem::path& partial);

}  // namespace sbm::data
