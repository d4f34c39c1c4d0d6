#include "server/store/sqlite/policies.hpp"

namespace godwit::store::sqlite {
namespace {

std::string key_context(std::string_view name, std::string_view which) {
  return "policy/" + std::string(name) + "/" + std::string(which);
}

}  // namespace

Bytes SqlitePolicies::sealed(const Secret& key, std::string_view name, std::string_view which) const {
  return sealer_.seal(key.reveal(), key_context(name, which));
}

Result<SharedAccessPolicy> SqlitePolicies::read(Statement& row) const {
  SharedAccessPolicy policy{.name = row.text(0),
                            .rights = static_cast<std::uint8_t>(row.integer(1)),
                            .is_built_in = row.boolean(2),
                            .created = row.time(5),
                            .changed = row.time(6)};
  auto primary = sealer_.open(row.blob(3), key_context(policy.name, "primary"));
  auto secondary = sealer_.open(row.blob(4), key_context(policy.name, "secondary"));
  if (!primary || !secondary)
    return with_context("keys of policy '" + policy.name + "'", (primary ? secondary : primary).error());
  policy.primary_key = *std::move(primary);
  policy.secondary_key = *std::move(secondary);
  return policy;
}

Result<std::optional<SharedAccessPolicy>> SqlitePolicies::find(const std::string& name) {
  GODWIT_TRY(auto row,
             connection_.prepare("SELECT name, rights, is_built_in, primary_key, secondary_key, created, "
                                 "changed FROM shared_access_policies WHERE name = ? AND name = ? COLLATE BINARY"));
  GODWIT_TRY(const bool is_there, row.bind(name, name).next());  // by the index, then as written
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto policy, read(row));
  return policy;
}

Result<std::vector<SharedAccessPolicy>> SqlitePolicies::list() {
  GODWIT_TRY(auto row, connection_.prepare("SELECT name, rights, is_built_in, primary_key, secondary_key, created, "
                                           "changed FROM shared_access_policies ORDER BY name"));
  std::vector<SharedAccessPolicy> policies;
  for (;;) {
    GODWIT_TRY(const bool is_there, row.next());
    if (!is_there) return policies;
    GODWIT_TRY(auto policy, read(row));
    policies.push_back(std::move(policy));
  }
}

Result<void> SqlitePolicies::insert(const SharedAccessPolicy& policy) {
  auto outcome = connection_.run(
      "INSERT INTO shared_access_policies (name, rights, is_built_in, primary_key, secondary_key, created, changed) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)",
      policy.name, policy.rights, policy.is_built_in, BlobView{sealed(policy.primary_key, policy.name, "primary")},
      BlobView{sealed(policy.secondary_key, policy.name, "secondary")}, policy.created, policy.changed);
  if (!outcome && outcome.error().code == Code::conflict)
    return fail(Code::conflict, "a policy named '" + policy.name + "' exists already");
  return outcome;
}

Result<void> SqlitePolicies::update(const SharedAccessPolicy& policy) {
  return connection_.run(
      "UPDATE shared_access_policies SET rights = ?, primary_key = ?, secondary_key = ?, changed = ? WHERE name = ?",
      policy.rights, BlobView{sealed(policy.primary_key, policy.name, "primary")},
      BlobView{sealed(policy.secondary_key, policy.name, "secondary")}, policy.changed, policy.name);
}

Result<bool> SqlitePolicies::remove(const std::string& name) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM shared_access_policies WHERE name = ?", name));
  return connection_.changes() > 0;
}

}  // namespace godwit::store::sqlite
