#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sbm::data {

/// What a server has under one path, and how it misbehaves.
struct ServedFile {
  std::string body{};
  std::string tag{"\"v1\""};  ///< entity tag with its quotes; empty: none is sent
  int status = 200;
  std::string location{};                  ///< of a redirection
  std::size_t break_off_after = SIZE_MAX;  ///< bytes of a body; the connection then ends
  std::size_t breaks = SIZE_MAX;           ///< so many answers break off, later ones do not
  std::size_t shift = 0;                   ///< bytes by which a part begins later than asked for
  std::size_t longest_part = SIZE_MAX;     ///< bytes; HTTP lets a server send less than asked for
  bool ranges = true;                      ///< whether parts may be asked for
};

/// An HTTP server on a free port of this machine, for tests without internet: GET, ranges with
/// If-Range, one connection at a time.
class HttpServer {
 public:
  HttpServer();
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// "http://127.0.0.1:PORT"
  [[nodiscard]] std::string address() const;
  /// `path` begins with a slash.
  void serve(const std::string& path, ServedFile file);
  /// The first lines of all requests, each with the Range header behind it if there was one:
  /// "GET /a bytes=5-".
  [[nodiscard]] std::vector<std::string> requests();

 private:
  void run();
  void answer(int connection);

  int listener_ = -1;
  int port_ = 0;
  std::mutex mutex_;
  std::map<std::string, ServedFile> files_;
  std::vector<std::string> requests_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sbm::data
