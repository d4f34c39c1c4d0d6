#include "tools/fleet/stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace godwit::fleet {

double rounded(double value, double unit) { return std::round(value / unit) * unit; }
double seconds_since(Steady::time_point begun) { return std::chrono::duration<double>(Steady::now() - begun).count(); }

json::Object print_counts(const std::map<std::string, std::uint64_t>& counts) {
  json::Object object;
  for (const auto& [name, count] : counts) object[name] = count;
  return object;
}

void Stretch::print(json::Object& into, std::uint64_t count) const {
  const double seconds = seconds_since(begun_);
  into["seconds"] = rounded(seconds, 0.001);
  into["per_second"] = rounded(static_cast<double>(count) / std::max(seconds, 0.001), 0.1);
  const auto after = look();
  if (!before_ || !after) return;
  const double cpu = after->cpu_seconds - before_->cpu_seconds;
  into["server_cpu_seconds"] = rounded(cpu, 0.01);
  if (cpu > 0) into["per_server_cpu_second"] = rounded(static_cast<double>(count) / cpu, 0.1);
  into["server_resident_kib"] = after->resident_kib;
  into["server_resident_kib_before"] = before_->resident_kib;
}

std::optional<ServerUse> Stretch::look() const {
  if (server_ == 0) return std::nullopt;
  const auto use = read_server_use(server_);
  return use ? std::optional(*use) : std::nullopt;
}

Result<void> Stage::open() {
  FleetOptions fleet_options{.hub = options.hub,
                             .hub_name = options.hub_name,
                             .filters = options.filters,
                             .is_clean = options.is_clean,
                             .connecting = options.connecting,
                             .connects_per_second = options.connects_per_second,
                             .smallest_backoff = options.smallest_backoff,
                             .largest_backoff = options.largest_backoff};
  if (is_loopback(ntohl(options.hub.sin_addr.s_addr))) {
    GODWIT_TRY(auto sources,
               SourceAddresses::make(options.first_source, options.devices_per_source, options.identities.size()));
    fleet_options.sources = sources;
  }
  GODWIT_TRY(tls, TlsClient::make(options.ca, options.host, options.resume));
  fleet = std::make_unique<Fleet>(std::move(fleet_options), std::move(options.identities), *tls, random);
  return fleet->open();
}

Result<void> Stage::connect(std::size_t count) {
  const auto begun = Steady::now();
  fleet->want(count);
  fleet->run_until([&] { return stop || fleet->ready() >= count || seconds_since(begun) > options.connect_seconds; });
  if (fleet->ready() >= count) return {};
  std::string why;
  for (const auto& [reason, times] : fleet->counts().errors) why += fmt::format("; {} times {}", times, reason);
  return fail(
      stop ? Code::cancelled : Code::unavailable,
      fmt::format("{} of {} devices are ready after {:.0f} s{}", fleet->ready(), count, seconds_since(begun), why));
}

Result<void> Stage::connect_all() {
  const Stretch stretch(options.server);
  const std::size_t count = fleet->devices().size();
  GODWIT_TRY_VOID(connect(count));
  json::Object milestone{{"event", "ready"}, {"devices", count}};
  stretch.print(milestone, count);
  tell(milestone);
  return {};
}

void Stage::print(json::Object& figures) const {
  const FleetCounts& counts = fleet->counts();
  figures["connects"] = counts.connects;
  figures["lost"] = counts.lost;
  figures["connection_errors"] = print_counts(counts.errors);
  figures["connect_ms"] = print_times(fleet->connect_times());
  figures["seed"] = options.seed;
}

}  // namespace godwit::fleet
