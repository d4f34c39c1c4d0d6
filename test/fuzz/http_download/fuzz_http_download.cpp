// Goal: whatever a server answers - status, fields, Content-Range, Retry-After, redirects, encodings, bodies - the
// downloader's file and its words about it agree, nothing longer than asked for is written, and it comes to an end.
// Method: the real download() with libcurl against a server that gives the input's answers one by one. The server also
// plays the proxy of the request, so that no redirect, to whatever host, leaves this process.
// Input: a byte of choices, a byte for the expected size, one for how much of an older part is there; then the answers,
// separated by a byte 0xFF.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/testing/temp_folder.hpp"
#include "download.hpp"

namespace {

using namespace godwit;
using namespace godwit::downloader_curl;

constexpr std::uint8_t kSizeIsKnown = 1;
constexpr std::uint8_t kHasValidator = 2;
constexpr int kConnectionsLimit = 40;  // two rounds of six redirects, each perhaps with CONNECT and a repetition

/// Gives the input's answers, one for each connection, then nothing. Not the tests' HttpServer: that one keeps what it
/// heard, and memory that grows with each input makes libFuzzer look for a leak each time.
class Server {
 public:
  Server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    GODWIT_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    GODWIT_CHECK(::listen(listener_.get(), 8) == 0);
    GODWIT_CHECK(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::jthread([this] { run(); });
  }
  ~Server() { ::shutdown(listener_.get(), SHUT_RDWR); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] const std::string& url() const { return url_; }
  void set(std::string_view answers) {
    const std::lock_guard lock(mutex_);
    left_ = answers;
    connections_ = 0;
  }
  [[nodiscard]] int connections() {
    const std::lock_guard lock(mutex_);
    return connections_;
  }

 private:
  void run() {
    for (;;) {
      const UniqueFd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
      if (!fd) return;
      if (!hear(fd.get())) continue;
      const std::lock_guard lock(mutex_);
      ++connections_;
      const auto end = std::min(left_.find('\xFF'), left_.size());
      (void)::send(fd.get(), left_.data(), end, MSG_NOSIGNAL);
      left_.remove_prefix(std::min(end + 1, left_.size()));
    }
  }
  static bool hear(int fd) {
    std::array<char, 16 * 1024> head;
    std::size_t size = 0;
    while (size < head.size()) {
      const ssize_t got = ::recv(fd, head.data() + size, head.size() - size, 0);
      if (got <= 0) return false;
      size += static_cast<std::size_t>(got);
      if (std::string_view(head.data(), size).find("\r\n\r\n") != std::string_view::npos) return true;
    }
    return false;
  }

  UniqueFd listener_;
  std::string url_;
  std::mutex mutex_;
  std::string_view left_;
  int connections_ = 0;
  std::jthread thread_;
};

/// What outlives an input: the server, and a folder in memory, since each download is synced.
struct World {
  Server server;
  TempFolder folder{::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"};

  World() {
    for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ALL_PROXY", "NO_PROXY"})
      ::unsetenv(name);
  }
};

void put(const Path& file, std::string_view bytes) {
  const UniqueFd fd{::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  GODWIT_CHECK(fd && write_all(fd.get(), bytes));
}

void check(const DownloadRequest& request, const DownloadAnswer& answer, const std::string& older) {
  const auto file = read_file(request.target, 1 << 20);
  GODWIT_CHECK(file && file->size() == answer.file_size);
  GODWIT_CHECK(file->size() <= request.expected_size.value_or(static_cast<std::uint64_t>(request.options.size_limit)));
  GODWIT_CHECK(!answer.retry_after_seconds ||
               (*answer.retry_after_seconds >= 0 && *answer.retry_after_seconds <= 24 * 60 * 60));
  GODWIT_CHECK(answer.details.size() < 4096);
  if (answer.was_resumed) GODWIT_CHECK(file->starts_with(older));
  if (answer.result_code > 0) {
    GODWIT_CHECK(!request.expected_size || file->size() == *request.expected_size);
    GODWIT_CHECK(::access((request.target.string() + ".meta").c_str(), F_OK) != 0);
  } else {
    GODWIT_CHECK(!answer.details.empty() && answer.extended_code != 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  if (size < 3) return 0;
  DownloadRequest request{.url = "http://files.example/a/b?c", .target = world.folder.path() / "file"};
  if ((data[0] & kSizeIsKnown) != 0) request.expected_size = data[1];
  request.resume_offset = std::min(data[1], data[2]);
  request.options.allow_http = true;
  request.options.proxy = world.server.url();
  request.options.timeout_ms = 3000;
  request.options.size_limit = 512;
  const std::string older(data[2], 'o');
  put(request.target, older);
  put(request.target.string() + ".meta", (data[0] & kHasValidator) != 0 ? R"({"validator":"\"v1\""})" : "{}");
  world.server.set({reinterpret_cast<const char*>(data) + 3, size - 3});
  const DownloadAnswer answer = download(request, {});
  check(request, answer, older.substr(0, request.resume_offset));
  GODWIT_CHECK(world.server.connections() <= kConnectionsLimit);
  world.server.set("");
  return 0;
}
