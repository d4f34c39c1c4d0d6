// How enrollments look to the provisioning service's own client libraries: JSON to record and back. Pure; safe from any
// thread.
#pragma once

#include <string>

#include "server/api/http.hpp"
#include "server/store/provisioning_records.hpp"

namespace godwit::api::provisioning {

/// `body` as a record. Keys that are left out are generated, or stay as `before` has them; certificates that are left
/// out stay too. References to authorities are checked by the caller. Errors: invalid_argument, unsupported, too_large,
/// bad_json.
[[nodiscard]] Result<store::EnrollmentRecord> read_enrollment(const json::Object& body, store::EnrollmentKind kind,
                                                              const std::string& id,
                                                              const store::EnrollmentRecord* before,
                                                              std::string_view assigned_hub);

/// `with_keys`: only for who may write.
[[nodiscard]] json::Object enrollment_json(const store::EnrollmentRecord& enrollment, std::string_view assigned_hub,
                                           bool with_keys);
/// {"type":"symmetricKey","symmetricKey":{..}} or {"type":"x509","x509":{..}}.
[[nodiscard]] json::Object attestation_json(const store::EnrollmentRecord& enrollment, bool with_keys);

/// The id in the path in the form in which it is stored. Errors: invalid_argument.
[[nodiscard]] Result<std::string> enrollment_id(store::EnrollmentKind kind, const std::string& text);

// The handlers; routes.cpp is their table.
[[nodiscard]] Result<Reply> run_bulk(const Request& request, Services& services);
[[nodiscard]] Result<Reply> get_registration(const Request& request, Services& services);
[[nodiscard]] Result<Reply> delete_registration(const Request& request, Services& services);
[[nodiscard]] Result<Reply> query_registrations(const Request& request, Services& services);
template <store::EnrollmentKind kind>
struct Enrollments {
  [[nodiscard]] static Result<Reply> get(const Request& request, Services& services);
  [[nodiscard]] static Result<Reply> put(const Request& request, Services& services);
  [[nodiscard]] static Result<Reply> remove(const Request& request, Services& services);
  [[nodiscard]] static Result<Reply> query(const Request& request, Services& services);
  [[nodiscard]] static Result<Reply> attestation(const Request& request, Services& services);
};
extern template struct Enrollments<store::EnrollmentKind::individual>;
extern template struct Enrollments<store::EnrollmentKind::group>;

}  // namespace godwit::api::provisioning
