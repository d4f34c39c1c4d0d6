// For tests: a whole rim on a free port with a real store and real blobs in a throw-away folder, and one client that
// speaks raw TLS. Rooms that a test does not touch are stand-ins that must not be called.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "core/trust/test_sealer.hpp"
#include "server/api/server.hpp"
#include "server/api/text.hpp"
#include "server/blobs/disk/disk_blobs.hpp"
#include "server/net/test_peer.hpp"
#include "server/service/download_urls.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::api {

/// Room for a reference that nobody follows.
template <class T>
T& never_called() {
  alignas(64) static char room[64];
  return reinterpret_cast<T&>(room);
}

class TestRig {
 public:
  /// `registry`: the hub's, for tests of its routes. `other_blobs`: instead of the disk's. `websockets`: where devices
  /// go that ask to become one.
  explicit TestRig(Router router, ServerLimits limits = {}, hub::Registry& registry = never_called<hub::Registry>(),
                   std::size_t queue = 64, std::unique_ptr<blobs::Blobs> other_blobs = nullptr,
                   WebSocketDoor websockets = {})
      : workers(2, queue) {
    limits.drain_time = std::chrono::milliseconds(200);  // tests wait for it
    net::write_test_certificate(folder.path());
    auto opened = store::open_sqlite_store(folder.path() / "db.sqlite", trust::test_sealer(), clock, log);
    GODWIT_CHECK(opened.has_value());
    store = *std::move(opened);
    auto disk = blobs::open_disk_blobs(folder.path() / "blobs", clock);
    GODWIT_CHECK(disk.has_value());
    blobs = other_blobs ? std::move(other_blobs) : *std::move(disk);
    services.emplace(Services{.clock = clock,
                              .log = log,
                              .store = *store,
                              .blobs = *blobs,
                              .registry = registry,
                              .importer = never_called<service::Importer>(),
                              .catalog = never_called<service::Catalog>(),
                              .inventory = never_called<service::Inventory>(),
                              .rollout = never_called<service::Rollout>(),
                              .urls = urls,
                              .hub_name = "hub.test",
                              .instance_id = "main",
                              .id_scope = "0ne00000000",
                              .assigned_hub = "hub.test"});
    access.emplace(clock, *store);
    services->access = &*access;
    services->root_keys = &root_keys;
    tls.emplace(*net::TlsContext::make_server(folder.path() / "certificate.pem", folder.path() / "key.pem"));
    loop.start();
    server.emplace(loop, *tls, *services, *access, workers, std::move(router), limits, std::move(websockets));
    const auto listening = server->open("127.0.0.1", 0);
    GODWIT_CHECK(listening.has_value());
  }
  ~TestRig() {
    server->stop(std::chrono::seconds(2));
    workers.stop();
    loop.stop();
  }

  std::string token(Role role, const std::string& name = "test") {
    std::string text;
    const auto job = [&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const Secret made, Access::create_token(records, NewToken{.name = name, .role = role}, clock.now()));
      text = made.reveal();
      return {};
    };
    GODWIT_CHECK(store->write(job).has_value());
    return text;
  }

  net::TestFolder folder;
  SystemClock clock;
  NullLog log;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<blobs::Blobs> blobs;
  PublishedRootKeys root_keys{.version = 2, .document = "{\"root\":2}"};
  service::DownloadUrls urls{"https://localhost", Secret("0123456789abcdef0123456789abcdef"), std::chrono::hours(2)};
  std::optional<Services> services;
  std::optional<Access> access;
  std::optional<net::TlsContext> tls;
  WorkerPool workers;
  net::Loop loop{"api-test"};
  std::optional<Server> server;
};

struct Answer {
  int status = 0;                              // 0: the connection ended instead
  std::map<std::string, std::string> headers;  // names lower-cased
  std::string body;
};

/// Keeps one connection; answers are read by Content-Length, so that surplus bytes are noticed.
class TestClient {
 public:
  explicit TestClient(const TestRig& rig) { GODWIT_CHECK(peer.open(rig.server->port())); }

  Answer send(std::string_view bytes, bool is_head = false) {
    if (!peer.write(bytes)) return {};
    return read(is_head);
  }
  Answer read(bool is_head = false) {
    Answer answer;
    std::size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return {};
    std::string_view head = std::string_view(input_).substr(0, end + 2);
    answer.status = std::stoi(std::string(head.substr(9, 3)));
    head.remove_prefix(head.find("\r\n") + 2);
    while (!head.empty()) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      const std::size_t colon = line.find(": ");
      answer.headers[lower_case(line.substr(0, colon))] = line.substr(colon + 2);
      head.remove_prefix(line.size() + 2);
    }
    input_.erase(0, end + 4);
    if (is_head || answer.status == 204 || answer.status == 304 || answer.status == 100) return answer;
    const std::size_t length = std::stoull(answer.headers.at("content-length"));
    while (input_.size() < length)
      if (!more()) return {};
    answer.body = input_.substr(0, length);
    input_.erase(0, length);
    return answer;
  }
  /// True once the server has ended the connection.
  bool is_ended(std::chrono::milliseconds wait = std::chrono::seconds(5)) {
    while (!peer.is_closed()) {
      const std::string got = peer.read(wait);
      if (got.empty() && !peer.is_closed()) return false;
      input_ += got;
    }
    return true;
  }
  [[nodiscard]] const std::string& unread() const { return input_; }

  net::TestPeer peer;

 private:
  bool more() {
    const std::string got = peer.read();
    input_ += got;
    return !got.empty();
  }
  std::string input_;
};

[[nodiscard]] inline std::string request_text(std::string_view method, std::string_view target,
                                              std::string_view token = {}, std::string_view body = {},
                                              std::string_view fields = {}) {
  std::string text =
      std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields);
  if (!token.empty()) text += "Authorization: Bearer " + std::string(token) + "\r\n";
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text + "\r\n" + std::string(body);
}

}  // namespace godwit::api
