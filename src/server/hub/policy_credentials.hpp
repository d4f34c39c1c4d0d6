// Whether a token of a shared access policy (it has an skn) lets a device in: such a token is signed with the policy's
// key instead of the device's and may cover a whole hub. Pure; safe from any thread.
// That the identity exists and is enabled stays the caller's to check.
#pragma once

#include <string>

#include "server/hub/credentials.hpp"
#include "server/store/policy_records.hpp"

namespace godwit::hub {

/// True if `token` names a policy, so that this file decides about it and not check_scope() and check_key().
[[nodiscard]] inline bool is_policy_token(const trust::SasToken& token) { return !token.policy.empty(); }

/// "" when the policy may connect devices, the scope covers the identity of `name` on one of our hubs, and one of the
/// policy's keys holds; else the reason. Does not look at expiry, as check_connect() does.
[[nodiscard]] std::string check_policy_token(const trust::SasToken& token, const UserName& name, const HubNames& names,
                                             const store::SharedAccessPolicy& policy);

}  // namespace godwit::hub
