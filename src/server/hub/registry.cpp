#include "server/hub/registry.hpp"

#include <utility>

#include "core/base/bytes.hpp"

namespace godwit::hub {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSmallestKey = 16;
constexpr std::size_t kLargestKey = 64;
constexpr std::size_t kStatusReasonLimit = 128;

tl::unexpected<Error> no_such_device(const DeviceId& id) {
  return fail(Code::not_found, "device '" + id.str() + "' does not exist");
}

Result<void> check_identity(const NewIdentity& wanted) {
  for (const auto& [key, name] :
       {std::pair{&wanted.primary_key, "primary"}, std::pair{&wanted.secondary_key, "secondary"}})
    if (!key->empty() && (key->size() < kSmallestKey || key->size() > kLargestKey))
      return fail(Code::invalid_argument, std::string("the ") + name + " key has " + std::to_string(key->size()) +
                                              " bytes; 16 to 64 are allowed");
  if (wanted.status_reason.size() > kStatusReasonLimit)
    return fail(Code::too_large, "the status reason has more than 128 bytes");
  return {};
}

std::string key_or_random(const std::string& key) { return key.empty() ? random_bytes(kKeyBytes) : key; }

Result<void> check_etag(std::optional<std::uint64_t> wanted, std::uint64_t present, std::string_view what) {
  if (!wanted || *wanted == present) return {};
  return fail(Code::precondition_failed,
              std::string(what) + " is at " + std::to_string(present) + ", not at " + std::to_string(*wanted));
}

/// What a device is told: the patch as it was written (nulls kept) and the version it leads to.
std::string patch_payload(json::Object patch, std::uint64_t version) {
  patch.erase("$metadata");
  patch["$version"] = version;
  return json::print(patch);
}

}  // namespace

Registry::Registry(Clock& clock, TwinObserver& observer, PushDesired push, DropDevice drop, twin::Limits limits)
    : clock_(clock), observer_(observer), push_(std::move(push)), drop_(std::move(drop)), limits_(limits) {}

Result<store::DeviceIdentity> Registry::create(store::Records& records, const NewIdentity& wanted) const {
  GODWIT_TRY_VOID(check_identity(wanted));
  store::DeviceIdentity identity{.id = wanted.id,
                                 .is_enabled = wanted.is_enabled,
                                 .status_reason = wanted.status_reason,
                                 .primary_key = Secret{key_or_random(wanted.primary_key)},
                                 .secondary_key = Secret{key_or_random(wanted.secondary_key)},
                                 .generation = hex_encode(random_bytes(8)),
                                 .etag = 1,
                                 .created = clock_.now()};
  GODWIT_TRY_VOID(records.devices().insert_identity(identity, identity.created));
  GODWIT_TRY_VOID(observer_.on_device_created(records, identity.id));
  return identity;
}

Result<store::DeviceIdentity> Registry::update(store::Records& records, const NewIdentity& wanted,
                                               std::optional<std::uint64_t> if_etag) const {
  GODWIT_TRY_VOID(check_identity(wanted));
  GODWIT_TRY(auto found, records.devices().find_identity(wanted.id));
  if (!found) return no_such_device(wanted.id);
  GODWIT_TRY_VOID(check_etag(if_etag, found->etag, "the identity"));
  store::DeviceIdentity identity = *std::move(found);
  const bool has_new_keys = (!wanted.primary_key.empty() && wanted.primary_key != identity.primary_key.reveal()) ||
                            (!wanted.secondary_key.empty() && wanted.secondary_key != identity.secondary_key.reveal());
  if (!wanted.primary_key.empty()) identity.primary_key = Secret{wanted.primary_key};
  if (!wanted.secondary_key.empty()) identity.secondary_key = Secret{wanted.secondary_key};
  identity.is_enabled = wanted.is_enabled;
  identity.status_reason = wanted.status_reason;
  ++identity.etag;
  GODWIT_TRY_VOID(records.devices().update_identity(identity));
  if (!identity.is_enabled || has_new_keys)
    records.after_commit([drop = drop_, id = identity.id,
                          why = std::string(identity.is_enabled ? "the keys of the device were changed"
                                                                : "the device was disabled")] { drop(id, why); });
  return identity;
}

Result<void> Registry::remove(store::Records& records, const DeviceId& id, std::optional<std::uint64_t> if_etag) const {
  GODWIT_TRY(const auto found, records.devices().find_identity(id));
  if (!found) return no_such_device(id);
  GODWIT_TRY_VOID(check_etag(if_etag, found->etag, "the identity"));
  GODWIT_TRY_VOID(observer_.on_device_removed(records, id));
  GODWIT_TRY([[maybe_unused]] const bool was_there, records.devices().remove_identity(id));
  records.after_commit([drop = drop_, id] { drop(id, "the device was removed"); });
  return {};
}

Result<store::TwinRecord> Registry::change_twin(store::Records& records, const DeviceId& id,
                                                const TwinChange& change) const {
  GODWIT_TRY(auto found, records.devices().find_twin(id));
  if (!found) return no_such_device(id);
  store::TwinRecord record = *std::move(found);
  GODWIT_TRY_VOID(check_etag(change.if_version, record.version, "the twin"));
  if (!change.tags && !change.desired) return record;
  if (change.tags) {
    if (auto checked = twin::check_patch(*change.tags, limits_); !checked) return with_context("tags", checked.error());
    json::Object tags = change.is_replace ? json::Object{} : record.twin.tags;
    GODWIT_TRY_VOID(twin::merge_tags(tags, *change.tags, limits_));
    record.twin.tags = std::move(tags);
  }
  if (change.desired) {
    if (auto checked = twin::check_patch(*change.desired, limits_); !checked)
      return with_context("desired", checked.error());
    const WallTime now = clock_.now();
    auto changed = change.is_replace ? twin::replace(record.twin.desired, *change.desired, now, limits_)
                                     : twin::merge(record.twin.desired, *change.desired, now, limits_);
    if (!changed) return with_context("desired", changed.error());
  }
  ++record.version;
  GODWIT_TRY_VOID(records.devices().save_twin(id, record));
  if (change.tags) GODWIT_TRY_VOID(observer_.on_tags(records, id, record.twin));
  if (change.desired) {
    const std::uint64_t version = record.twin.desired.version;
    std::string payload =
        change.is_replace ? json::print(record.twin.desired.with_version()) : patch_payload(*change.desired, version);
    records.after_commit([push = push_, id, payload = std::move(payload), version] { push(id, payload, version); });
  }
  return record;
}

Result<std::uint64_t> Registry::patch_reported(store::Records& records, const DeviceId& id, const json::Object& patch,
                                               std::optional<std::uint64_t> if_version) const {
  GODWIT_TRY(auto found, records.devices().find_twin(id));
  if (!found) return no_such_device(id);
  store::TwinRecord& record = *found;
  GODWIT_TRY_VOID(check_etag(if_version, record.twin.reported.version, "the reported section"));
  GODWIT_TRY_VOID(twin::check_patch(patch, limits_));
  GODWIT_TRY_VOID(twin::merge(record.twin.reported, patch, clock_.now(), limits_));
  ++record.version;
  GODWIT_TRY_VOID(records.devices().save_twin(id, record));
  GODWIT_TRY_VOID(observer_.on_reported(records, id, record.twin, patch));
  return record.twin.reported.version;
}

}  // namespace godwit::hub
