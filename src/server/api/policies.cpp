#include "server/api/policies.hpp"

#include <algorithm>

#include "core/trust/sas.hpp"
#include "server/api/text.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kMostKnown = 1024;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestToken = 4096;  // as trust::parse_sas
constexpr std::string_view kScheme = "SharedAccessSignature ";

struct BuiltIn {
  std::string_view name;
  std::uint8_t rights;
};

// The names and rights that clients and their manuals expect of a hub.
constexpr auto kBuiltIn = std::to_array<BuiltIn>({
    {"iothubowner", 1 | 2 | 4 | 8},
    {"service", 4},
    {"device", 8},
    {"registryRead", 1},
    {"registryReadWrite", 1 | 2},
});

[[nodiscard]] Secret make_key() { return Secret(random_bytes(kKeyBytes)); }

[[nodiscard]] Result<void> check_wanted(const NewPolicy& wanted) {
  const bool is_plain = std::all_of(wanted.name.begin(), wanted.name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  });
  if (wanted.name.empty() || wanted.name.size() > kLongestName || !is_plain)
    return fail(Code::invalid_argument, "a policy's name has 1 to 64 letters, digits, '-', '.' and '_'");
  if (wanted.rights == 0) return fail(Code::invalid_argument, "a policy needs at least one right");
  for (const Secret* key : {&wanted.primary_key, &wanted.secondary_key})
    if (!key->empty() && (key->reveal().size() < 16 || key->reveal().size() > 64))
      return fail(Code::invalid_argument, "a policy's key has 16 to 64 bytes");
  return {};
}

/// The form that parse_sas() takes: HTTP compares names of schemes without case and allows more blanks.
[[nodiscard]] std::string normal(std::string_view authorization) {
  authorization = trimmed(authorization);
  const std::size_t space = std::min(authorization.find(' '), authorization.size());
  return std::string(kScheme) + std::string(trimmed(authorization.substr(space)));
}

}  // namespace

Policies::Policies(Clock& clock, std::vector<std::string> hub_names)
    : clock_(clock), hub_names_(std::move(hub_names)) {}

Result<void> Policies::make_built_in(store::Records& records, WallTime now) {
  for (const BuiltIn& row : kBuiltIn) {
    const std::string name(row.name);
    GODWIT_TRY(const auto present, records.policies().find(name));
    if (present) continue;
    GODWIT_TRY_VOID(records.policies().insert(store::SharedAccessPolicy{.name = name,
                                                                        .rights = row.rights,
                                                                        .is_built_in = true,
                                                                        .primary_key = make_key(),
                                                                        .secondary_key = make_key(),
                                                                        .created = now,
                                                                        .changed = now}));
    GODWIT_TRY_VOID(records.access().append_audit(
        store::AuditEvent{.at = now, .actor = "system", .action = "policy.created", .subject = name}));
  }
  return {};
}

Result<void> Policies::load(store::Store& store) {
  return store.write([this](store::Records& records) -> Result<void> {
    GODWIT_TRY_VOID(make_built_in(records, clock_.now()));
    return publish(records);
  });
}

/// What this transaction makes of the policies becomes what is checked against, once it is durable.
Result<void> Policies::publish(store::Records& records) {
  GODWIT_TRY(auto list, records.policies().list());
  auto set = std::make_shared<Set>();
  for (auto& policy : list) set->emplace(policy.name, std::move(policy));
  records.after_commit([this, set] { replace(set); });
  return {};
}

void Policies::replace(std::shared_ptr<const Set> set) {
  const std::lock_guard lock(mutex_);
  policies_ = std::move(set);
  known_.clear();
}

bool Policies::is_hub_name(std::string_view name) const {
  return std::any_of(hub_names_.begin(), hub_names_.end(),
                     [&](const std::string& ours) { return equal_in_any_case(ours, name); });
}

Policies::Grant Policies::recall(std::string_view authorization) {
  if (authorization.size() > kLongestToken) return {};
  const Bytes digest = sha256(authorization);
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(digest);
  if (found == known_.end()) return {};
  if (found->second->expiry > (to_unix_ms(clock_.now()) - kClockSlack.count()) / 1000) return found->second;
  known_.erase(found);
  return {};
}

