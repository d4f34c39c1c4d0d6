// Tokens, settings and audit events in SQLite. One connection, one thread.
#pragma once

#include "server/store/access_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteAccess final : public AccessRecords {
 public:
  explicit SqliteAccess(Connection& connection) : connection_(connection) {}
  Result<std::optional<TokenRecord>> find_token(const Bytes& sha256) override;
  Result<std::optional<TokenRecord>> find_token_named(const std::string& name) override;
  Result<std::vector<TokenRecord>> list_tokens() override;
  Result<void> insert_token(const TokenRecord& token) override;
  Result<bool> remove_token(const std::string& name) override;
  Result<void> note_token_use(const Bytes& sha256, WallTime at) override;
  Result<std::optional<std::string>> find_setting(std::string_view key) override;
  Result<void> save_setting(std::string_view key, std::string_view value) override;
  Result<void> append_audit(const AuditEvent& event) override;
  Result<std::vector<AuditEvent>> list_audit(std::int64_t before, std::size_t limit) override;

 private:
  Connection& connection_;
};

}  // namespace godwit::store::sqlite
