// For tests of verbs: a service on a loopback port that speaks real TLS and HTTP and answers what the test wrote down.
// It keeps what it was asked. One thread of its own, one request a connection. And a command line that runs one verb
// against it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/testing/temp_folder.hpp"
#include "core/trust/certificates.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {

class FakeService {
 public:
  struct Reply {
    int status = 200;
    std::string body = "{}";
    std::string headers{};  // whole lines with their ends
  };
  struct Request {
    std::string line{};  // "GET /path?query"
    std::string head{};
    std::string body{};
  };

  FakeService() {
    const auto ca = trust::make_ca("CA of a test", 2).value();
    const auto server = trust::issue_server_certificate(ca, {"localhost"}, 2).value();
    ca_pem_ = ca.certificate_pem;
    EXPECT_TRUE(write_file_durably(folder_.path() / "ca.pem", ca.certificate_pem));
    EXPECT_TRUE(write_file_durably(folder_.path() / "server.pem", server.certificate_pem));
    EXPECT_TRUE(write_file_durably(folder_.path() / "key.pem", server.key_pem.reveal()));
    EXPECT_TRUE(write_file_durably(folder_.path() / "token", std::string("secret-token\n"), 0600));
    tls_ = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_file(tls_, (folder_.path() / "server.pem").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(tls_, (folder_.path() / "key.pem").c_str(), SSL_FILETYPE_PEM);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeService() {
    is_over_ = true;
    thread_.join();
    ::close(listener_);
    SSL_CTX_free(tls_);
  }
  FakeService(const FakeService&) = delete;
  FakeService& operator=(const FakeService&) = delete;

  /// For "GET /path" without its query; several are given one after the other, the last one again and again.
  void answer(const std::string& what, Reply reply) {
    const std::scoped_lock hold(mutex_);
    replies_[what].push_back(std::move(reply));
  }
  [[nodiscard]] std::vector<Request> requests() {
    const std::scoped_lock hold(mutex_);
    return requests_;
  }
  /// The last request that was this, without its query; its line is empty when there was none.
  [[nodiscard]] Request last(const std::string& what) {
    Request found;
    for (auto& one : requests())
      if (one.line.substr(0, one.line.find('?')) == what) found = one;
    return found;
  }
  [[nodiscard]] std::string url() const { return "https://localhost:" + std::to_string(port_); }
  [[nodiscard]] Path ca() const { return folder_.path() / "ca.pem"; }
  [[nodiscard]] Path token_file() const { return folder_.path() / "token"; }
  [[nodiscard]] const std::string& ca_pem() const { return ca_pem_; }

 private:
  void serve() {
    while (!is_over_) {
      pollfd waiting{.fd = listener_, .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      SSL* tls = SSL_new(tls_);
      SSL_set_fd(tls, fd);
      if (SSL_accept(tls) == 1) serve_one(tls);
      SSL_shutdown(tls);
      SSL_free(tls);
      ::close(fd);
    }
  }
  void serve_one(SSL* tls) {
    std::string text;
    char piece[4096];
    const auto read_more = [&] {
      const int count = SSL_read(tls, piece, sizeof piece);
      if (count > 0) text.append(piece, static_cast<std::size_t>(count));
      return count > 0;
    };
    while (text.find("\r\n\r\n") == std::string::npos)
      if (!read_more()) return;
    const std::size_t head_end = text.find("\r\n\r\n") + 4;
    std::size_t body_size = 0;
    if (const auto at = text.find("Content-Length: "); at != std::string::npos && at < head_end)
      body_size = std::stoul(text.substr(at + 16));
    while (text.size() < head_end + body_size)
      if (!read_more()) return;
    Request request{
        .line = text.substr(0, text.find(" HTTP/")), .head = text.substr(0, head_end), .body = text.substr(head_end)};
    const Reply reply = reply_to(request.line.substr(0, request.line.find('?')));
    {
      const std::scoped_lock hold(mutex_);
      requests_.push_back(std::move(request));
    }
    const std::string answer = "HTTP/1.1 " + std::to_string(reply.status) +
                               " Words\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                               std::to_string(reply.body.size()) + "\r\n" + reply.headers + "\r\n" + reply.body;
    SSL_write(tls, answer.data(), static_cast<int>(answer.size()));
  }
  Reply reply_to(const std::string& what) {
    const std::scoped_lock hold(mutex_);
    const auto found = replies_.find(what);
    if (found == replies_.end())
      return {.status = 404, .body = R"({"error":{"code":"NotFound","message":"nothing is here"}})", .headers = {}};
    const Reply reply = found->second.front();
    if (found->second.size() > 1) found->second.erase(found->second.begin());
    return reply;
  }

  TempFolder folder_{};
  std::string ca_pem_{};
  SSL_CTX* tls_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_{};  // guards the two below
  std::map<std::string, std::vector<Reply>> replies_{};
  std::vector<Request> requests_{};
  std::atomic<bool> is_over_ = false;
  std::thread thread_{};
};

/// A person's machine: a home folder, and verbs typed one after the other.
class Terminal {
 public:
  struct Outcome {
    int code = 0;
    std::string out{};
    std::string error{};  // what is printed behind "godwit: "
  };
  Outcome type(std::vector<std::string> words) {
    Context context;
    context.environment = [this](const char* name) -> std::optional<std::string> {
      if (std::string_view(name) == "HOME") return home_.path().string();
      const auto found = environment.find(name);
      return found == environment.end() ? std::nullopt : std::optional(found->second);
    };
    const auto app = make_app(context);
    std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
    app->parse(std::move(words));
    testing::internal::CaptureStdout();
    const auto outcome = context.action(context);
    std::fflush(stdout);
    std::string out = testing::internal::GetCapturedStdout();
    if (outcome) return {.code = *outcome, .out = std::move(out), .error = {}};
    return {.code = exit_code::failed, .out = std::move(out), .error = outcome.error().message};
  }
  [[nodiscard]] const Path& home() const { return home_.path(); }
  [[nodiscard]] Path settings() const { return home_.path() / ".config" / "godwit"; }

  std::map<std::string, std::string> environment{};

 private:
  TempFolder home_{};
};

}  // namespace godwit::cli