Result<Policies::Grant> Policies::check(std::string_view authorization) {
  GODWIT_TRY(const trust::SasToken token, trust::parse_sas(normal(authorization)));
  auto grant = std::make_shared<PolicyGrant>();
  grant->scope = trust::split_scope(token.scope);
  grant->expiry = token.expiry;
  if (!is_hub_name(grant->scope.hub))
    return fail(Code::unauthorized, "the token is for another hub; this one is '" + hub_names_.front() + "'");
  if (token.policy.empty())
    return fail(Code::unauthorized, "the token names no shared access policy (skn); a device's key opens no hub route");
  std::shared_ptr<const Set> policies;
  {
    const std::lock_guard lock(mutex_);
    policies = policies_;
  }
  const auto policy = policies->find(token.policy);
  // Both keys are always tried, so that time tells nothing about which one is right.
  const bool is_primary =
      policy != policies->end() && trust::sas_signature_holds(token, policy->second.primary_key.reveal());
  const bool is_secondary =
      policy != policies->end() && trust::sas_signature_holds(token, policy->second.secondary_key.reveal());
  if (!is_primary && !is_secondary)
    return fail(Code::unauthorized, "the token was not signed with a key of the policy '" +
                                        token.policy.substr(0, kLongestName) + "', or there is no such policy");
  const std::int64_t late = to_unix_ms(clock_.now()) / 1000 - token.expiry;
  if (late >= kClockSlack.count() / 1000)
    return fail(Code::unauthorized, "the token expired " + std::to_string(late) + " s ago; sign a new one");
  grant->caller = Caller{.name = "policy:" + policy->first, .permissions = permissions_of(policy->second.rights)};
  const std::lock_guard lock(mutex_);
  if (policies == policies_) {
    if (known_.size() >= kMostKnown) known_.clear();
    known_[sha256(authorization)] = grant;
  }
  return Grant(std::move(grant));
}

Result<store::SharedAccessPolicy> Policies::create(store::Records& records, const NewPolicy& wanted) {
  GODWIT_TRY_VOID(check_wanted(wanted));
  GODWIT_TRY(const auto present, records.policies().list());
  if (present.size() >= kMost)
    return fail(Code::too_many,
                "there are " + std::to_string(kMost) + " policies, which is the limit; delete one first");
  const WallTime now = clock_.now();
  store::SharedAccessPolicy policy{.name = wanted.name,
                                   .rights = wanted.rights,
                                   .primary_key = wanted.primary_key.empty() ? make_key() : wanted.primary_key,
                                   .secondary_key = wanted.secondary_key.empty() ? make_key() : wanted.secondary_key,
                                   .created = now,
                                   .changed = now};
  GODWIT_TRY_VOID(records.policies().insert(policy));
  GODWIT_TRY_VOID(publish(records));
  return policy;
}

Result<store::SharedAccessPolicy> Policies::renew(store::Records& records, const std::string& name, PolicyKey which) {
  GODWIT_TRY(auto policy, find_policy(records, name));
  (which == PolicyKey::primary ? policy.primary_key : policy.secondary_key) = make_key();
  policy.changed = clock_.now();
  GODWIT_TRY_VOID(records.policies().update(policy));
  GODWIT_TRY_VOID(publish(records));
  return policy;
}

Result<void> Policies::remove(store::Records& records, const std::string& name) {
  GODWIT_TRY(const auto policy, find_policy(records, name));
  if (policy.is_built_in)
    return fail(Code::refused,
                "the policy '" + name + "' is built in and stays; renew its keys to lock their holders out");
  GODWIT_TRY([[maybe_unused]] const bool was_there, records.policies().remove(name));
  return publish(records);
}

Result<store::SharedAccessPolicy> find_policy(store::Records& records, const std::string& name) {
  GODWIT_TRY(auto found, records.policies().find(name));
  if (!found) return fail(Code::not_found, "there is no shared access policy '" + name.substr(0, kLongestName) + "'");
  return *std::move(found);
}

}  // namespace godwit::api
