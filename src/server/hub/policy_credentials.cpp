#include "server/hub/policy_credentials.hpp"

#include "core/trust/sas_scope.hpp"

namespace godwit::hub {

std::string check_policy_token(const trust::SasToken& token, const UserName& name, const HubNames& names,
                               const store::SharedAccessPolicy& policy) {
  // Both keys are always tried, so that time tells nothing about which one is right.
  const bool is_primary = trust::sas_signature_holds(token, policy.primary_key.reveal());
  const bool is_secondary = trust::sas_signature_holds(token, policy.secondary_key.reveal());
  if (!is_primary && !is_secondary) return "the token was not signed with a key of the policy '" + policy.name + "'";
  if (!policy.has(store::AccessRight::device_connect))
    return "the policy '" + policy.name + "' has not the right DeviceConnect";
  const trust::SasScope scope = trust::split_scope(token.scope);
  if (!names.contains(scope.hub)) return "the token is for another hub";
  std::vector<std::string> path{"devices", std::string(name.identity.device_text())};
  if (name.identity.is_module()) path.insert(path.end(), {"modules", std::string(name.identity.module_text())});
  if (!trust::covers(scope, path)) return "the token is for another device";
  return {};
}

}  // namespace godwit::hub
