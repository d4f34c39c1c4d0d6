// Updates, offers and operations in SQLite. One connection, one thread.
#pragma once

#include "server/store/catalog_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteCatalog final : public CatalogRecords {
 public:
  explicit SqliteCatalog(Connection& connection) : connection_(connection) {}
  Result<std::optional<UpdateRecord>> find_update(const UpdateId& id) override;
  Result<std::optional<UpdateSummary>> find_summary(const UpdateId& id) override;
  Result<std::vector<UpdateRecord>> list_updates(const UpdateQuery& query) override;
  Result<std::vector<UpdateSummary>> list_deployable() override;
  Result<std::vector<std::string>> list_providers() override;
  Result<std::vector<std::string>> list_names(const std::string& provider) override;
  Result<std::uint64_t> count_updates(const std::string& provider, const std::string& name) override;
  Result<std::vector<UpdateId>> referenced_by(const UpdateId& id) override;
  Result<std::optional<UpdateId>> owner_of_set(const CompatibilitySet& set, const UpdateId& id) override;
  Result<void> insert_update(const UpdateRecord& update, const std::map<int, OfferRecord>& offers) override;
  Result<bool> remove_update(const UpdateId& id) override;
  Result<std::optional<OfferRecord>> find_offer(const UpdateId& id, int manifest_version) override;
  Result<std::vector<OfferToSign>> list_signed_otherwise(const std::string& head, OfferKey after,
                                                         std::size_t limit) override;
  Result<void> replace_signature(OfferKey offer, const std::string& signature) override;
  Result<bool> is_blob_needed(const Bytes& sha256) override;

  Result<void> insert_operation(const OperationRecord& operation) override;
  Result<void> save_operation(const OperationRecord& operation) override;
  Result<std::optional<OperationRecord>> find_operation(const std::string& id) override;
  Result<std::vector<OperationRecord>> list_imports(bool only_unfinished, const std::string& after,
                                                    std::size_t limit) override;
  Result<std::vector<OperationRecord>> unfinished_operations(std::size_t limit) override;
  Result<std::uint64_t> forget_operations_before(WallTime time) override;

 private:
  Result<std::optional<std::int64_t>> key_of(const UpdateId& id);
  Result<void> insert_dependents(std::int64_t key, const UpdateRecord& update);
  Result<void> read_dependents(std::int64_t key, UpdateRecord& update);

  Connection& connection_;
};

/// Text whose order is the order of versions: "0000000001.0000000020".
[[nodiscard]] std::string version_key(const Version& version);

}  // namespace godwit::store::sqlite
