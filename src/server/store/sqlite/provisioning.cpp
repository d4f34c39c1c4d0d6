#include "server/store/sqlite/provisioning.hpp"

#include <algorithm>

#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kEnrollmentColumns =
    "kind, id, is_enabled, attestation, primary_key, secondary_key, primary_certificate, secondary_certificate, "
    "device_id, policy, initial_twin, etag, created, updated";
constexpr std::string_view kRegistrationColumns =
    "id, enrollment_kind, enrollment_id, device_id, status, substatus, error_code, error_message, etag, created, "
    "updated";

[[nodiscard]] std::string select(std::string_view columns, std::string_view rest) {
  return "SELECT " + std::string(columns) + " FROM " + std::string(rest);
}

template <class Enum>
[[nodiscard]] Result<Enum> stored_enum(std::int64_t number, Enum last, std::string_view what) {
  if (number < 0 || number > static_cast<std::int64_t>(last))
    return fail(Code::database_failed, "the stored " + std::string(what) + " is unknown to this build");
  return static_cast<Enum>(number);
}

[[nodiscard]] std::uint64_t etag_at(Statement& row, int column) {
  return static_cast<std::uint64_t>(row.integer(column));
}

/// A sealed key opens only where it was written: its place is part of what was sealed.
[[nodiscard]] std::string key_place(EnrollmentKind kind, const std::string& id, std::string_view slot) {
  return "enrollment/" + std::to_string(static_cast<int>(kind)) + "/" + id + "/" + std::string(slot);
}

[[nodiscard]] Bytes seal_key(const trust::Sealer& sealer, const EnrollmentRecord& enrollment, const Secret& key,
                             std::string_view slot) {
  return key.empty() ? Bytes{} : sealer.seal(key.reveal(), key_place(enrollment.kind, enrollment.id, slot));
}

[[nodiscard]] Result<Secret> open_key(const trust::Sealer& sealer, const EnrollmentRecord& enrollment,
                                      const Bytes& sealed, std::string_view slot) {
  if (sealed.empty()) return Secret{};
  auto key = sealer.open(sealed, key_place(enrollment.kind, enrollment.id, slot));
  if (!key) return with_context("a key of enrollment '" + enrollment.id + "'", key.error());
  return key;
}

[[nodiscard]] Result<RegistrationRecord> read_registration(Statement& row) {
  RegistrationRecord registration{.id = row.text(0),
                                  .enrollment_id = row.text(2),
                                  .device_id = row.text(3),
                                  .error_code = row.integer(6),
                                  .error_message = row.text(7),
                                  .etag = etag_at(row, 8),
                                  .created = row.time(9),
                                  .updated = row.time(10)};
  GODWIT_TRY(registration.enrollment_kind, stored_enum(row.integer(1), EnrollmentKind::group, "kind of enrollment"));
  GODWIT_TRY(registration.status, stored_enum(row.integer(4), RegistrationStatus::disabled, "registration status"));
  GODWIT_TRY(registration.substatus,
             stored_enum(row.integer(5), RegistrationSubstatus::data_reset, "registration substatus"));
  return registration;
}

}  // namespace

Result<std::uint64_t> SqliteProvisioning::trust_revision() {
  GODWIT_TRY(auto row, connection_.prepare("SELECT revision FROM trust_revision"));
  GODWIT_TRY(const bool is_there, row.next());
  return is_there ? etag_at(row, 0) : 0U;
}

// ---- enrollments -------------------------------------------------------------------------------------------------

Result<EnrollmentRecord> SqliteProvisioning::read_enrollment(Statement& row) const {
  EnrollmentRecord enrollment{.id = row.text(1),
                              .is_enabled = row.boolean(2),
                              .primary_certificate = row.text(6),
                              .secondary_certificate = row.text(7),
                              .device_id = row.text(8),
                              .initial_twin = row.text(10),
                              .etag = etag_at(row, 11),
                              .created = row.time(12),
                              .updated = row.time(13)};
  GODWIT_TRY(enrollment.kind, stored_enum(row.integer(0), EnrollmentKind::group, "kind of enrollment"));
  GODWIT_TRY(enrollment.attestation, stored_enum(row.integer(3), Attestation::authority_reference, "attestation"));
  GODWIT_TRY(enrollment.policy, stored_enum(row.integer(9), ReprovisionPolicy::never, "reprovision policy"));
  GODWIT_TRY(enrollment.primary_key, open_key(sealer_, enrollment, row.blob(4), "primary"));
  GODWIT_TRY(enrollment.secondary_key, open_key(sealer_, enrollment, row.blob(5), "secondary"));
  return enrollment;
}

Result<std::optional<EnrollmentRecord>> SqliteProvisioning::find_enrollment(EnrollmentKind kind,
                                                                            const std::string& id) {
  static const std::string kQuery = select(kEnrollmentColumns, "enrollments WHERE kind = ? AND id = ?");
  GODWIT_TRY(auto row, connection_.prepare(kQuery));
  row.bind(static_cast<int>(kind), id);
  return one(row, [this](Statement& found) { return read_enrollment(found); });
}

