// How registrations look to devices and to the provisioning service's own client libraries. Pure; safe from any thread.
#pragma once

#include <string>

#include "core/base/json.hpp"
#include "server/store/provisioning_records.hpp"

namespace godwit::hub {

/// {"registrationId","createdDateTimeUtc","assignedHub","deviceId","status","substatus",...}.
[[nodiscard]] json::Object registration_state_json(const store::RegistrationRecord& registration,
                                                   std::string_view assigned_hub);
/// {"operationId","status","registrationState"}: the answer to registering and to asking for the state of it.
[[nodiscard]] json::Object operation_json(const store::RegistrationRecord& registration, std::string_view assigned_hub);
/// The operation of a registration; stays the same while the registration exists.
[[nodiscard]] std::string operation_id(const store::RegistrationRecord& registration);
/// Base64 of the big-endian number, as etags of the hub are written.
[[nodiscard]] std::string provisioning_etag(std::uint64_t number);

[[nodiscard]] std::string_view registration_status_name(store::RegistrationStatus status);

}  // namespace godwit::hub
