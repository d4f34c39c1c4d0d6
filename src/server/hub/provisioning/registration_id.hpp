// Registration ids and the user name by which a device asks to be provisioned. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::hub {

/// "" when `text` is fine, else a sentence fragment. 1..128 of letters, digits and - . _ : ; the last one a letter, a
/// digit or '-'. Every registration id is a device id.
[[nodiscard]] std::string check_registration_id(std::string_view text);
/// Registration ids differ by more than case: this is the form in which they are stored and compared.
[[nodiscard]] std::string canonical_registration_id(std::string_view text);

/// "0ne" and eight hex digits that follow from the hub's name.
[[nodiscard]] std::string default_id_scope(std::string_view hub_name);
/// "" when `text` is fine: 1..64 letters and digits.
[[nodiscard]] std::string check_id_scope(std::string_view text);

struct ProvisioningUserName {
  std::string id_scope{};
  std::string registration_id{};  // as written; compare canonical_registration_id()
  std::string api_version{};
  std::string client_version{};
};

/// `{idScope}/registrations/{registrationId}/api-version=...`: no other user name has this form.
[[nodiscard]] bool is_provisioning_user_name(std::string_view text);
/// Errors: unauthorized.
[[nodiscard]] Result<ProvisioningUserName> parse_provisioning_user_name(std::string_view text);

}  // namespace godwit::hub
