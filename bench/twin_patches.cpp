// Durable reported patches: N connected devices, each sends a patch, waits for the hub's 204, sends the next. Prints
// one JSON line with round trips per second and latency percentiles. Real MQTT over TLS with SAS, one thread. Usage:
// bench_twin_patches HOST PORT HUB_NAME CA_FILE KEYS_FILE SECONDS    (KEYS_FILE: lines "device base64key")
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "core/base/bytes.hpp"
#include "core/mqtt/packets.hpp"
#include "core/trust/sas.hpp"

namespace {

using Steady = std::chrono::steady_clock;
using namespace godwit;

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "bench_twin_patches: {}\n", why);
  std::exit(1);
}

struct Device {
  int fd = -1;
  SSL* ssl = nullptr;
  std::string inbox{};
  Steady::time_point sent{};
  std::uint64_t sequence = 0;
};

int connect_to(const char* host, const char* port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host, port, &hints, &found) != 0) give_up("cannot resolve the host");
  int fd = -1;
  for (const addrinfo* one = found; one != nullptr && fd < 0; one = one->ai_next) {
    fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, one->ai_addr, one->ai_addrlen) != 0) {
      close(fd);
      fd = -1;
    }
  }
  freeaddrinfo(found);
  if (fd < 0) give_up("cannot connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void send_all(Device& device, const std::string& bytes) {
  if (SSL_write(device.ssl, bytes.data(), static_cast<int>(bytes.size())) != static_cast<int>(bytes.size()))
    give_up("a write failed");
}

// Reads until one whole packet is there; nullopt when the socket has no more for now.
std::optional<mqtt::Packet> next_packet(Device& device) {
  for (;;) {
    auto decoded = mqtt::decode(device.inbox, 1 << 20);
    if (!decoded) give_up("bad packet: " + decoded.error().message);
    if (*decoded) {
      auto packet = std::move((*decoded)->packet);
      device.inbox.erase(0, (*decoded)->used);
      return packet;
    }
    char buffer[4096];
    const int got = SSL_read(device.ssl, buffer, sizeof buffer);
    if (got > 0) {
      device.inbox.append(buffer, static_cast<std::size_t>(got));
      continue;
    }
    const int why = SSL_get_error(device.ssl, got);
    if (why == SSL_ERROR_WANT_READ) return std::nullopt;
    give_up("the hub closed a connection");
  }
}

mqtt::Packet wait_packet(Device& device) {
  auto packet = next_packet(device);
  if (!packet) give_up("no answer");
  return *packet;
}

void log_in(Device& device, SSL_CTX* context, const char* host, const char* port, const std::string& hub,
            const std::string& id, const std::string& key) {
  device.fd = connect_to(host, port);
  device.ssl = SSL_new(context);
  SSL_set_fd(device.ssl, device.fd);
  SSL_set1_host(device.ssl, host);
  if (SSL_connect(device.ssl) != 1) give_up("TLS handshake failed");
  const auto raw_key = base64_decode(key);
  if (!raw_key) give_up("bad key");
  const std::int64_t expiry =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count() +
      3600;
  mqtt::Connect connect;
  connect.client_id = id;
  connect.keep_alive_seconds = 240;
  connect.user_name = hub + "/" + id + "/?api-version=2021-04-12";
  connect.password = trust::make_sas(hub + "/devices/" + id, *raw_key, expiry);
  send_all(device, mqtt::encode(connect));
  const auto answer = wait_packet(device);
  const auto* ack = std::get_if<mqtt::ConnectAck>(&answer);
  if (ack == nullptr || ack->code != mqtt::ConnectReturn::accepted) give_up(id + " was refused");
  send_all(device, mqtt::encode(mqtt::Subscribe{.packet_id = 1, .topics = {{"$iothub/twin/res/#", 0}}}));
  if (!std::holds_alternative<mqtt::SubscribeAck>(wait_packet(device))) give_up("no SUBACK");
  SSL_set_mode(device.ssl, SSL_MODE_AUTO_RETRY);
}

void send_patch(Device& device) {
  mqtt::Publish patch;
  patch.topic = fmt::format("$iothub/twin/PATCH/properties/reported/?$rid={}", ++device.sequence);
  patch.payload = fmt::format(
      R"({{"deviceUpdate":{{"__t":"c","agent":{{"state":6,"workflow":{{"action":3,"id":"6f8b2f1e-0d8b-4c1e-9d6f-1c3a54c0a001"}},"lastInstallResult":{{"resultCode":1,"extendedResultCodes":"00000000","resultDetails":"{}","stepResults":null}}}}}}}})",
      device.sequence);
  device.sent = Steady::now();
  send_all(device, mqtt::encode(patch));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    fmt::print(stderr, "usage: {} HOST PORT HUB_NAME CA_FILE KEYS_FILE SECONDS\n", argv[0]);
    return 2;
  }
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_load_verify_locations(context, argv[4], nullptr) != 1) give_up("cannot read the CA");

  std::vector<std::unique_ptr<Device>> devices;
  std::ifstream keys(argv[5]);
  std::string line;
  const auto begun_connects = Steady::now();
  while (std::getline(keys, line)) {
    std::istringstream words(line);
    std::string id, key;
    words >> id >> key;
    devices.push_back(std::make_unique<Device>());
    log_in(*devices.back(), context, argv[1], argv[2], argv[3], id, key);
  }
  const double connect_seconds = std::chrono::duration<double>(Steady::now() - begun_connects).count();

  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (auto& device : devices) {
    const int flags = 1;
    ioctl(device->fd, FIONBIO, &flags);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = device.get()}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, device->fd, &event);
  }
  const auto begun = Steady::now();
  const auto end =
      begun + std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(std::atof(argv[6])));
  for (auto& device : devices) send_patch(*device);
  std::vector<double> latencies;
  while (Steady::now() < end) {
    epoll_event events[256];
    const int ready = epoll_wait(epoll, events, 256, 1000);
    for (int i = 0; i < ready; ++i) {
      auto& device = *static_cast<Device*>(events[i].data.ptr);
      while (auto packet = next_packet(device)) {
        const auto* publish = std::get_if<mqtt::Publish>(&*packet);
        if (publish == nullptr) continue;
        if (!publish->topic.starts_with("$iothub/twin/res/204/"))
          give_up("the hub answered " + publish->topic + " " + publish->payload);
        latencies.push_back(std::chrono::duration<double, std::milli>(Steady::now() - device.sent).count());
        send_patch(device);
      }
    }
  }
  const double seconds = std::chrono::duration<double>(Steady::now() - begun).count();
  if (latencies.empty()) give_up("no patch was acknowledged");
  std::sort(latencies.begin(), latencies.end());
  const auto percentile = [&latencies](double share) {
    return latencies[static_cast<std::size_t>(share * static_cast<double>(latencies.size() - 1))];
  };
  fmt::print(
      "{{\"devices\":{},\"patches_per_second\":{:.0f},\"p50_ms\":{:.1f},\"p99_ms\":{:.1f},\"connects_per_second\":{:."
      "0f}}}\n",
      devices.size(), static_cast<double>(latencies.size()) / seconds, percentile(0.5), percentile(0.99),
      static_cast<double>(devices.size()) / connect_seconds);
  return 0;
}
