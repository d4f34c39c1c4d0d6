#include "server/hub/provisioning/answers.hpp"

#include "core/base/bytes.hpp"

namespace godwit::hub {
namespace {

std::string_view substatus_name(store::RegistrationSubstatus substatus) {
  switch (substatus) {
    case store::RegistrationSubstatus::initial_assignment: return "initialAssignment";
    case store::RegistrationSubstatus::data_migrated: return "deviceDataMigrated";
    case store::RegistrationSubstatus::data_reset: return "deviceDataReset";
  }
  return "unknown";
}

}  // namespace

std::string_view registration_status_name(store::RegistrationStatus status) {
  switch (status) {
    case store::RegistrationStatus::assigned: return "assigned";
    case store::RegistrationStatus::failed: return "failed";
    case store::RegistrationStatus::disabled: return "disabled";
  }
  return "unknown";
}

std::string provisioning_etag(std::uint64_t number) {
  Bytes bytes(8, '\0');
  for (std::size_t i = bytes.size(); i-- > 0; number >>= 8) bytes[i] = static_cast<char>(number & 0xFFU);
  return base64_encode(bytes);
}

std::string operation_id(const store::RegistrationRecord& registration) {
  const std::string text = registration.id + "\n" + std::to_string(to_unix_ms(registration.created));
  return "4." + hex_encode(sha256(text).substr(0, 16));
}

json::Object registration_state_json(const store::RegistrationRecord& registration, std::string_view assigned_hub) {
  json::Object state{{"registrationId", registration.id},
                     {"createdDateTimeUtc", format_time_7(registration.created)},
                     {"status", registration_status_name(registration.status)}};
  if (registration.status == store::RegistrationStatus::assigned) {
    state["assignedHub"] = assigned_hub;
    state["deviceId"] = registration.device_id;
    state["substatus"] = substatus_name(registration.substatus);
  } else {
    state["errorCode"] = registration.error_code;
    state["errorMessage"] = registration.error_message;
  }
  state["lastUpdatedDateTimeUtc"] = format_time_7(registration.updated);
  state["etag"] = provisioning_etag(registration.etag);
  return state;
}

json::Object operation_json(const store::RegistrationRecord& registration, std::string_view assigned_hub) {
  return {{"operationId", operation_id(registration)},
          {"status", registration_status_name(registration.status)},
          {"registrationState", registration_state_json(registration, assigned_hub)}};
}

}  // namespace godwit::hub
