#include "apps/godwitd/instance.hpp"

#include "apps/godwitd/init.hpp"
#include "apps/godwitd/signing_key.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/blobs/disk/disk_blobs.hpp"
#include "server/hub/provisioning/registration_id.hpp"
#include "server/service/import/sign_anew.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::daemon {
namespace {

constexpr ByteCount kSmallFile = 64 * 1024;

[[nodiscard]] hub::Options hub_options_of(const Config& config, std::uint16_t port, bool is_first) {
  hub::Options options{.address = config.hub_address,
                       .port = port,
                       .listens = is_first,
                       .names = {config.hub_name},
                       .id_scope = config.dps_id_scope,
                       .assigned_hub = config.dps_assigned_hub};
  // Who dials the machine's own name means the first instance.
  if (is_first) options.names.push_back(config.api_host);
  if (options.id_scope.empty()) options.id_scope = hub::default_id_scope(config.hub_name);
  const std::string& host = is_first ? config.api_host : config.hub_name;
  // The port is named only when it is unusual: not every client takes one.
  if (options.assigned_hub.empty()) options.assigned_hub = port == 8883 ? host : host + ":" + std::to_string(port);
  return options;
}

/// Read at each request: certificates may be replaced, and which port was taken is known after the start.
[[nodiscard]] std::function<Result<json::Object>()> enrolment_facts(const Layout& layout, const hub::Options& options) {
  return [layout, scope = options.id_scope]() -> Result<json::Object> {
    GODWIT_TRY(std::string ca, read_file(layout.ca_certificate(), kSmallFile));
    GODWIT_TRY(std::string anchors, read_file(layout.trust_anchors(), kSmallFile));
    GODWIT_TRY(const std::string ports, read_file(layout.ports(), kSmallFile));
    GODWIT_TRY(const json::Object taken, json::parse_object(ports));
    GODWIT_TRY(const std::int64_t hub, json::integer(taken, "hub", layout.ports().string()));
    return json::Object{
        {"ca", std::move(ca)}, {"trustAnchors", std::move(anchors)}, {"idScope", scope}, {"hubPort", hub}};
  };
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

[[nodiscard]] service::SetDesired set_desired_through(hub::Hub& hub) {
  return [&hub](store::Records& records, const IdentityId& id, const json::Object& patch) -> Result<void> {
    GODWIT_TRY_VOID(hub.registry().change_twin(records, id, hub::TwinChange{.desired = patch}));
    return {};
  };
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

/// Links of a further instance name it, since all instances answer at one address.
[[nodiscard]] std::string base_url_of(const Config& config, const Premises& premises, bool is_first) {
  return is_first ? premises.base_url : premises.base_url + "/i/" + percent_encode(config.api_instance);
}

[[nodiscard]] std::vector<std::string> policy_hosts(const Config& config, bool is_first) {
  return is_first ? std::vector{config.hub_name, config.api_host} : std::vector{config.hub_name};
}

[[nodiscard]] api::Pulse::Sources pulse_sources(store::Store& store, hub::Hub& hub) {
  return {.commits = [&store] { return store.counters().commits; },
          .connects =
              [&hub] {
                const hub::Counters counters = hub.counters();
                return counters.connects + counters.disconnects;
              },
          .devices_online = [&hub] { return static_cast<std::uint64_t>(hub.counters().devices); }};
}

}  // namespace

/// What may fail while it is made.
struct Instance::Parts {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<blobs::Blobs> blobs;
  Telemetry telemetry;
  std::unique_ptr<Importing> importing;
  service::LogFiles log_files;
  Secret url_key;
};

Result<std::unique_ptr<Instance>> Instance::open(const Config& config, const Layout& layout, const Premises& premises,
                                                 Instance* first) {
  GODWIT_TRY(const auto sealer, load_or_make_sealer(layout));
  GODWIT_TRY(auto store, store::open_sqlite_store(layout.database(), sealer, premises.clock, premises.log));
  GODWIT_TRY(auto blobs,
             blobs::open_disk_blobs(layout.blobs(), premises.clock, {.storage_limit = config.quota_storage.value}));
  GODWIT_TRY(Telemetry telemetry, make_telemetry(config, premises.clock, premises.log));
  GODWIT_TRY(service::SigningIdentity identity, load_signing_identity(premises.layout));
  GODWIT_TRY_VOID(service::sign_anew(*store, identity, premises.log));
  GODWIT_TRY(auto importing,
             make_importing(config, *store, *blobs, premises.clock, premises.log, std::move(identity), layout.blobs()));
  GODWIT_TRY(auto log_files, service::LogFiles::open(layout.device_logs()));
  GODWIT_TRY(Secret url_key, load_url_key(layout));
  std::unique_ptr<Instance> instance(new Instance(config, layout, premises, first,
                                                  Parts{.store = std::move(store),
                                                        .blobs = std::move(blobs),
                                                        .telemetry = std::move(telemetry),
                                                        .importing = std::move(importing),
                                                        .log_files = std::move(log_files),
                                                        .url_key = std::move(url_key)}));
  GODWIT_TRY_VOID(instance->finish());
  if (first != nullptr) first->access().add_follower(instance->access());
  return instance;
}

Instance::Instance(const Config& config, const Layout& layout, const Premises& premises, Instance* first, Parts parts)
    : store_(std::move(parts.store)),
      blobs_(std::move(parts.blobs)),
      telemetry_(std::move(parts.telemetry)),
      hub_options_(hub_options_of(config, premises.hub_port, first == nullptr)),
      hub_(
          [this] {
            hub::Options options = hub_options_;
            options.telemetry = telemetry_.feed.get();
            return options;
          }(),
          *store_, observer_, premises.device_tls, premises.clock, premises.log),
      upload_urls_(base_url_of(config, premises, first == nullptr), parts.url_key),
      urls_(base_url_of(config, premises, first == nullptr), std::move(parts.url_key), config.link_lifetime),
      catalog_(*store_, premises.clock),
      inventory_(*store_, premises.clock, quotas_of(config)),
      importing_(std::move(parts.importing)),
      rollout_(*store_, premises.clock, premises.log, catalog_, inventory_, urls_, set_desired_through(hub_),
               rollout_options_of(config, premises.root_key_package)),
      logs_(*store_, premises.clock, premises.log, std::move(parts.log_files), upload_urls_, set_desired_through(hub_),
            log_options_of(config)),
      jobs_(*store_, premises.clock, premises.log, hub_.registry(), job_ports(hub_, premises.clock)),
      policies_(premises.clock, policy_hosts(config, first == nullptr)),
      pulse_(premises.clock, premises.log, pulse_sources(*store_, hub_), layout.pulse()),
      readiness_(*store_, premises.clock, layout.data, config.api_least_free_disk.value),
      access_(premises.clock, *store_, first != nullptr ? first->store_.get() : nullptr),
      services_{.clock = premises.clock,
                .log = premises.log,
                .store = *store_,
                .blobs = *blobs_,
                .registry = hub_.registry(),
                .importer = importing_->importer(),
                .catalog = catalog_,
                .inventory = inventory_,
                .rollout = rollout_,
                .urls = urls_,
                .hub = hub_doors(hub_),
                .telemetry = telemetry_.feed.get(),
                .webhook = telemetry_.webhook.get(),
                .pulse = &pulse_,
                .jobs = &jobs_,
                .blob_check = &importing_->blob_check(),
                .policies = &policies_,
                .access = &access_,
                .logs = &logs_,
                .scans =
                    [this] {
                      const auto counts = importing_->importer().scans();
                      return api::ScanFigures{.clean = counts.clean,
                                              .infected = counts.infected,
                                              .not_scanned = counts.not_scanned,
                                              .failed = counts.failed,
                                              .seconds = std::chrono::duration<double>(counts.took).count()};
                    },
                .deltas =
                    [this] {
                      const auto counts = importing_->importer().deltas();
                      return api::DeltaFigures{
                          .made = counts.made, .dropped = counts.dropped, .saved_bytes = counts.saved_bytes};
                    },
                .why_not_ready = [this] { return readiness_.why_not(); },
                .hub_name = config.hub_name,
                .instance_id = config.api_instance,
                .is_further = first != nullptr,
                .id_scope = hub_options_.id_scope,
                .assigned_hub = hub_options_.assigned_hub,
                .enrolment = first == nullptr ? enrolment_facts(layout, hub_options_) : nullptr,
                .recheck_certificates = [this] { hub_.recheck_certificates(); },
                .device_jobs = api::iothub::device_jobs} {
  observer_.set_rollout(rollout_);
  observer_.set_logs(logs_);
  catalog_.set_in_use(service::Rollout::is_update_in_use);
  catalog_.set_wake([this] { importing_->importer().wake(); });
  inventory_.set_wake([this] { rollout_.wake(); });
  access_.use_policies(policies_);
}

Instance::~Instance() = default;

Result<void> Instance::finish() {
  GODWIT_TRY_VOID(logs_.sweep());
  return policies_.load(*store_);  // a folder of an older version gets its policies here
}

void Instance::start() {
  importing_->start();
  rollout_.start();
  telemetry_.start();
  pulse_.start();
  jobs_.start();
  logs_.start();
}

void Instance::stop() {
  importing_->stop();
  rollout_.stop();
  jobs_.stop();
  logs_.stop();
  hub_.stop();
  if (telemetry_.webhook) telemetry_.webhook->stop();
}

}  // namespace godwit::daemon
