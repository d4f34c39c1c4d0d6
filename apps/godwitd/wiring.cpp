#include "apps/godwitd/wiring.hpp"

#include <arpa/inet.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <filesystem>
#include <functional>
#include <optional>

#include "apps/godwitd/instance.hpp"
#include "apps/godwitd/instances.hpp"
#include "apps/godwitd/root_keys.hpp"
#include "apps/godwitd/signing_key.hpp"
#include "core/base/service_manager.hpp"
#include "server/api/console/console_files.hpp"
#include "server/api/metrics.hpp"
#include "server/api/server.hpp"
#include "server/hub/hub.hpp"

namespace godwit::daemon {
namespace {

constexpr Duration kGrace = std::chrono::seconds(10);  // for running requests after a signal
constexpr std::size_t kRequestQueue = 256;

[[nodiscard]] sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

/// Waits for a signal; a second one then ends the process at once. Meanwhile the service manager hears that we are
/// alive as long as `look` returns, whatever it finds: a full disk is no reason for a restart, a stuck store is one.
[[nodiscard]] int wait_for_signal(const ServiceManager& manager, const std::function<std::string()>& look) {
  const sigset_t set = stop_signals();
  int number = -1;
  while (number < 0) {
    if (!manager.watchdog_pause()) {
      if (sigwait(&set, &number) != 0) number = -1;
      continue;
    }
    const auto pause = manager.watchdog_pause()->count();
    const timespec time{.tv_sec = pause / 1000, .tv_nsec = pause % 1000 * 1'000'000};
    number = sigtimedwait(&set, nullptr, &time);
    if (number >= 0) break;
    const std::string problem = look();
    manager.alive();
    manager.status(problem.empty() ? "serving" : "not ready: " + problem);
  }
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return number;
}

/// What holds for the whole process.
void prepare_process() {
  ::umask(0077);
  ::mallopt(M_ARENA_MAX, 2);  // each arena keeps its own free memory; handlers are few and short
  ::mallopt(M_MXFAST, 0);     // fast bins are swept at each large free, and TLS frees a large buffer for each packet
  // Each device is a socket; the usual soft limit of 1024 is for programs that use select().
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

/// A port that is free now, and not `taken`. Links and assignments carry ports, so they are known before the servers.
[[nodiscard]] Result<std::uint16_t> choose_port(std::int64_t configured, std::uint16_t taken = 0) {
  if (configured != 0) return static_cast<std::uint16_t>(configured);
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof address;
  if (!probe || ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return tl::unexpected<Error>{error_from_errno("find a free port", errno)};
  const std::uint16_t port = ntohs(address.sin_port);
  if (port == taken) return choose_port(configured, taken);  // this probe still holds it, so another one comes
  return port;
}

/// What links begin with.
[[nodiscard]] std::string base_url_of(const Config& config, std::uint16_t api_port) {
  if (!config.api_public_url.empty()) return config.api_public_url;
  return "https://" + config.api_host + ":" + std::to_string(api_port);
}

/// The package is checked against the anchors that devices got: a wrong one would make every device refuse every
/// update.
[[nodiscard]] Result<api::PublishedRootKeys> load_root_keys(const Layout& layout) {
  GODWIT_TRY(RootKeys kept, read_root_keys(layout));
  const trust::RootKeyPackage& package = kept.package;
  return api::PublishedRootKeys{
      .version = package.version,
      .document = std::move(kept.text),
      .published = from_unix_ms(package.published * 1000),
      .expires = package.expires == 0 ? std::nullopt : std::optional(from_unix_ms(package.expires * 1000))};
}

void warn_of_root_keys(const api::PublishedRootKeys& root_keys, WallTime now, Log& log) {
  if (!root_keys.expires || *root_keys.expires - now > trust::kRootKeysNotice) return;
  log.warning(*root_keys.expires <= now ? "root_keys.ended" : "root_keys.end_soon",
              {{"version", root_keys.version},
               {"expires", format_time(*root_keys.expires)},
               {"remedy", "devices refuse updates after that: godwitd root-keys renew"}});
}

void warn_of_signing_key(const Layout& layout, Log& log) {
  const auto key = read_signing_key(layout);
  if (key && !key->refusal.empty())
    log.warning("signing_key.refused", {{"key", key->name},
                                        {"reason", key->refusal},
                                        {"remedy", "devices refuse every update: godwitd signing-key replace"}});
}

/// What stands still: files of the installation, and the ports that links name.
struct Files {
  net::TlsContext tls;
  net::TlsContext device_tls;
  api::PublishedRootKeys root_keys;
  std::uint16_t api_port = 0;
  std::uint16_t hub_port = 0;
};
[[nodiscard]] Result<Files> load_files(const Config& config, const Layout& layout) {
  GODWIT_TRY_VOID(finish_key_change(layout));
  // Devices may prove themselves by certificate on both ports; browsers and operators are not asked for any.
  GODWIT_TRY(auto tls, net::TlsContext::make_server(layout.server_certificate(), layout.server_key(),
                                                    net::ClientCertificates::requested_without_alpn));
  GODWIT_TRY(auto device_tls, net::TlsContext::make_server(layout.server_certificate(), layout.server_key(),
                                                           net::ClientCertificates::requested));
  GODWIT_TRY(api::PublishedRootKeys root_keys, load_root_keys(layout));
  GODWIT_TRY(const std::uint16_t api_port, choose_port(config.api_port));
  GODWIT_TRY(const std::uint16_t hub_port, choose_port(config.hub_port, api_port));
  return Files{.tls = std::move(tls),
               .device_tls = std::move(device_tls),
               .root_keys = std::move(root_keys),
               .api_port = api_port,
               .hub_port = hub_port};
}

[[nodiscard]] api::ServerLimits server_limits_of(const Config& config) {
  api::ServerLimits limits;
  limits.throttle = {
      .reads = config.throttle_reads, .writes = config.throttle_writes, .deployments = config.throttle_deployments};
  return limits;
}

void log_started(Log& log, const Layout& layout, std::uint16_t hub, std::uint16_t api, const std::string& base_url) {
  log.info("godwitd.started", {{"version", GODWIT_VERSION},
                               {"hub_port", hub},
                               {"api_port", api},
                               {"api", base_url},
                               {"data", layout.data.string()}});
}

[[nodiscard]] Result<void> write_ports(const Layout& layout, std::uint16_t hub, std::uint16_t api) {
  json::Object ports;
  ports["hub"] = hub;
  ports["api"] = api;
  ports["pid"] = ::getpid();
  GODWIT_TRY_VOID(make_folders(layout.ports().parent_path()));
  return write_file_durably(layout.ports(), json::print(ports) + "\n", 0644);
}

using Instances = std::vector<std::unique_ptr<Instance>>;

/// The first one, then the further ones.
[[nodiscard]] Result<Instances> open_instances(const Config& config, const Layout& layout, const Premises& premises) {
  GODWIT_TRY(const auto further, find_instances(config, layout));
  Instances instances;
  GODWIT_TRY(auto first, Instance::open(config, layout, premises, nullptr));
  // From here on the folder is ours alone; ports of a process that was killed are no longer true.
  std::error_code ignored;
  std::filesystem::remove(layout.ports(), ignored);
  instances.push_back(std::move(first));
  for (const auto& one : further) {
    auto opened = Instance::open(one.config, one.layout, premises, instances.front().get());
    if (!opened) return with_context("instance '" + one.id + "'", opened.error());
    instances.push_back(*std::move(opened));
  }
  return instances;
}

/// The first instance's hub listens for all; a device that means another one is passed on.
void join_hubs(Instances& instances) {
  if (instances.size() == 1) return;
  instances.front()->hub().pass_on_with([&instances](std::string_view user_name) -> hub::Hub* {
    for (const auto& instance : instances)
      if (instance->hub().is_meant_by(user_name)) return &instance->hub();
    return nullptr;
  });
}

/// The console's files; none is no reason not to start, since devices need none.
[[nodiscard]] std::optional<api::ConsoleFiles> load_console(const Config& config, Log& log) {
  std::error_code error;
  const Path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const Path beside = program.parent_path().parent_path() / "share" / "godwit" / "console";
  const Path folder = config.console_folder.empty() ? beside : Path(config.console_folder);
  auto files = api::ConsoleFiles::load(folder);
  if (!files) {
    log.warning("godwitd.no_console", {{"problem", files.error().message}});
    return std::nullopt;
  }
  log.info("godwitd.console", {{"folder", folder.string()}, {"files", files->count()}});
  return *std::move(files);
}

[[nodiscard]] std::string why_not_ready(const Instances& instances) {
  for (const auto& instance : instances)
    if (const std::string reason = instance->why_not_ready(); !reason.empty())
      return instances.size() == 1 ? reason : "instance '" + instance->id() + "': " + reason;
  return "";
}

/// What runs.
struct Running {
  net::Loop& loop;
  api::WorkerPool& workers;
  api::Server& server;
  Instances& instances;
  const ServiceManager& manager;
};

/// The further hubs first: from the moment on which the first one listens, devices may be passed on.
[[nodiscard]] Result<void> start_hubs(Instances& instances) {
  for (auto instance = instances.rbegin(); instance != instances.rend(); ++instance)
    GODWIT_TRY_VOID((*instance)->start_hub());
  return {};
}

/// Starts all of it, waits for a signal, ends all of it.
[[nodiscard]] Result<void> serve(const Running& running, const Config& config, const Layout& layout,
                                 std::uint16_t api_port, const std::string& base_url, Log& log) {
  Instances& instances = running.instances;
  running.loop.start();
  for (const auto& instance : instances) instance->start();
  const auto stop_all = [&] {
    for (const auto& instance : instances) instance->stop_streams();  // they would go on for ever
    running.server.stop(kGrace);                                      // nothing new comes in, what runs may end
    running.workers.stop();
    running.loop.stop();
    for (const auto& instance : instances) instance->stop();  // the first one's hub first: it passes devices on
  };
  Result<void> served = start_hubs(instances);
  hub::Hub& hub = instances.front()->hub();
  if (served) served = running.server.open(config.api_address, api_port);
  if (served) served = write_ports(layout, hub.port(), running.server.port());
  if (served) {
    log_started(log, layout, hub.port(), running.server.port(), base_url);
    running.manager.ready();
    log.info("godwitd.stopping",
             {{"signal", wait_for_signal(running.manager, [&instances] { return why_not_ready(instances); })}});
    running.manager.stopping();
  }
  stop_all();
  if (!served) return served;
  std::error_code ignored;
  std::filesystem::remove(layout.ports(), ignored);
  log.info("godwitd.stopped");
  return {};
}

}  // namespace

void block_signals() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Result<void> run(const Config& config, const Layout& layout, Log& log) {
  prepare_process();
  const auto manager = ServiceManager::from_environment();

  SystemClock clock;
  GODWIT_TRY(Files files, load_files(config, layout));
  const Premises premises{.layout = layout,
                          .device_tls = files.device_tls,
                          .root_key_package = files.root_keys.version,
                          .hub_port = files.hub_port,
                          .base_url = base_url_of(config, files.api_port),
                          .clock = clock,
                          .log = log};
  GODWIT_TRY(Instances instances, open_instances(config, layout, premises));
  join_hubs(instances);

  api::WorkerPool workers(static_cast<std::size_t>(config.api_workers), kRequestQueue);
  api::Metrics metrics;
  Instance& first = *instances.front();
  first.services().metrics = &metrics;
  first.services().queued_requests = [&workers] { return workers.queued(); };
  const std::optional<api::ConsoleFiles> console = load_console(config, log);
  for (const auto& instance : instances) instance->services().console = console ? &*console : nullptr;
  for (const auto& instance : instances) instance->services().root_keys = &files.root_keys;
  warn_of_root_keys(files.root_keys, clock.now(), log);
  warn_of_signing_key(layout, log);
  first.services().why_not_ready = [&instances] { return why_not_ready(instances); };
  std::vector<api::Tenant> further;
  for (std::size_t i = 1; i < instances.size(); ++i)
    further.push_back({&instances[i]->services(), &instances[i]->access()});
  net::Loop loop("api");
  api::Server server(
      loop, files.tls, first.services(), first.access(), workers, api::make_router(config.api_open_metrics),
      server_limits_of(config), [&first](hub::WebSocketArrival arrival) { first.hub().adopt(std::move(arrival)); },
      std::move(further));

  auto served = serve({.loop = loop, .workers = workers, .server = server, .instances = instances, .manager = manager},
                      config, layout, files.api_port, premises.base_url, log);
  while (instances.size() > 1) instances.pop_back();  // they hold on to the first
  return served;
}

}  // namespace godwit::daemon
