#include "server/api/server.hpp"

#include <algorithm>
#include <thread>

#include "core/base/text.hpp"
#include "server/api/connection.hpp"

namespace godwit::api {
namespace {

[[nodiscard]] Duration sweep_interval(const ServerLimits& limits) {
  const Duration shortest =
      std::min({limits.handshake_time, limits.head_time, limits.idle_time, limits.body_time, limits.write_time,
                limits.drain_time, limits.deferred_time, limits.heartbeat_time, limits.stream_time});
  return std::clamp<Duration>(shortest / 4, std::chrono::milliseconds(20), std::chrono::seconds(1));
}

void arm_sweep(Rim& rim) {
  rim.sweep_timer.expires_after(sweep_interval(rim.limits));
  rim.sweep_timer.async_wait([&rim](const net::ErrorCode& error) {
    if (error || rim.is_stopping) return;
    std::vector<std::shared_ptr<HttpConnection>> all;
    all.reserve(rim.connections.size());
    for (const auto& [key, connection] : rim.connections) all.push_back(connection);
    const Duration now = rim.services.clock.monotonic();
    for (const auto& connection : all) connection->check_deadline(now);
    arm_sweep(rim);
  });
}

void take(Rim& rim, net::Tcp::socket socket) {
  if (rim.is_stopping || rim.connections.size() >= rim.limits.connections) return;  // closes the socket
  auto connection = std::make_shared<HttpConnection>(std::move(socket), rim);
  std::size_t& from_there = rim.by_address[connection->peer()];
  if (from_there >= rim.limits.connections_per_address) {
    rim.services.log.debug("api.too_many_connections", {{"peer", connection->peer()}});
    return;
  }
  ++from_there;
  ++rim.count;
  rim.connections.emplace(connection.get(), connection);
  connection->start();
}

}  // namespace

Tenant Rim::tenant_of(const Match& match, Family family, const Head& head) const {
  const auto by_id = [this](std::string_view id) {
    return std::find_if(further.begin(), further.end(),
                        [id](const Tenant& t) { return t.services->instance_id == id; });
  };
  auto found = further.end();
  if (const auto given = match.parameters.find("instanceId"); given != match.parameters.end()) {
    found = by_id(given->second);
  } else if (family == Family::iothub || family == Family::provisioning) {
    if (const auto named = head.header("x-godwit-instance"); !named.empty()) {
      found = by_id(named);
    } else {
      const std::string_view host = head.header("host");
      const std::string_view name = host.substr(0, std::min(host.find(':'), host.size()));
      found = std::find_if(further.begin(), further.end(),
                           [name](const Tenant& t) { return equal_in_any_case(t.services->hub_name, name); });
    }
  }
  return found != further.end() ? *found : Tenant{&services, &access};
}

void Rim::forget(HttpConnection& connection) {
  if (connections.erase(&connection) == 0) return;
  --count;
  const auto found = by_address.find(connection.peer());
  if (found != by_address.end() && --found->second == 0) by_address.erase(found);
}

Server::Server(net::Loop& loop, const net::TlsContext& tls, Services& services, Access& access, WorkerPool& workers,
               Router router, ServerLimits limits, WebSocketDoor websockets, std::vector<Tenant> further)
    : rim_(new Rim{.loop = loop,
                   .tls = tls,
                   .services = services,
                   .access = access,
                   .further = std::move(further),
                   .workers = workers,
                   .router = std::move(router),
                   .limits = limits,
                   .websockets = std::move(websockets),
                   .throttle = Throttle(services.clock, limits.throttle),
                   .acceptor = net::Acceptor(loop.context(), services.log,
                                             [this](net::Tcp::socket socket) { take(*rim_, std::move(socket)); }),
                   .sweep_timer = net::asio::steady_timer(loop.context())}) {}

Server::~Server() { stop(Duration{0}); }

Result<void> Server::open(const std::string& address, std::uint16_t port) {
  Result<void> opened;
  rim_->loop.run_and_wait([&] {
    opened = rim_->acceptor.open(address, port);
    if (opened) arm_sweep(*rim_);
  });
  return opened;
}

std::uint16_t Server::port() const { return rim_->acceptor.port(); }

std::size_t Server::connections() const { return rim_->count; }

std::size_t Server::deferred() const { return *rim_->deferred; }

void Server::stop(Duration grace) {
  const auto all = [this] {
    std::vector<std::shared_ptr<HttpConnection>> list;
    for (const auto& [key, connection] : rim_->connections) list.push_back(connection);
    return list;
  };
  rim_->loop.run_and_wait([&] {
    rim_->is_stopping = true;
    rim_->acceptor.close();
    rim_->sweep_timer.cancel();
    for (const auto& connection : all()) connection->stop_soon();
  });
  const auto until = std::chrono::steady_clock::now() + grace;
  while (rim_->count > 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  rim_->loop.run_and_wait([&] {
    for (const auto& connection : all()) connection->end_now();
  });
  rim_->door->shut();
}

}  // namespace godwit::api
