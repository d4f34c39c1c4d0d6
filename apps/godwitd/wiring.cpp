#include "apps/godwitd/wiring.hpp"

#include <arpa/inet.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "apps/godwitd/importing.hpp"
#include "apps/godwitd/init.hpp"
#include "apps/godwitd/messaging.hpp"
#include "apps/godwitd/observer.hpp"
#include "apps/godwitd/readiness.hpp"
#include "core/trust/root_keys.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/api/metrics.hpp"
#include "server/api/policies.hpp"
#include "server/api/server.hpp"
#include "server/blobs/disk/disk_blobs.hpp"
#include "server/hub/hub.hpp"
#include "server/hub/provisioning/registration_id.hpp"
#include "server/service/catalog/catalog.hpp"
#include "server/service/diagnostics/log_collections.hpp"
#include "server/service/download_urls.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::daemon {
namespace {

constexpr Duration kGrace = std::chrono::seconds(10);  // for running requests after a signal
constexpr std::size_t kRequestQueue = 256;
constexpr ByteCount kSmallFile = 64 * 1024;

[[nodiscard]] sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

/// Waits for a signal; a second one then ends the process at once.
[[nodiscard]] int wait_for_signal() {
  const sigset_t set = stop_signals();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
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

[[nodiscard]] hub::Options hub_options_of(const Config& config, std::uint16_t port) {
  hub::Options options{.address = config.hub_address,
                       .port = port,
                       .names = {config.hub_name, config.api_host},
                       .id_scope = config.dps_id_scope,
                       .assigned_hub = config.dps_assigned_hub};
  if (options.id_scope.empty()) options.id_scope = hub::default_id_scope(config.hub_name);
  // The port is named only when it is unusual: not every client takes one.
  if (options.assigned_hub.empty())
    options.assigned_hub = port == 8883 ? config.api_host : config.api_host + ":" + std::to_string(port);
  return options;
}

[[nodiscard]] Result<Secret> load_url_key(const Layout& layout) {
  GODWIT_TRY(std::string text, read_file(layout.url_key(), kSmallFile));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  auto key = base64_decode(text);
  if (!key || key->size() < 32)
    return fail(Code::invalid_argument,
                "'" + layout.url_key().string() + "' does not hold a key of 32 bytes in base64");
  return Secret(*std::move(key));
}

[[nodiscard]] Result<service::SigningIdentity> load_signing_identity(const Layout& layout) {
  GODWIT_TRY(const std::string pem, read_file(layout.signing_key(), kSmallFile));
  auto key = trust::PrivateKey::from_pem(pem);
  if (!key) return with_context(layout.signing_key().string(), key.error());
  GODWIT_TRY(std::string signed_jwk, read_file(layout.signed_jwk(), kSmallFile));
  return service::SigningIdentity{.key = *std::move(key), .signed_jwk = std::move(signed_jwk)};
}

struct PublishedRootKeys {
  std::int64_t version = 1;
  api::RootKeyDocuments documents;
};
/// The package is checked against the anchors that devices got: a wrong one would make every device refuse every
/// update.
[[nodiscard]] Result<PublishedRootKeys> load_root_keys(const Layout& layout) {
  GODWIT_TRY(const std::string anchors_text, read_file(layout.trust_anchors(), kSmallFile));
  auto anchors = trust::TrustAnchors::parse(anchors_text);
  if (!anchors) return with_context(layout.trust_anchors().string(), anchors.error());
  GODWIT_TRY(std::string text, read_file(layout.root_key_package(), kSmallFile));
  const auto package = trust::verify_root_key_package(text, *anchors, 0);
  if (!package) return with_context(layout.root_key_package().string(), package.error());
  PublishedRootKeys published{.version = package->version, .documents = {}};
  published.documents.emplace("rootkeypackage-" + std::to_string(package->version) + ".json", std::move(text));
  return published;
}

/// What stands still: files of the installation, and the ports that links name.
struct Files {
  net::TlsContext tls;
  net::TlsContext device_tls;  // devices may prove themselves by certificate; browsers and operators are not asked
  Secret url_key;
  service::SigningIdentity identity;
  PublishedRootKeys root_keys;
  std::uint16_t api_port = 0;
  std::uint16_t hub_port = 0;
};
[[nodiscard]] Result<Files> load_files(const Config& config, const Layout& layout) {
  GODWIT_TRY(auto tls, net::TlsContext::make_server(layout.server_certificate(), layout.server_key()));
  GODWIT_TRY(auto device_tls, net::TlsContext::make_server(layout.server_certificate(), layout.server_key(),
                                                           net::ClientCertificates::requested));
  GODWIT_TRY(Secret url_key, load_url_key(layout));
  GODWIT_TRY(service::SigningIdentity identity, load_signing_identity(layout));
  GODWIT_TRY(PublishedRootKeys root_keys, load_root_keys(layout));
  GODWIT_TRY(const std::uint16_t api_port, choose_port(config.api_port));
  GODWIT_TRY(const std::uint16_t hub_port, choose_port(config.hub_port, api_port));
  return Files{.tls = std::move(tls),
               .device_tls = std::move(device_tls),
               .url_key = std::move(url_key),
               .identity = std::move(identity),
               .root_keys = std::move(root_keys),
               .api_port = api_port,
               .hub_port = hub_port};
}

[[nodiscard]] service::SetDesired set_desired_through(hub::Hub& hub) {
  return [&hub](store::Records& records, const IdentityId& id, const json::Object& patch) -> Result<void> {
    GODWIT_TRY_VOID(hub.registry().change_twin(records, id, hub::TwinChange{.desired = patch}));
    return {};
  };
}

[[nodiscard]] api::ServerLimits server_limits_of(const Config& config) {
  api::ServerLimits limits;
  limits.throttle = {
      .reads = config.throttle_reads, .writes = config.throttle_writes, .deployments = config.throttle_deployments};
  return limits;
}

[[nodiscard]] service::LogOptions log_options_of(const Config& config) {
  return {.instance_id = config.api_instance,
          .deadline = config.logs_deadline,
          .retention = config.logs_retention,
          .agent_bytes = config.logs_device_bytes.value,
          .total_bytes = config.logs_total_bytes.value};
}

[[nodiscard]] service::FleetQuotas quotas_of(const Config& config) {
  return {.devices = static_cast<std::uint64_t>(config.limit_devices),
          .groups = static_cast<std::uint64_t>(config.limit_groups),
          .classes = static_cast<std::uint64_t>(config.limit_classes)};
}

[[nodiscard]] service::RolloutOptions rollout_options_of(const Config& config, std::int64_t root_key_package) {
  return {.root_key_package_version = root_key_package,
          .limits = {.live = static_cast<std::uint64_t>(config.limit_active_deployments),
                     .total = static_cast<std::uint64_t>(config.limit_deployments)},
          .deadlines = {.silence = config.silence_deadline, .total = config.total_deadline}};
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

/// What runs.
struct Parts {
  net::Loop& loop;
  api::WorkerPool& workers;
  api::Server& server;
  hub::Hub& hub;
  Importing& importing;
  service::Rollout& rollout;
  Telemetry& telemetry;
  hub::jobs::ScheduledJobs& jobs;
  service::LogCollections& logs;
};

/// Starts all of it, waits for a signal, ends all of it.
[[nodiscard]] Result<void> serve(const Parts& parts, const Config& config, const Layout& layout, std::uint16_t api_port,
                                 const std::string& base_url, Log& log) {
  parts.loop.start();
  parts.importing.start();
  parts.rollout.start();
  parts.telemetry.start();
  parts.jobs.start();
  parts.logs.start();
  const auto stop_all = [&] {
    parts.telemetry.feed->stop();  // ends its streams, which would go on for ever
    parts.server.stop(kGrace);     // nothing new comes in, what runs may end
    parts.workers.stop();
    parts.loop.stop();
    parts.importing.stop();
    parts.rollout.stop();
    parts.jobs.stop();
    parts.logs.stop();
    parts.hub.stop();
    if (parts.telemetry.webhook) parts.telemetry.webhook->stop();
  };
  Result<void> served = parts.hub.start();
  if (served) served = parts.server.open(config.api_address, api_port);
  if (served) served = write_ports(layout, parts.hub.port(), parts.server.port());
  if (served) {
    log_started(log, layout, parts.hub.port(), parts.server.port(), base_url);
    log.info("godwitd.stopping", {{"signal", wait_for_signal()}});
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

  SystemClock clock;
  GODWIT_TRY(Files files, load_files(config, layout));
  hub::Options hub_options = hub_options_of(config, files.hub_port);

  // Records and payloads. From here on the folder is ours alone; ports of a process that was killed are no longer true.
  GODWIT_TRY(const auto sealer, load_or_make_sealer(layout));
  GODWIT_TRY(const auto store, store::open_sqlite_store(layout.database(), sealer, clock, log));
  std::error_code ignored;
  std::filesystem::remove(layout.ports(), ignored);
  GODWIT_TRY(const auto blobs,
             blobs::open_disk_blobs(layout.blobs(), clock, {.storage_limit = config.quota_storage.value}));

  // What devices say unasked goes past the hub to whoever listens.
  GODWIT_TRY(Telemetry telemetry, make_telemetry(config, clock, log));

  // The hub tells the rollout what devices are; the rollout tells the hub's registry what they should be.
  ServiceObserver observer;
  hub_options.telemetry = telemetry.feed.get();
  hub::Hub hub(hub_options, *store, observer, files.device_tls, clock, log);

  // The service.
  const std::string base_url = base_url_of(config, files.api_port);
  const service::UploadUrls upload_urls(base_url, files.url_key);
  service::DownloadUrls urls(base_url, std::move(files.url_key), config.link_lifetime);
  service::Catalog catalog(*store, clock);
  service::Inventory inventory(*store, clock, quotas_of(config));
  GODWIT_TRY(const auto importing, make_importing(config, *store, *blobs, clock, log, std::move(files.identity)));
  service::Rollout rollout(*store, clock, log, catalog, inventory, urls, set_desired_through(hub),
                           rollout_options_of(config, files.root_keys.version));
  observer.set_rollout(rollout);
  catalog.set_in_use(service::Rollout::is_update_in_use);
  catalog.set_wake([&importing] { importing->importer().wake(); });
  inventory.set_wake([&rollout] { rollout.wake(); });

  GODWIT_TRY(auto log_files, service::LogFiles::open(layout.device_logs()));
  service::LogCollections logs(*store, clock, log, std::move(log_files), upload_urls, set_desired_through(hub),
                               log_options_of(config));
  observer.set_logs(logs);
  GODWIT_TRY_VOID(logs.sweep());

  hub::jobs::ScheduledJobs jobs(*store, clock, log, hub.registry(), job_ports(hub, clock));

  // The rim. A folder of an older version gets its policies here.
  api::Policies policies(clock, {config.hub_name, config.api_host});
  GODWIT_TRY_VOID(policies.load(*store));
  api::WorkerPool workers(static_cast<std::size_t>(config.api_workers), kRequestQueue);
  Readiness readiness(*store, clock, layout.data, config.api_least_free_disk.value);
  api::Metrics metrics;
  api::Access access(clock, *store);
  access.use_policies(policies);
  api::Services services{.clock = clock,
                         .log = log,
                         .store = *store,
                         .blobs = *blobs,
                         .registry = hub.registry(),
                         .importer = importing->importer(),
                         .catalog = catalog,
                         .inventory = inventory,
                         .rollout = rollout,
                         .urls = urls,
                         .hub = hub_doors(hub),
                         .telemetry = telemetry.feed.get(),
                         .webhook = telemetry.webhook.get(),
                         .jobs = &jobs,
                         .blob_check = &importing->blob_check(),
                         .policies = &policies,
                         .access = &access,
                         .logs = &logs,
                         .metrics = &metrics,
                         .queued_requests = [&workers] { return workers.queued(); },
                         .why_not_ready = [&readiness] { return readiness.why_not(); },
                         .hub_name = config.hub_name,
                         .instance_id = config.api_instance,
                         .id_scope = hub_options.id_scope,
                         .assigned_hub = hub_options.assigned_hub,
                         .recheck_certificates = [&hub] { hub.recheck_certificates(); },
                         .device_jobs = api::iothub::device_jobs};
  net::Loop loop("api");
  api::Server server(loop, files.tls, services, access, workers,
                     api::make_router(config.api_instance, config.api_open_metrics),
                     std::move(files.root_keys.documents), server_limits_of(config),
                     [&hub](hub::WebSocketArrival arrival) { hub.adopt(std::move(arrival)); });

  return serve({.loop = loop,
                .workers = workers,
                .server = server,
                .hub = hub,
                .importing = *importing,
                .rollout = rollout,
                .telemetry = telemetry,
                .jobs = jobs,
                .logs = logs},
               config, layout, files.api_port, base_url, log);
}

}  // namespace godwit::daemon
