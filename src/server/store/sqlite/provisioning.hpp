// Authorities, enrollments and registrations in SQLite; keys are sealed before they are written. One connection, one
// thread.
#pragma once

#include "core/trust/sealer.hpp"
#include "server/store/provisioning_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteProvisioning final : public ProvisioningRecords {
 public:
  SqliteProvisioning(Connection& connection, const trust::Sealer& sealer) : connection_(connection), sealer_(sealer) {}

  Result<std::uint64_t> trust_revision() override;

  Result<std::optional<AuthorityRecord>> find_authority(const std::string& name) override;
  Result<std::vector<AuthorityRecord>> list_authorities(bool with_lists) override;
  Result<void> insert_authority(const AuthorityRecord& authority) override;
  Result<void> update_authority(const AuthorityRecord& authority) override;
  Result<bool> remove_authority(const std::string& name) override;

  Result<std::optional<EnrollmentRecord>> find_enrollment(EnrollmentKind kind, const std::string& id) override;
  Result<std::vector<EnrollmentRecord>> list_enrollments(EnrollmentKind kind, const std::string& after,
                                                         std::size_t limit) override;
  Result<std::uint64_t> count_enrollments(EnrollmentKind kind) override;
  Result<void> insert_enrollment(const EnrollmentRecord& enrollment) override;
  Result<void> update_enrollment(const EnrollmentRecord& enrollment) override;
  Result<bool> remove_enrollment(EnrollmentKind kind, const std::string& id) override;
  Result<bool> is_authority_referenced(const std::string& name) override;

  Result<std::optional<RegistrationRecord>> find_registration(const std::string& id) override;
  Result<std::vector<RegistrationRecord>> list_registrations(EnrollmentKind kind, const std::string& enrollment_id,
                                                             const std::string& after, std::size_t limit) override;
  Result<void> save_registration(const RegistrationRecord& registration) override;
  Result<bool> remove_registration(const std::string& id) override;

 private:
  [[nodiscard]] Result<EnrollmentRecord> read_enrollment(Statement& row) const;

  Connection& connection_;
  const trust::Sealer& sealer_;
};

}  // namespace godwit::store::sqlite
