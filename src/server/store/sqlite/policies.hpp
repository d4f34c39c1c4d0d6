// Shared access policies in SQLite; keys are sealed on the way in and opened on the way out. One connection, one
// thread.
#pragma once

#include "core/trust/sealer.hpp"
#include "server/store/policy_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqlitePolicies final : public PolicyRecords {
 public:
  SqlitePolicies(Connection& connection, const trust::Sealer& sealer) : connection_(connection), sealer_(sealer) {}
  Result<std::optional<SharedAccessPolicy>> find(const std::string& name) override;
  Result<std::vector<SharedAccessPolicy>> list() override;
  Result<void> insert(const SharedAccessPolicy& policy) override;
  Result<void> update(const SharedAccessPolicy& policy) override;
  Result<bool> remove(const std::string& name) override;

 private:
  [[nodiscard]] Result<SharedAccessPolicy> read(Statement& row) const;
  [[nodiscard]] Bytes sealed(const Secret& key, std::string_view name, std::string_view which) const;

  Connection& connection_;
  const trust::Sealer& sealer_;
};

}  // namespace godwit::store::sqlite
