// A hub for one device, in the test's process: TLS with a certificate of its own authority, SAS checked (a client
// certificate is only noted, and admits without a token), a twin kept. A client that begins with GET gets a
// WebSocket. A thread of its own; the test tells it how to behave and asks what it saw.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/mqtt/packets.hpp"
#include "core/websocket/websocket.hpp"

struct ssl_st;

namespace godwit::agent {

class FakeHub {
 public:
  /// `name`: what the certificate is for, e.g. "localhost" or "127.0.0.1". Writes ca.pem into `folder`.
  FakeHub(const Path& folder, const std::string& name, Bytes key);
  ~FakeHub();
  FakeHub(const FakeHub&) = delete;
  FakeHub& operator=(const FakeHub&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Path ca_file() const { return folder_ / "ca.pem"; }

  void set_desired(json::Object desired,
                   std::uint64_t version);  // a connected device is told with a whole-section patch
  void refuse(mqtt::ConnectReturn code);    // from the next CONNECT on; accepted: no more
  void answer_reports_with(int status);
  void drop_connection();                           // without a good-bye
  void refuse_websockets_with(std::string answer);  // the whole of it; "": no more
  void tell_date(std::string date);                 // what Date says to a question by HTTP

  struct Seen {
    int connections = 0;  // accepted CONNECTs
    int refusals = 0;
    int disconnects = 0;  // DISCONNECT packets
    int websockets = 0;
    int questions = 0;  // HTTP requests that wanted no WebSocket
    std::vector<std::string> reported{};
    std::vector<std::string> passwords{};
    std::vector<std::string> certificates{};  // common name in each CONNECT, "" without
  };
  [[nodiscard]] Seen seen() const;
  /// Waits until `condition` holds; false after ten seconds.
  [[nodiscard]] bool wait_for(const std::function<bool(const Seen&)>& condition) const;

 private:
  void run();
  void serve(int fd);
  /// False when the connection must end.
  [[nodiscard]] bool take(ssl_st* tls, std::string_view bytes, std::string& stream);
  [[nodiscard]] bool answer_http(ssl_st* tls);
  [[nodiscard]] std::string reply_to(const mqtt::Packet& packet, bool& must_close);
  [[nodiscard]] std::string reply_to(const mqtt::Connect& connect, bool& must_close);
  [[nodiscard]] std::string reply_to(const mqtt::Publish& publish);

  Path folder_;
  Bytes key_;
  UniqueFd listener_;
  UniqueFd wake_;
  std::uint16_t port_ = 0;
  void* context_ = nullptr;  // SSL_CTX

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Seen seen_;
  json::Object desired_;
  std::uint64_t version_ = 1;
  std::string to_push_;
  std::string certificate_;  // common name on this connection
  std::string websocket_refusal_;
  std::string http_date_;
  std::string http_;                             // a request so far; serving thread only
  std::unique_ptr<websocket::Framing> framing_;  // serving thread only
  bool is_connected_ = false;
  bool must_drop_ = false;
  bool must_end_ = false;
  int report_status_ = 204;
  mqtt::ConnectReturn refusal_ = mqtt::ConnectReturn::accepted;
  std::thread thread_;
};

}  // namespace godwit::agent
