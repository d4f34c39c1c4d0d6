#include "server/hub/registry.hpp"

#include <utility>

#include "core/base/bytes.hpp"

namespace godwit::hub {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSmallestKey = 16;
constexpr std::size_t kLargestKey = 64;
constexpr std::size_t kStatusReasonLimit = 128;

constexpr std::size_t kManagedByLimit = 128;
constexpr std::size_t kModulesPerDevice = 50;  // as the original hub

tl::unexpected<Error> no_such(const IdentityId& id) {
  return fail(Code::not_found, (id.is_module() ? "module '" : "device '") + id.str() + "' does not exist");
}

Result<void> check_keys(const NewIdentity& wanted) {
  for (const auto& [key, name] :
       {std::pair{&wanted.primary_key, "primary"}, std::pair{&wanted.secondary_key, "secondary"}})
    if (!key->empty() && (key->size() < kSmallestKey || key->size() > kLargestKey))
      return fail(Code::invalid_argument, std::string("the ") + name + " key has " + std::to_string(key->size()) +
                                              " bytes; 16 to 64 are allowed");
  return {};
}

Result<void> check_thumbprints(const NewIdentity& wanted) {
  constexpr std::size_t kSha1Digits = 40;
  constexpr std::size_t kSha256Digits = 64;
  for (const auto& [text, name] :
       {std::pair{&wanted.primary_thumbprint, "primary"}, std::pair{&wanted.secondary_thumbprint, "secondary"}})
    if (!text->empty() && ((text->size() != kSha1Digits && text->size() != kSha256Digits) || !hex_decode(*text)))
      return fail(Code::invalid_argument, std::string("the ") + name +
                                              " thumbprint is not the SHA-1 (40 hex digits) or SHA-256 (64) of a "
                                              "certificate");
  if (wanted.authentication == store::Authentication::self_signed && wanted.primary_thumbprint.empty() &&
      wanted.secondary_thumbprint.empty())
    return fail(Code::invalid_argument, "an identity that proves itself by certificate needs at least one thumbprint");
  return {};
}

Result<void> check_identity(const NewIdentity& wanted) {
  GODWIT_TRY_VOID(check_keys(wanted));
  GODWIT_TRY_VOID(check_thumbprints(wanted));
  if (wanted.status_reason.size() > kStatusReasonLimit)
    return fail(Code::too_large, "the status reason has more than 128 bytes");
  if (wanted.managed_by.size() > kManagedByLimit) return fail(Code::too_large, "managedBy has more than 128 bytes");
  return {};
}

std::string lower_hex(const std::string& thumbprint) {
  return thumbprint.empty() ? thumbprint : hex_encode(*hex_decode(thumbprint));  // checked before
}

/// What `wanted` says of how the identity proves itself; keys that it leaves empty stay as they are.
void set_proof(store::DeviceIdentity& identity, const NewIdentity& wanted) {
  identity.authentication = wanted.authentication;
  const bool has_keys = wanted.authentication == store::Authentication::sas;
  const bool has_thumbprints = wanted.authentication == store::Authentication::self_signed;
  const auto key = [&](const std::string& given, const Secret& present) {
    if (!has_keys) return Secret{};
    if (!given.empty()) return Secret{given};
    return present.empty() ? Secret{random_bytes(kKeyBytes)} : present;
  };
  identity.primary_key = key(wanted.primary_key, identity.primary_key);
  identity.secondary_key = key(wanted.secondary_key, identity.secondary_key);
  identity.primary_thumbprint = has_thumbprints ? lower_hex(wanted.primary_thumbprint) : std::string{};
  identity.secondary_thumbprint = has_thumbprints ? lower_hex(wanted.secondary_thumbprint) : std::string{};
}

bool proves_itself_alike(const store::DeviceIdentity& a, const store::DeviceIdentity& b) {
  return a.authentication == b.authentication && a.primary_key.reveal() == b.primary_key.reveal() &&
         a.secondary_key.reveal() == b.secondary_key.reveal() && a.primary_thumbprint == b.primary_thumbprint &&
         a.secondary_thumbprint == b.secondary_thumbprint;
}

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

Registry::Registry(Clock& clock, TwinObserver& observer, RegistryDoors doors, twin::Limits limits)
    : clock_(clock), observer_(observer), doors_(std::move(doors)), limits_(limits) {}

Result<store::DeviceIdentity> Registry::create(store::Records& records, const NewIdentity& wanted) const {
  GODWIT_TRY_VOID(check_identity(wanted));
  if (wanted.id.is_module()) {
    GODWIT_TRY(const auto device, records.devices().find_identity(wanted.id.device()));
    if (!device) return no_such(wanted.id.device());
    GODWIT_TRY(const auto modules, records.devices().list_modules(wanted.id.device(), kModulesPerDevice));
    if (modules.size() >= kModulesPerDevice)
      return fail(Code::too_many, "device '" + std::string(wanted.id.device_text()) + "' has " +
                                      std::to_string(kModulesPerDevice) + " modules already, which is the limit");
  }
  store::DeviceIdentity identity{.id = wanted.id,
                                 .is_enabled = wanted.is_enabled,
                                 .status_reason = wanted.status_reason,
                                 .managed_by = wanted.managed_by,
                                 .generation = hex_encode(random_bytes(8)),
                                 .etag = 1,
                                 .created = clock_.now()};
  set_proof(identity, wanted);
  GODWIT_TRY_VOID(records.devices().insert_identity(identity, identity.created));
  GODWIT_TRY_VOID(observer_.on_created(records, identity.id));
  return identity;
}

Result<store::DeviceIdentity> Registry::update(store::Records& records, const NewIdentity& wanted,
                                               std::optional<std::uint64_t> if_etag) const {
  GODWIT_TRY_VOID(check_identity(wanted));
  GODWIT_TRY(const auto found, records.devices().find_identity(wanted.id));
  if (!found) return no_such(wanted.id);
  GODWIT_TRY_VOID(check_etag(if_etag, found->etag, "the identity"));
  store::DeviceIdentity identity = *found;
  set_proof(identity, wanted);
  if (identity.is_enabled != wanted.is_enabled) identity.status_updated = clock_.now();
  identity.is_enabled = wanted.is_enabled;
  identity.status_reason = wanted.status_reason;
  identity.managed_by = wanted.managed_by;
  ++identity.etag;
  GODWIT_TRY_VOID(records.devices().update_identity(identity));
  if (!identity.is_enabled || !proves_itself_alike(identity, *found))
    records.after_commit([drop = doors_.drop, id = identity.id,
                          why = std::string(identity.is_enabled ? "the keys of the device were changed"
                                                                : "the device was disabled")] { drop(id, why); });
  return identity;
}

Result<void> Registry::remove(store::Records& records, const IdentityId& id,
                              std::optional<std::uint64_t> if_etag) const {
  GODWIT_TRY(const auto found, records.devices().find_identity(id));
  if (!found) return no_such(id);
  GODWIT_TRY_VOID(check_etag(if_etag, found->etag, "the identity"));
  std::vector<IdentityId> gone{id};
  if (!id.is_module()) {
    GODWIT_TRY(const auto modules, records.devices().list_modules(id.device(), kModulesPerDevice));
    for (const store::DeviceIdentity& module : modules) gone.push_back(module.id);
  }
  for (const IdentityId& one : gone) GODWIT_TRY_VOID(observer_.on_removed(records, one));
  GODWIT_TRY([[maybe_unused]] const bool was_there, records.devices().remove_identity(id));
  records.after_commit([doors = doors_, gone = std::move(gone)] {
    for (const IdentityId& one : gone) {
      doors.changed(one);
      doors.drop(one, "the device was removed");
    }
  });
  return {};
}

Result<void> Registry::apply(store::TwinRecord& record, const TwinChange& change) const {
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
  return {};
}

Result<void> Registry::check_change(store::TwinRecord record, const TwinChange& change) const {
  return apply(record, change);
}

Result<store::TwinRecord> Registry::change_twin(store::Records& records, const IdentityId& id,
                                                const TwinChange& change) const {
  GODWIT_TRY(auto found, records.devices().find_twin(id));
  if (!found) return no_such(id);
  store::TwinRecord record = *std::move(found);
  GODWIT_TRY_VOID(check_etag(change.if_version, record.version, "the twin"));
  if (!change.tags && !change.desired) return record;
  GODWIT_TRY_VOID(apply(record, change));
  ++record.version;
  GODWIT_TRY_VOID(records.devices().save_twin(id, record));
  if (change.desired) records.after_commit([changed = doors_.changed, id] { changed(id); });
  // Before the observer is told: what it changes in turn has a later version and must leave later.
  if (change.desired) {
    const std::uint64_t version = record.twin.desired.version;
    std::string payload =
        change.is_replace ? json::print(record.twin.desired.with_version()) : patch_payload(*change.desired, version);
    records.after_commit(
        [push = doors_.push, id, payload = std::move(payload), version] { push(id, payload, version); });
  }
  if (!change.tags) return record;
  GODWIT_TRY_VOID(observer_.on_tags(records, id, record.twin));
  GODWIT_TRY(auto present, records.devices().find_twin(id));  // with what the observer changed in turn
  if (!present) return no_such(id);
  return *std::move(present);
}

Result<std::uint64_t> Registry::patch_reported(store::Records& records, const IdentityId& id, const json::Object& patch,
                                               std::optional<std::uint64_t> if_version) const {
  GODWIT_TRY(auto found, records.devices().find_reported(id));
  if (!found) return no_such(id);
  store::TwinRecord& record = *found;
  GODWIT_TRY_VOID(check_etag(if_version, record.twin.reported.version, "the reported section"));
  GODWIT_TRY_VOID(twin::check_patch(patch, limits_));
  GODWIT_TRY_VOID(twin::merge(record.twin.reported, patch, clock_.now(), limits_));
  ++record.version;
  GODWIT_TRY_VOID(records.devices().save_reported(id, record));
  records.after_commit([changed = doors_.changed, id] { changed(id); });
  GODWIT_TRY_VOID(observer_.on_reported(records, id, record.twin, patch));
  return record.twin.reported.version;
}

}  // namespace godwit::hub
