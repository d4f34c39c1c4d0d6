#include "apps/godwitd/importing.hpp"

namespace godwit::daemon {
namespace {

service::ImportOptions options_of(const Config& config, service::Scanner* scanner, const Path& scratch) {
  const auto count = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
  return {.scanner = scanner,
          .largest_scan = config.scan_largest_file.value,
          .is_scan_required = config.import_require_scan,
          .quotas = {.providers = count(config.quota_providers),
                     .names_per_provider = count(config.quota_names_per_provider),
                     .versions_per_name = count(config.quota_versions_per_name),
                     .updates = count(config.quota_updates),
                     .file_size = config.quota_file_size.value,
                     .import_size = config.quota_import_size.value,
                     .storage = config.quota_storage.value},
          .deltas = {.versions = count(config.delta_versions),
                     .least_saving_percent = static_cast<unsigned>(config.delta_least_saving),
                     .largest_file = config.delta_largest_file.value,
                     .time_limit = config.delta_time_limit,
                     .level = static_cast<int>(config.delta_level),
                     .folder = scratch},
          .keep_unused = config.blobs_keep_unused,
          .keep_partial = config.blobs_keep_upload};
}

}  // namespace

Importing::Importing(const Config& config, std::unique_ptr<service::Scanner> scanner, store::Store& store,
                     blobs::Blobs& blobs, Clock& clock, Log& log, service::SigningIdentity identity,
                     const Path& scratch)
    : fetcher_(service::FetchLimits{.allow_private_addresses = config.import_allow_private_addresses,
                                    .ca_file = config.import_ca_file}),
      scanner_(std::move(scanner)),
      importer_(store, blobs, fetcher_, clock, log, std::move(identity), options_of(config, scanner_.get(), scratch)),
      blob_check_(store, blobs, clock, log,
                  {.bytes_per_second = config.blobs_check_rate.value, .every = config.blobs_check_every}) {}

Result<std::unique_ptr<Importing>> make_importing(const Config& config, store::Store& store, blobs::Blobs& blobs,
                                                  Clock& clock, Log& log, service::SigningIdentity identity,
                                                  const Path& scratch) {
  GODWIT_TRY(auto scanner, service::make_scanner(scan_settings_of(config)));
  return std::make_unique<Importing>(config, std::move(scanner), store, blobs, clock, log, std::move(identity),
                                     scratch);
}

void Importing::start() {
  importer_.begin();
  blob_check_.start();
}

void Importing::stop() {
  importer_.stop();
  blob_check_.stop();
}

}  // namespace godwit::daemon
