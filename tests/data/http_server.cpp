#include "tests/data/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <utility>

namespace sbm::data {
namespace {

// What is left of a header's line, without its name; nothing when there is none.
std::optional<std::string> header(const std::string& request, const std::string& name) {
  const std::size_t at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) return std::nullopt;
  const std::size_t begin = at + name.size() + 4;
  return request.substr(begin, request.find("\r\n", begin) - begin);
}

std::string read_request(int connection) {
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ::ssize_t count = ::recv(connection, buffer, sizeof buffer, 0);
    if (count <= 0) return {};
    request.append(buffer, static_cast<std::size_t>(count));
  }
  return request;
}

void send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ::ssize_t count = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

HttpServer::HttpServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  // A proxy of the machine would look for this server elsewhere.
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"}) {
    ::unsetenv(name);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (listener_ < 0 ||
      ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::system_error(errno, std::generic_category(), "test server");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

HttpServer::~HttpServer() {
  ::shutdown(listener_, SHUT_RDWR);  // accept() returns
  thread_.join();
  ::close(listener_);
}

std::string HttpServer::address() const { return fmt::format("http://127.0.0.1:{}", port_); }

void HttpServer::serve(const std::string& path, ServedFile file) {
  const std::scoped_lock lock(mutex_);
  files_[path] = std::move(file);
}

std::vector<std::string> HttpServer::requests() {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

void HttpServer::run() {
  for (;;) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    answer(connection);
    ::close(connection);
  }
}

void HttpServer::answer(int connection) {
  const std::string request = read_request(connection);
  if (request.empty()) return;
  const std::string path = request.substr(4, request.find(' ', 4) - 4);
  const std::optional<std::string> range = header(request, "Range");
  const std::scoped_lock lock(mutex_);
  requests_.push_back("GET " + path + (range ? " " + *range : ""));
  const auto found = files_.find(path);
  if (found == files_.end()) {
    send_all(connection, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  ServedFile& file = found->second;
  const std::string tag = file.tag.empty() ? "" : "ETag: " + file.tag + "\r\n";
  if (file.status != 200) {
    send_all(connection, fmt::format("HTTP/1.1 {} X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
                                     file.status, file.location));
    return;
  }
  std::size_t begin = 0;
  if (range && file.ranges && header(request, "If-Range").value_or(file.tag) == file.tag) {
    begin = std::stoull(range->substr(range->find('=') + 1)) + file.shift;
  }
  const std::size_t size = file.body.size();
  if (begin > 0 && begin >= size) {
    send_all(connection, fmt::format("HTTP/1.1 416 X\r\n{}Content-Range: bytes */{}\r\n"
                                     "Content-Length: 0\r\n\r\n",
                                     tag, size));
    return;
  }
  const std::size_t end = begin > 0 ? begin + std::min(size - begin, file.longest_part) : size;
  const std::string head =
      begin > 0
          ? fmt::format("HTTP/1.1 206 X\r\nContent-Range: bytes {}-{}/{}\r\n", begin, end - 1, size)
          : "HTTP/1.1 200 OK\r\n";
  send_all(connection, fmt::format("{}{}Content-Length: {}\r\nConnection: close\r\n\r\n", head, tag,
                                   end - begin));
  std::string_view body = std::string_view(file.body).substr(begin, end - begin);
  if (file.breaks > 0 && file.break_off_after < body.size()) {
    body = body.substr(0, file.break_off_after);
    --file.breaks;
  }
  send_all(connection, body);
}

}  // namespace sbm::data
