#include "server/store/sqlite/access.hpp"

#include <limits>

namespace godwit::store::sqlite {
namespace {

TokenRecord read_token(Statement& row) {
  return TokenRecord{.sha256 = row.blob(0),
                     .name = row.text(1),
                     .role = row.text(2),
                     .created = row.time(3),
                     .expires = row.time_or_nothing(4),
                     .instance = row.text(5),
                     .made_by = row.text(6),
                     .last_used = row.time_or_nothing(7)};
}

// What read_token() reads, in its order; a macro, so that each statement stays one literal.
#define TOKEN_COLUMNS "sha256, name, role, created, expires, instance, made_by, last_used"

}  // namespace

Result<std::optional<TokenRecord>> SqliteAccess::find_token(const Bytes& sha256) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT " TOKEN_COLUMNS " FROM tokens WHERE sha256 = ?"));
  GODWIT_TRY(const bool is_there, row.bind(BlobView{sha256}).next());
  if (!is_there) return std::nullopt;
  return read_token(row);
}

Result<std::optional<TokenRecord>> SqliteAccess::find_token_named(const std::string& name) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT " TOKEN_COLUMNS " FROM tokens WHERE name = ?"));
  GODWIT_TRY(const bool is_there, row.bind(name).next());
  if (!is_there) return std::nullopt;
  return read_token(row);
}

Result<std::vector<TokenRecord>> SqliteAccess::list_tokens() {
  GODWIT_TRY(auto row, connection_.prepare("SELECT " TOKEN_COLUMNS " FROM tokens ORDER BY name"));
  std::vector<TokenRecord> tokens;
  for (;;) {
    GODWIT_TRY(const bool is_there, row.next());
    if (!is_there) return tokens;
    tokens.push_back(read_token(row));
  }
}

Result<void> SqliteAccess::insert_token(const TokenRecord& token) {
  auto outcome = connection_.run("INSERT INTO tokens (" TOKEN_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                                 BlobView{token.sha256}, token.name, token.role, token.created, token.expires,
                                 token.instance, token.made_by, token.last_used);
  if (!outcome && outcome.error().code == Code::conflict)
    return fail(Code::conflict, "a token named '" + token.name + "' exists already");
  return outcome;
}

Result<bool> SqliteAccess::remove_token(const std::string& name) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM tokens WHERE name = ?", name));
  return connection_.changes() > 0;
}

Result<void> SqliteAccess::note_token_use(const Bytes& sha256, WallTime at) {
  return connection_.run("UPDATE tokens SET last_used = ? WHERE sha256 = ?", at, BlobView{sha256});
}

Result<std::optional<std::string>> SqliteAccess::find_setting(std::string_view key) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT value FROM settings WHERE key = ?"));
  GODWIT_TRY(const bool is_there, row.bind(key).next());
  if (!is_there) return std::nullopt;
  return row.text(0);
}

Result<void> SqliteAccess::save_setting(std::string_view key, std::string_view value) {
  return connection_.run(
      "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key,
      value);
}

Result<void> SqliteAccess::append_audit(const AuditEvent& event) {
  return connection_.run("INSERT INTO audit_events (at, actor, action, subject, details) VALUES (?, ?, ?, ?, ?)",
                         event.at, event.actor, event.action, event.subject, event.details);
}

Result<std::vector<AuditEvent>> SqliteAccess::list_audit(std::int64_t before, std::size_t limit) {
  GODWIT_TRY(
      auto row,
      connection_.prepare(
          "SELECT id, at, actor, action, subject, details FROM audit_events WHERE id < ? ORDER BY id DESC LIMIT ?"));
  row.bind(before > 0 ? before : std::numeric_limits<std::int64_t>::max(), limit);
  std::vector<AuditEvent> events;
  for (;;) {
    GODWIT_TRY(const bool is_there, row.next());
    if (!is_there) return events;
    events.push_back(AuditEvent{.id = row.integer(0),
                                .at = row.time(1),
                                .actor = row.text(2),
                                .action = row.text(3),
                                .subject = row.text(4),
                                .details = row.text(5)});
  }
}

}  // namespace godwit::store::sqlite

#undef TOKEN_COLUMNS
