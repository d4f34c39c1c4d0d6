// For tests: a small server that speaks exactly the bytes each test wants.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/file.hpp"

namespace godwit::downloader_curl {

/// Byte i is a function of i that repeats with no power of two: a wrong offset shows.
inline std::string content(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 2654435761U) >> 16U);
  return bytes;
}

class HttpServer {
 public:
  using Handler = std::function<void(int fd, const std::string& head, int number)>;
  explicit HttpServer(Handler handler)
      : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    GODWIT_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    GODWIT_CHECK(::listen(listener_.get(), 8) == 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { run(); });
  }
  ~HttpServer() { ::shutdown(listener_.get(), SHUT_RDWR); }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::string url(const std::string& path = "/file") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  [[nodiscard]] std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  static void send(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

 private:
  void run() {
    for (int number = 0;; ++number) {
      const UniqueFd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
      if (!fd) return;
      std::string head;
      std::array<char, 4096> chunk;
      while (head.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(fd.get(), chunk.data(), chunk.size(), 0);
        if (got <= 0) break;
        head.append(chunk.data(), static_cast<std::size_t>(got));
      }
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(head);
      }
      handler_(fd.get(), head, number);
    }
  }

  Handler handler_;
  UniqueFd listener_;
  int port_ = 0;
  std::mutex mutex_{};
  std::vector<std::string> requests_{};
  std::jthread thread_{};
};

}  // namespace godwit::downloader_curl
