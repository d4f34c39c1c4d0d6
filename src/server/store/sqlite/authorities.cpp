// The certificate authorities of the hub; the rest of these records is in provisioning.cpp.
#include "server/store/sqlite/provisioning.hpp"
#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kSelect =
    "SELECT name, certificate, subject, sha256, not_after, is_enabled, revocation_list, revocation_list_made, "
    "revocation_list_expires, etag, created, updated, revoked FROM hub_authorities";
constexpr std::string_view kSelectWithoutLists =
    "SELECT name, certificate, subject, sha256, not_after, is_enabled, x'', revocation_list_made, "
    "revocation_list_expires, etag, created, updated, revoked FROM hub_authorities ORDER BY name";

[[nodiscard]] Result<AuthorityRecord> read_authority(Statement& row) {
  return AuthorityRecord{.name = row.text(0),
                         .certificate = row.blob(1),
                         .subject = row.text(2),
                         .sha256 = row.text(3),
                         .not_after = row.time(4),
                         .is_enabled = row.boolean(5),
                         .revocation_list = row.blob(6),
                         .revocation_list_made = row.time(7),
                         .revocation_list_expires = row.time_or_nothing(8),
                         .revoked = static_cast<std::uint64_t>(row.integer(12)),
                         .etag = static_cast<std::uint64_t>(row.integer(9)),
                         .created = row.time(10),
                         .updated = row.time(11)};
}

}  // namespace

Result<std::optional<AuthorityRecord>> SqliteProvisioning::find_authority(const std::string& name) {
  static const std::string kQuery = std::string(kSelect) + " WHERE name = ?";
  GODWIT_TRY(auto row, connection_.prepare(kQuery));
  row.bind(name);
  return one(row, read_authority);
}

Result<std::vector<AuthorityRecord>> SqliteProvisioning::list_authorities(bool with_lists) {
  static const std::string kQuery = std::string(kSelect) + " ORDER BY name";
  GODWIT_TRY(auto row, connection_.prepare(with_lists ? std::string_view(kQuery) : kSelectWithoutLists));
  return all(row, read_authority);
}

Result<void> SqliteProvisioning::insert_authority(const AuthorityRecord& authority) {
  auto outcome = connection_.run(
      "INSERT INTO hub_authorities (name, certificate, subject, sha256, not_after, is_enabled, revocation_list, "
      "revocation_list_made, revocation_list_expires, etag, created, updated, revoked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?, ?, ?)",
      authority.name, BlobView{authority.certificate}, authority.subject, authority.sha256, authority.not_after,
      authority.is_enabled, BlobView{authority.revocation_list}, authority.revocation_list_made,
      authority.revocation_list_expires, authority.etag, authority.created, authority.updated, authority.revoked);
  if (!outcome && outcome.error().code == Code::conflict)
    return fail(Code::conflict, "an authority with the name '" + authority.name + "' or this certificate is there");
  return outcome;
}

Result<void> SqliteProvisioning::update_authority(const AuthorityRecord& authority) {
  GODWIT_TRY_VOID(connection_.run(
      "UPDATE hub_authorities SET is_enabled = ?, revocation_list = ?, revocation_list_made = ?, "
      "revocation_list_expires = ?, etag = ?, updated = ?, revoked = ? WHERE name = ?",
      authority.is_enabled, BlobView{authority.revocation_list}, authority.revocation_list_made,
      authority.revocation_list_expires, authority.etag, authority.updated, authority.revoked, authority.name));
  if (connection_.changes() == 0) return fail(Code::not_found, "there is no authority '" + authority.name + "'");
  return {};
}

Result<bool> SqliteProvisioning::remove_authority(const std::string& name) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM hub_authorities WHERE name = ?", name));
  return connection_.changes() > 0;
}

Result<bool> SqliteProvisioning::is_authority_referenced(const std::string& name) {
  GODWIT_TRY(auto row,
             connection_.prepare("SELECT 1 FROM enrollments WHERE attestation = 3 AND (primary_certificate = ? OR "
                                 "secondary_certificate = ?) LIMIT 1"));
  return row.bind(name, name).next();
}

}  // namespace godwit::store::sqlite
