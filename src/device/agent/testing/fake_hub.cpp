#include "device/agent/testing/fake_hub.hpp"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "core/trust/certificates.hpp"
#include "core/trust/sas.hpp"

namespace godwit::agent {
namespace {

void wake_up(int fd) {
  const std::uint64_t one = 1;
  GODWIT_CHECK(::write(fd, &one, sizeof one) == sizeof one);
}

std::string publish(std::string topic, std::string payload) {
  mqtt::Publish message;
  message.topic = std::move(topic);
  message.payload = std::move(payload);
  return mqtt::encode(message);
}

/// Any client certificate is taken: judging it is the service's part.
int take_any(int, X509_STORE_CTX*) { return 1; }

std::string common_name(SSL* tls) {
  const X509* certificate = SSL_get0_peer_certificate(tls);
  if (certificate == nullptr) return "";
  std::array<char, 128> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(), name.size());
  return name.data();
}

bool send(SSL* tls, const std::string& bytes, bool is_framed) {
  const std::string out = is_framed ? websocket::binary_head(bytes.size()) + bytes : bytes;
  return SSL_write(tls, out.data(), static_cast<int>(out.size())) > 0;
}

std::string with_version(const json::Object& desired, std::uint64_t version) {
  json::Object out = desired;
  out["$version"] = version;
  return json::print(out);
}

}  // namespace

FakeHub::FakeHub(const Path& folder, const std::string& name, Bytes key) : folder_(folder), key_(std::move(key)) {
  ::signal(SIGPIPE, SIG_IGN);  // clients that do not like the certificate close at any time
  const auto ca = trust::make_ca("test authority", 2);
  GODWIT_CHECK(ca.has_value());
  const auto server = trust::issue_server_certificate(*ca, {name}, 2);
  GODWIT_CHECK(server.has_value());
  GODWIT_CHECK(write_file_durably(folder / "ca.pem", ca->certificate_pem).has_value());
  GODWIT_CHECK(write_file_durably(folder / "server.pem", server->certificate_pem).has_value());
  GODWIT_CHECK(write_file_durably(folder / "server-key.pem", server->key_pem.reveal()).has_value());
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  context_ = context;
  GODWIT_CHECK(SSL_CTX_use_certificate_chain_file(context, (folder / "server.pem").c_str()) == 1);
  GODWIT_CHECK(SSL_CTX_use_PrivateKey_file(context, (folder / "server-key.pem").c_str(), SSL_FILETYPE_PEM) == 1);

  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, &take_any);

  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  GODWIT_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  GODWIT_CHECK(::listen(listener_.get(), 8) == 0);
  socklen_t size = sizeof address;
  GODWIT_CHECK(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  wake_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  thread_ = std::thread([this] { run(); });
}

FakeHub::~FakeHub() {
  {
    const std::lock_guard lock(mutex_);
    must_end_ = true;
  }
  wake_up(wake_.get());
  thread_.join();
  SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

void FakeHub::set_desired(json::Object desired, std::uint64_t version) {
  {
    const std::lock_guard lock(mutex_);
    desired_ = std::move(desired);
    version_ = version;
    if (is_connected_)
      to_push_ += publish("$iothub/twin/PATCH/properties/desired/?$version=" + std::to_string(version),
                          with_version(desired_, version));
  }
  wake_up(wake_.get());
}

void FakeHub::refuse(mqtt::ConnectReturn code) {
  const std::lock_guard lock(mutex_);
  refusal_ = code;
}

void FakeHub::answer_reports_with(int status) {
  const std::lock_guard lock(mutex_);
  report_status_ = status;
}

void FakeHub::drop_connection() {
  {
    const std::lock_guard lock(mutex_);
    must_drop_ = true;
  }
  wake_up(wake_.get());
}

FakeHub::Seen FakeHub::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

bool FakeHub::wait_for(const std::function<bool(const Seen&)>& condition) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return condition(seen_); });
}

void FakeHub::run() {
  for (;;) {
    std::array<pollfd, 2> watched{{{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), -1);
    {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof count);
      const std::lock_guard lock(mutex_);
      if (must_end_) return;
      must_drop_ = false;
    }
    if (watched[0].revents == 0) continue;
    const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) serve(fd.get());
    const std::lock_guard lock(mutex_);
    is_connected_ = false;
    to_push_.clear();
    if (must_end_) return;
  }
}

