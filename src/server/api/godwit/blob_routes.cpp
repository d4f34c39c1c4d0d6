// The payload store as operators see it: how much is there, and what the check of it found.
#include "server/api/services.hpp"
#include "server/service/import/blob_check.hpp"

namespace godwit::api {
namespace {

Result<json::Object> describe_damaged(Services& services, const blobs::BlobInfo& blob) {
  bool is_needed = false;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(is_needed, records.catalog().is_blob_needed(blob.sha256));
    return {};
  }));
  return json::Object{{"sha256", hex_encode(blob.sha256)},
                      {"sizeInBytes", blob.size},
                      {"quarantinedDateTime", format_time_7(blob.used)},
                      {"isNeeded", is_needed}};
}

json::Object describe_check(const service::BlobCheck::Counters& counters) {
  json::Object object{{"isRunning", counters.is_running},
                      {"checkedBlobCount", counters.checked_blobs},
                      {"checkedBytes", counters.checked_bytes},
                      {"damagedBlobCount", counters.damaged_blobs}};
  if (counters.finished) object["finishedDateTime"] = format_time_7(*counters.finished);
  return object;
}

Result<Reply> describe_store(const Request&, Services& services) {
  const blobs::Usage usage = services.blobs.usage();
  GODWIT_TRY(const auto damaged, services.blobs.quarantined());
  json::Array quarantined;
  for (const blobs::BlobInfo& blob : damaged) {
    GODWIT_TRY(auto described, describe_damaged(services, blob));
    quarantined.emplace_back(std::move(described));
  }
  json::Object object{{"blobCount", usage.blobs},
                      {"sizeInBytes", usage.bytes},
                      {"uploadCount", usage.partial_uploads},
                      {"reservedBytes", usage.reserved},
                      {"quarantined", std::move(quarantined)}};
  if (services.blob_check != nullptr) object["check"] = describe_check(services.blob_check->counters());
  return Reply::json(std::move(object));
}

Result<Reply> begin_check(const Request&, Services& services) {
  if (services.blob_check == nullptr) return fail(Code::unsupported, "this service checks no payloads");
  GODWIT_TRY_VOID(services.blob_check->begin_round());
  return Reply{.status = 202};
}

}  // namespace

const std::vector<Route>& godwit_blob_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/godwit/v1/{instanceId}/blobs", Permission::updates_read, describe_store},
      {Method::post, "/godwit/v1/{instanceId}/blobs:check", Permission::updates_write, begin_check},
  };
  return routes;
}

}  // namespace godwit::api
