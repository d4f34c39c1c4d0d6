// Shared access policies: named pairs of keys with rights. Who holds a key signs tokens ("Authorization:
// SharedAccessSignature sr=..&sig=..&se=..&skn=policy") that open the hub's routes and nothing else. All policies are
// in memory, and so are tokens that were checked, so a request costs a digest and no store; a change reaches memory
// with its commit. Safe from any thread; checking never blocks.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/trust/sas_scope.hpp"
#include "server/api/access.hpp"
#include "server/store/store.hpp"

namespace godwit::api {

struct RightRow {
  store::AccessRight right;
  std::string_view name;  // as the original writes it
  std::uint32_t permissions;
};

// clang-format off
inline constexpr auto kRights = [] {
  using enum Permission;
  // Who may read the registry may query it, and a query shows twins.
  constexpr std::uint32_t read = bit(registry_read) | bit(hub_read);
  return std::to_array<RightRow>({
      {store::AccessRight::registry_read,   "RegistryRead",   read},
      {store::AccessRight::registry_write,  "RegistryWrite",  read | bit(registry_write)},
      {store::AccessRight::service_connect, "ServiceConnect", bit(hub_read) | bit(hub_write)},
      {store::AccessRight::device_connect,  "DeviceConnect",  bit(device_connect)},
  });
}();
// clang-format on

/// What a caller with these rights may do: permissions of the hub only.
[[nodiscard]] constexpr std::uint32_t permissions_of(std::uint8_t rights) {
  std::uint32_t permissions = 0;
  for (const RightRow& row : kRights)
    if ((rights & static_cast<std::uint8_t>(row.right)) != 0) permissions |= row.permissions;
  return permissions;
}

/// A token that was checked: who signed it, for what, until when.
struct PolicyGrant {
  Caller caller;
  trust::SasScope scope;
  std::int64_t expiry = 0;  // unix seconds
};

struct NewPolicy {
  std::string name;
  std::uint8_t rights = 0;
  Secret primary_key{};  // raw bytes, 16..64; empty: made
  Secret secondary_key{};
};

enum class PolicyKey : std::uint8_t { primary, secondary };

class Policies {
 public:
  static constexpr std::size_t kMost = 64;
  static constexpr Duration kClockSlack = std::chrono::minutes(5);  // how late an expired token is still taken

  using Grant = std::shared_ptr<const PolicyGrant>;

  /// `hub_names`: what the scope of a token may begin with, compared without case. `clock` outlives this, and this
  /// outlives the store's jobs.
  Policies(Clock& clock, std::vector<std::string> hub_names);

  /// Makes built-in policies that are missing. Part of a new data folder, and of load().
  [[nodiscard]] static Result<void> make_built_in(store::Records& records, WallTime now);
  /// Makes what is missing and reads everything into memory. Blocks; before the first request.
  [[nodiscard]] Result<void> load(store::Store& store);

  /// The grant of a token that was checked before and still holds, else null.
  [[nodiscard]] Grant recall(std::string_view authorization);
  /// Checks form, hub, policy, signature and expiry, not what is asked for. Errors: unauthorized.
  [[nodiscard]] Result<Grant> check(std::string_view authorization);

  // Changes, inside a store job; memory follows after the commit, and tokens of old keys end there.
  /// Errors: invalid_argument, conflict, too_many.
  [[nodiscard]] Result<store::SharedAccessPolicy> create(store::Records& records, const NewPolicy& wanted);
  /// A new key in place of one. Errors: not_found.
  [[nodiscard]] Result<store::SharedAccessPolicy> renew(store::Records& records, const std::string& name,
                                                        PolicyKey which);
  /// Errors: not_found, refused (built in).
  [[nodiscard]] Result<void> remove(store::Records& records, const std::string& name);

  [[nodiscard]] const std::vector<std::string>& hub_names() const { return hub_names_; }

 private:
  using Set = std::map<std::string, store::SharedAccessPolicy>;

  [[nodiscard]] bool is_hub_name(std::string_view name) const;
  [[nodiscard]] Result<void> publish(store::Records& records);
  void replace(std::shared_ptr<const Set> set);

  Clock& clock_;
  const std::vector<std::string> hub_names_;
  std::mutex mutex_;
  std::shared_ptr<const Set> policies_ = std::make_shared<const Set>();
  std::map<Bytes, Grant> known_;  // by digest of the token; of `policies_` as it is
};

/// One that is there. Errors: not_found.
[[nodiscard]] Result<store::SharedAccessPolicy> find_policy(store::Records& records, const std::string& name);

}  // namespace godwit::api