void FakeHub::serve(int fd) {
  SSL* tls = SSL_new(static_cast<SSL_CTX*>(context_));
  SSL_set_fd(tls, fd);
  std::string input;
  http_.clear();
  framing_.reset();
  bool must_close = SSL_accept(tls) != 1;
  {
    const std::lock_guard lock(mutex_);
    certificate_ = common_name(tls);
  }
  while (!must_close) {
    std::string output;
    auto decoded = mqtt::decode(input, 1 << 20);
    if (decoded && *decoded) {
      input.erase(0, (*decoded)->used);
      output = reply_to((*decoded)->packet, must_close);
    } else if (SSL_pending(tls) == 0) {
      std::array<pollfd, 2> watched{{{fd, POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
      ::poll(watched.data(), watched.size(), -1);
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof count);
      const std::lock_guard lock(mutex_);
      if (must_end_ || must_drop_) break;
      output = std::exchange(to_push_, {});
      if (output.empty() && watched[0].revents == 0) continue;
      if (watched[0].revents == 0) must_close = !send(tls, output, framing_ != nullptr);
      if (watched[0].revents == 0) continue;
    }
    if (!output.empty() && !send(tls, output, framing_ != nullptr)) break;
    if (decoded && *decoded) continue;
    std::array<char, 4096> chunk{};
    const int got = SSL_read(tls, chunk.data(), chunk.size());
    if (got <= 0) break;
    if (!take(tls, {chunk.data(), static_cast<std::size_t>(got)}, input)) break;
  }
  SSL_free(tls);
}

bool FakeHub::take(ssl_st* tls, std::string_view bytes, std::string& stream) {
  if (framing_) {
    std::string frames(bytes);
    const auto unwrapped = framing_->unwrap(frames);
    stream.append(frames, 0, unwrapped.bytes);
    if (!unwrapped.reply.empty() && !send(tls, unwrapped.reply, false)) return false;
    return !framing_->is_over();
  }
  if (http_.empty() && !bytes.starts_with("GET ")) {
    stream.append(bytes);
    return true;
  }
  http_.append(bytes);
  return !http_.ends_with("\r\n\r\n") || answer_http(tls);
}

bool FakeHub::answer_http(ssl_st* tls) {
  const auto field = [this](const std::string& name) {
    const auto at = http_.find("\r\n" + name + ": ");
    const auto begin = at + name.size() + 4;
    return at == std::string::npos ? "" : http_.substr(begin, http_.find("\r\n", begin) - begin);
  };
  const std::string key = field("Sec-WebSocket-Key");
  const std::string protocols = field("Sec-WebSocket-Protocol");
  const auto welcome = websocket::accept(
      {.connection = "Upgrade", .upgrade = "websocket", .version = "13", .key = key, .protocols = protocols}, "mqtt");
  std::string answer;
  {
    const std::lock_guard lock(mutex_);
    answer = websocket_refusal_;
    if (!welcome) answer = "HTTP/1.1 404 Not Found\r\nDate: " + http_date_ + "\r\n\r\n";
    if (answer.empty()) answer = *welcome;
    ++(welcome ? seen_.websockets : seen_.questions);
  }
  changed_.notify_all();
  if (!send(tls, answer, false) || !answer.starts_with("HTTP/1.1 101")) return false;
  framing_ = std::make_unique<websocket::Framing>(websocket::Limits{});
  return true;
}

void FakeHub::refuse_websockets_with(std::string answer) {
  const std::lock_guard lock(mutex_);
  websocket_refusal_ = std::move(answer);
}

void FakeHub::tell_date(std::string date) {
  const std::lock_guard lock(mutex_);
  http_date_ = std::move(date);
}

std::string FakeHub::reply_to(const mqtt::Packet& packet, bool& must_close) {
  std::string reply;
  {
    const std::lock_guard lock(mutex_);
    if (const auto* connect = std::get_if<mqtt::Connect>(&packet)) reply = reply_to(*connect, must_close);
    if (const auto* message = std::get_if<mqtt::Publish>(&packet)) reply = reply_to(*message);
    if (const auto* subscribe = std::get_if<mqtt::Subscribe>(&packet))
      reply = mqtt::encode(mqtt::SubscribeAck{subscribe->packet_id, {0, 0}});
    if (std::holds_alternative<mqtt::PingRequest>(packet)) reply = mqtt::encode(mqtt::PingResponse{});
    if (std::holds_alternative<mqtt::Disconnect>(packet)) {
      ++seen_.disconnects;
      must_close = true;
    }
  }
  changed_.notify_all();
  return reply;
}

std::string FakeHub::reply_to(const mqtt::Connect& connect, bool& must_close) {
  const auto token = trust::parse_sas(connect.password.value_or(""));
  auto code = refusal_;
  const bool is_known = certificate_.empty() ? token && trust::sas_signature_holds(*token, key_) : !connect.password;
  if (!is_known) code = mqtt::ConnectReturn::not_authorized;
  seen_.passwords.push_back(connect.password.value_or(""));
  seen_.certificates.push_back(certificate_);
  must_close = code != mqtt::ConnectReturn::accepted;
  ++(must_close ? seen_.refusals : seen_.connections);
  is_connected_ = !must_close;
  return mqtt::encode(mqtt::ConnectAck{false, code});
}

std::string FakeHub::reply_to(const mqtt::Publish& message) {
  const auto rid = message.topic.find("?$rid=");
  if (rid == std::string::npos) return "";
  const std::string id = message.topic.substr(rid);
  if (message.topic.starts_with("$iothub/twin/GET/"))
    return publish("$iothub/twin/res/200/" + id,
                   "{\"desired\":" + with_version(desired_, version_) + ",\"reported\":{\"$version\":1}}");
  seen_.reported.push_back(message.payload);
  return publish("$iothub/twin/res/" + std::to_string(report_status_) + "/" + id + "&$version=2", "");
}

}  // namespace godwit::agent
