// Log collections in SQLite. One connection, one thread.
#pragma once

#include "server/store/log_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteLogs final : public LogRecords {
 public:
  explicit SqliteLogs(Connection& connection) : connection_(connection) {}
  Result<void> insert_collection(const LogCollection& collection) override;
  Result<std::optional<LogCollection>> find_collection(const std::string& id) override;
  Result<std::vector<LogCollection>> list_collections(const std::string& after, std::size_t limit) override;
  Result<std::size_t> count_collections() override;
  Result<void> touch_collection(const std::string& id, WallTime changed) override;
  Result<void> remove_collection(const std::string& id) override;
  Result<std::vector<LogCollection>> list_unchanged_since(WallTime time, std::size_t limit) override;
  Result<void> insert_agent(const LogAgent& agent) override;
  Result<void> save_agent(const LogAgent& agent) override;
  Result<std::vector<LogAgent>> list_agents(const std::string& collection_id) override;
  Result<std::optional<LogAgent>> find_agent(const std::string& container) override;
  Result<std::vector<LogAgent>> list_open_of(const IdentityId& agent) override;
  Result<std::vector<LogAgent>> list_overdue(WallTime now, std::size_t limit) override;
  Result<std::vector<std::string>> list_containers() override;
  Result<std::string> put_file(const LogFile& file) override;
  Result<std::optional<LogFile>> find_file(const std::string& collection_id, std::int64_t id) override;
  Result<std::vector<LogFile>> list_files(const std::string& collection_id, const std::optional<IdentityId>& agent,
                                          std::int64_t after, std::size_t limit) override;
  Result<std::vector<LogFile>> list_files_of_container(const std::string& container) override;
  Result<LogTotals> totals_of_container(const std::string& container) override;
  Result<LogTotals> totals() override;

 private:
  Connection& connection_;
};

}  // namespace godwit::store::sqlite
