// Whom the hub trusts and how devices get their identity: certificate authorities with revocation lists, enrollments,
// registrations. Part of a transaction, see store.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "core/model/ids.hpp"

namespace godwit::store {

/// A certificate authority whose devices may connect, or that enrollments may name.
struct AuthorityRecord {
  std::string name{};     // unique; chosen by the operator
  Bytes certificate{};    // DER
  std::string subject{};  // as RFC 2253 writes it
  std::string sha256{};   // lower-case hex, unique
  WallTime not_after{};
  bool is_enabled = true;
  Bytes revocation_list{};                            // DER; empty: nothing is revoked
  WallTime revocation_list_made{};                    // of that list
  std::optional<WallTime> revocation_list_expires{};  // nullopt: never, or no list
  std::uint64_t revoked = 0;                          // entries of that list
  std::uint64_t etag = 1;                             // + 1 at each change
  WallTime created{};
  WallTime updated{};
};

// The numbers of the next three are stored: never renumber.
enum class EnrollmentKind : std::uint8_t { individual = 0, group = 1 };
enum class Attestation : std::uint8_t {
  symmetric_key = 0,
  client_certificate = 1,   // the device's own certificate; individual only
  signing_certificate = 2,  // any certificate that this one leads to
  authority_reference = 3,  // the same, by the name of an AuthorityRecord
};
enum class ReprovisionPolicy : std::uint8_t { migrate = 0, reset = 1, never = 2 };

/// What an operator said about one device or a group of devices before they come.
struct EnrollmentRecord {
  EnrollmentKind kind = EnrollmentKind::individual;
  std::string id{};  // registration id in lower case, or id of the group
  bool is_enabled = true;
  Attestation attestation = Attestation::symmetric_key;
  Secret primary_key{};  // raw bytes; sealed at rest
  Secret secondary_key{};
  std::string primary_certificate{};  // PEM, or the name of an authority; "" = none
  std::string secondary_certificate{};
  std::string device_id{};  // individual: the device it becomes; "" = the registration id
  ReprovisionPolicy policy = ReprovisionPolicy::migrate;
  std::string initial_twin{};  // JSON object with "tags" and "properties"; "" = none
  std::uint64_t etag = 1;      // + 1 at each change
  WallTime created{};
  WallTime updated{};
};

// Stored: never renumber.
enum class RegistrationStatus : std::uint8_t { assigned = 0, failed = 1, disabled = 2 };
enum class RegistrationSubstatus : std::uint8_t { initial_assignment = 0, data_migrated = 1, data_reset = 2 };

/// What became of a device that asked to be provisioned.
struct RegistrationRecord {
  std::string id{};  // registration id in lower case
  EnrollmentKind enrollment_kind = EnrollmentKind::individual;
  std::string enrollment_id{};
  std::string device_id{};  // "" when it was never assigned
  RegistrationStatus status = RegistrationStatus::assigned;
  RegistrationSubstatus substatus = RegistrationSubstatus::initial_assignment;
  std::int64_t error_code = 0;  // 0: none
  std::string error_message{};
  std::uint64_t etag = 1;  // + 1 at each change
  WallTime created{};
  WallTime updated{};
};

class ProvisioningRecords {
 public:
  virtual ~ProvisioningRecords() = default;

  /// Rises with every change of an authority or of an enrollment group: what was made of them is stale then.
  [[nodiscard]] virtual Result<std::uint64_t> trust_revision() = 0;

  [[nodiscard]] virtual Result<std::optional<AuthorityRecord>> find_authority(const std::string& name) = 0;
  /// By name. Lists are large: `with_lists` == false leaves revocation_list empty.
  [[nodiscard]] virtual Result<std::vector<AuthorityRecord>> list_authorities(bool with_lists) = 0;
  /// Errors: conflict when the name or the certificate is there.
  [[nodiscard]] virtual Result<void> insert_authority(const AuthorityRecord& authority) = 0;
  [[nodiscard]] virtual Result<void> update_authority(const AuthorityRecord& authority) = 0;  // not_found
  [[nodiscard]] virtual Result<bool> remove_authority(const std::string& name) = 0;           // false: there was none

  [[nodiscard]] virtual Result<std::optional<EnrollmentRecord>> find_enrollment(EnrollmentKind kind,
                                                                                const std::string& id) = 0;
  /// In id order, after `after` ("" = from the start), at most `limit`.
  [[nodiscard]] virtual Result<std::vector<EnrollmentRecord>> list_enrollments(EnrollmentKind kind,
                                                                               const std::string& after,
                                                                               std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> count_enrollments(EnrollmentKind kind) = 0;
  [[nodiscard]] virtual Result<void> insert_enrollment(const EnrollmentRecord& enrollment) = 0;  // conflict
  [[nodiscard]] virtual Result<void> update_enrollment(const EnrollmentRecord& enrollment) = 0;  // not_found
  /// Its registrations go with it. False: there was none.
  [[nodiscard]] virtual Result<bool> remove_enrollment(EnrollmentKind kind, const std::string& id) = 0;
  /// True if some enrollment names this authority.
  [[nodiscard]] virtual Result<bool> is_authority_referenced(const std::string& name) = 0;

  [[nodiscard]] virtual Result<std::optional<RegistrationRecord>> find_registration(const std::string& id) = 0;
  /// Of one enrollment, in id order, after `after`, at most `limit`.
  [[nodiscard]] virtual Result<std::vector<RegistrationRecord>> list_registrations(EnrollmentKind kind,
                                                                                   const std::string& enrollment_id,
                                                                                   const std::string& after,
                                                                                   std::size_t limit) = 0;
  /// Inserts or replaces.
  [[nodiscard]] virtual Result<void> save_registration(const RegistrationRecord& registration) = 0;
  [[nodiscard]] virtual Result<bool> remove_registration(const std::string& id) = 0;  // false: there was none
};

}  // namespace godwit::store