Result<std::vector<EnrollmentRecord>> SqliteProvisioning::list_enrollments(EnrollmentKind kind,
                                                                           const std::string& after,
                                                                           std::size_t limit) {
  static const std::string kQuery =
      select(kEnrollmentColumns, "enrollments WHERE kind = ? AND id > ? ORDER BY id LIMIT ?");
  GODWIT_TRY(auto row, connection_.prepare(kQuery));
  row.bind(static_cast<int>(kind), after, limit);
  return all(row, [this](Statement& found) { return read_enrollment(found); });
}

Result<std::uint64_t> SqliteProvisioning::count_enrollments(EnrollmentKind kind) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT count(*) FROM enrollments WHERE kind = ?"));
  GODWIT_TRY(const bool is_there, row.bind(static_cast<int>(kind)).next());
  return is_there ? etag_at(row, 0) : 0U;
}

Result<void> SqliteProvisioning::insert_enrollment(const EnrollmentRecord& enrollment) {
  auto outcome = connection_.run(
      "INSERT INTO enrollments (kind, id, is_enabled, attestation, primary_key, secondary_key, primary_certificate, "
      "secondary_certificate, device_id, policy, initial_twin, etag, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?, ?, ?, ?)",
      static_cast<int>(enrollment.kind), enrollment.id, enrollment.is_enabled, static_cast<int>(enrollment.attestation),
      BlobView{seal_key(sealer_, enrollment, enrollment.primary_key, "primary")},
      BlobView{seal_key(sealer_, enrollment, enrollment.secondary_key, "secondary")}, enrollment.primary_certificate,
      enrollment.secondary_certificate, enrollment.device_id, static_cast<int>(enrollment.policy),
      enrollment.initial_twin, enrollment.etag, enrollment.created, enrollment.updated);
  if (!outcome && outcome.error().code == Code::conflict)
    return fail(Code::conflict, "enrollment '" + enrollment.id + "' exists already");
  return outcome;
}

Result<void> SqliteProvisioning::update_enrollment(const EnrollmentRecord& enrollment) {
  GODWIT_TRY_VOID(connection_.run(
      "UPDATE enrollments SET is_enabled = ?, attestation = ?, primary_key = ?, secondary_key = ?, "
      "primary_certificate = ?, secondary_certificate = ?, device_id = ?, policy = ?, initial_twin = ?, etag = ?, "
      "updated = ? WHERE kind = ? AND id = ?",
      enrollment.is_enabled, static_cast<int>(enrollment.attestation),
      BlobView{seal_key(sealer_, enrollment, enrollment.primary_key, "primary")},
      BlobView{seal_key(sealer_, enrollment, enrollment.secondary_key, "secondary")}, enrollment.primary_certificate,
      enrollment.secondary_certificate, enrollment.device_id, static_cast<int>(enrollment.policy),
      enrollment.initial_twin, enrollment.etag, enrollment.updated, static_cast<int>(enrollment.kind), enrollment.id));
  if (connection_.changes() == 0) return fail(Code::not_found, "enrollment '" + enrollment.id + "' does not exist");
  return {};
}

Result<bool> SqliteProvisioning::remove_enrollment(EnrollmentKind kind, const std::string& id) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM enrollments WHERE kind = ? AND id = ?", static_cast<int>(kind), id));
  return connection_.changes() > 0;
}

// ---- registrations -----------------------------------------------------------------------------------------------

Result<std::optional<RegistrationRecord>> SqliteProvisioning::find_registration(const std::string& id) {
  static const std::string kQuery = select(kRegistrationColumns, "registrations WHERE id = ?");
  GODWIT_TRY(auto row, connection_.prepare(kQuery));
  row.bind(id);
  return one(row, read_registration);
}

Result<std::vector<RegistrationRecord>> SqliteProvisioning::list_registrations(EnrollmentKind kind,
                                                                               const std::string& enrollment_id,
                                                                               const std::string& after,
                                                                               std::size_t limit) {
  static const std::string kQuery =
      select(kRegistrationColumns,
             "registrations WHERE enrollment_kind = ? AND enrollment_id = ? AND id > ? ORDER BY id LIMIT ?");
  GODWIT_TRY(auto row, connection_.prepare(kQuery));
  row.bind(static_cast<int>(kind), enrollment_id, after, limit);
  return all(row, read_registration);
}

Result<void> SqliteProvisioning::save_registration(const RegistrationRecord& registration) {
  return connection_.run(
      "INSERT INTO registrations (id, enrollment_kind, enrollment_id, device_id, status, substatus, error_code, "
      "error_message, etag, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
      "enrollment_kind = excluded.enrollment_kind, enrollment_id = excluded.enrollment_id, device_id = "
      "excluded.device_id, status = excluded.status, substatus = excluded.substatus, error_code = excluded.error_code, "
      "error_message = excluded.error_message, etag = excluded.etag, created = excluded.created, updated = "
      "excluded.updated",
      registration.id, static_cast<int>(registration.enrollment_kind), registration.enrollment_id,
      registration.device_id, static_cast<int>(registration.status), static_cast<int>(registration.substatus),
      registration.error_code, registration.error_message, registration.etag, registration.created,
      registration.updated);
}

Result<bool> SqliteProvisioning::remove_registration(const std::string& id) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM registrations WHERE id = ?", id));
  return connection_.changes() > 0;
}

}  // namespace godwit::store::sqlite
