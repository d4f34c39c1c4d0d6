// The user name of CONNECT: which hub a device means, who it is and which api-version and model it speaks.
// Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/model/ids.hpp"

namespace godwit::hub {

struct UserName {
  std::string hub;  // as written; compare without case
  IdentityId identity;
  std::string api_version{};  // "" if not given; unknown ones are accepted
  std::string model_id{};
  std::string client_type{};  // DeviceClientType: what the device calls its software
};

/// `{hub}/{deviceId}[/{moduleId}]/?api-version=V[&k=v...]`; the `/` before `?` and the whole query may be missing.
/// Values are split at `&` and the first `=` only, since model ids hold `;` and `:` unencoded. Errors: unauthorized.
[[nodiscard]] Result<UserName> parse_user_name(std::string_view text);

}  // namespace godwit::hub
