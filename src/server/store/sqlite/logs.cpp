#include "server/store/sqlite/logs.hpp"

#include "server/store/sqlite/rows.hpp"

// What the readers below read, in their order; macros, so that each statement stays one literal.
#define COLLECTION_COLUMNS "c.id, c.description, c.actor, c.created, c.changed, c.deadline"
#define AGENT_COLUMNS "a.collection_id, a.agent, a.status, a.container, a.code, a.details"
#define FILE_COLUMNS "f.id, f.container, f.name, f.stored, f.size, f.sha256, f.received"

namespace godwit::store::sqlite {
namespace {

Result<LogCollection> read_collection(Statement& row) {
  return LogCollection{.id = row.text(0),
                       .description = row.text(1),
                       .actor = row.text(2),
                       .created = row.time(3),
                       .changed = row.time(4),
                       .deadline = row.time(5)};
}

Result<LogAgent> read_agent(Statement& row) {
  GODWIT_TRY(const auto agent, IdentityId::parse(row.text_view(1), "stored agent"));
  return LogAgent{.collection_id = row.text(0),
                  .agent = agent,
                  .status = static_cast<OperationStatus>(row.integer(2)),
                  .container = row.text(3),
                  .code = row.is_null(4) ? std::nullopt : std::optional(row.integer(4)),
                  .details = row.text(5)};
}

Result<LogFile> read_file_row(Statement& row) {
  return LogFile{.id = row.integer(0),
                 .container = row.text(1),
                 .name = row.text(2),
                 .stored = row.text(3),
                 .size = static_cast<ByteCount>(row.integer(4)),
                 .sha256 = row.blob(5),
                 .received = row.time(6)};
}

Result<std::string> read_text(Statement& row) { return row.text(0); }

Result<LogTotals> read_totals(Statement& row) {
  GODWIT_TRY([[maybe_unused]] const bool is_there, row.next());
  return LogTotals{.files = static_cast<std::size_t>(row.integer(0)), .bytes = static_cast<ByteCount>(row.integer(1))};
}

}  // namespace

Result<void> SqliteLogs::insert_collection(const LogCollection& collection) {
  auto outcome = connection_.run(
      "INSERT INTO log_collections (id, description, actor, created, changed, deadline) VALUES (?, ?, ?, ?, ?, ?)",
      collection.id, collection.description, collection.actor, collection.created, collection.changed,
      collection.deadline);
  if (!outcome && outcome.error().code == Code::conflict)
    return fail(Code::conflict, "a log collection '" + collection.id + "' exists already");
  return outcome;
}

Result<std::optional<LogCollection>> SqliteLogs::find_collection(const std::string& id) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT " COLLECTION_COLUMNS " FROM log_collections c WHERE c.id = ?"));
  row.bind(id);
  return one(row, read_collection);
}

Result<std::vector<LogCollection>> SqliteLogs::list_collections(const std::string& after, std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT " COLLECTION_COLUMNS
                                            " FROM log_collections c WHERE c.id > ? ORDER BY c.id LIMIT ?"));
  rows.bind(after, limit);
  return all(rows, read_collection);
}

Result<std::size_t> SqliteLogs::count_collections() {
  GODWIT_TRY(auto row, connection_.prepare("SELECT count(*) FROM log_collections"));
  GODWIT_TRY([[maybe_unused]] const bool is_there, row.next());
  return static_cast<std::size_t>(row.integer(0));
}

Result<void> SqliteLogs::touch_collection(const std::string& id, WallTime changed) {
  return connection_.run("UPDATE log_collections SET changed = ? WHERE id = ?", changed, id);
}

Result<void> SqliteLogs::remove_collection(const std::string& id) {
  return connection_.run("DELETE FROM log_collections WHERE id = ?", id);
}

Result<std::vector<LogCollection>> SqliteLogs::list_unchanged_since(WallTime time, std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT " COLLECTION_COLUMNS
                                            " FROM log_collections c WHERE c.changed < ? ORDER BY c.changed LIMIT ?"));
  rows.bind(time, limit);
  return all(rows, read_collection);
}

Result<void> SqliteLogs::insert_agent(const LogAgent& agent) {
  return connection_.run(
      "INSERT INTO log_agents (collection_id, agent, status, container, code, details) VALUES (?, ?, ?, ?, ?, ?)",
      agent.collection_id, agent.agent.str(), static_cast<int>(agent.status), agent.container, agent.code,
      agent.details);
}

Result<void> SqliteLogs::save_agent(const LogAgent& agent) {
  return connection_.run("UPDATE log_agents SET status = ?, code = ?, details = ? WHERE container = ?",
                         static_cast<int>(agent.status), agent.code, agent.details, agent.container);
}

Result<std::vector<LogAgent>> SqliteLogs::list_agents(const std::string& collection_id) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT " AGENT_COLUMNS
                                            " FROM log_agents a WHERE a.collection_id = ? ORDER BY a.agent"));
  rows.bind(collection_id);
  return all(rows, read_agent);
}

Result<std::optional<LogAgent>> SqliteLogs::find_agent(const std::string& container) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT " AGENT_COLUMNS " FROM log_agents a WHERE a.container = ?"));
  row.bind(container);
  return one(row, read_agent);
}

Result<std::vector<LogAgent>> SqliteLogs::list_open_of(const IdentityId& agent) {
  GODWIT_TRY(auto rows, connection_.prepare(
                            "SELECT " AGENT_COLUMNS
                            " FROM log_agents a JOIN log_collections c ON c.id = a.collection_id WHERE a.agent = ? AND "
                            "a.status < 2 ORDER BY c.created, c.id"));
  rows.bind(agent.str());
  return all(rows, read_agent);
}

Result<std::vector<LogAgent>> SqliteLogs::list_overdue(WallTime now, std::size_t limit) {
  GODWIT_TRY(
      auto rows,
      connection_.prepare("SELECT " AGENT_COLUMNS
                          " FROM log_agents a JOIN log_collections c ON c.id = a.collection_id WHERE a.status < 2 AND "
                          "c.deadline <= ? LIMIT ?"));
  rows.bind(now, limit);
  return all(rows, read_agent);
}

Result<std::vector<std::string>> SqliteLogs::list_containers() {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT container FROM log_agents"));
  return all(rows, read_text);
}

Result<std::string> SqliteLogs::put_file(const LogFile& file) {
  std::string replaced;
  {
    GODWIT_TRY(auto row, connection_.prepare("SELECT stored FROM log_files WHERE container = ? AND name = ?"));
    GODWIT_TRY(const bool is_there, row.bind(file.container, file.name).next());
    if (is_there) replaced = row.text(0);
  }
  GODWIT_TRY_VOID(connection_.run(
      "INSERT INTO log_files (container, name, stored, size, sha256, received) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT "
      "(container, name) DO UPDATE SET stored = excluded.stored, size = excluded.size, sha256 = excluded.sha256, "
      "received = excluded.received",
      file.container, file.name, file.stored, file.size, BlobView{file.sha256}, file.received));
  return replaced;
}

Result<std::optional<LogFile>> SqliteLogs::find_file(const std::string& collection_id, std::int64_t id) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT " FILE_COLUMNS
                                           " FROM log_files f JOIN log_agents a ON a.container = f.container WHERE "
                                           "a.collection_id = ? AND f.id = ?"));
  row.bind(collection_id, id);
  return one(row, read_file_row);
}

Result<std::vector<LogFile>> SqliteLogs::list_files(const std::string& collection_id,
                                                    const std::optional<IdentityId>& agent, std::int64_t after,
                                                    std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT " FILE_COLUMNS
                                            " FROM log_files f JOIN log_agents a ON a.container = f.container WHERE "
                                            "a.collection_id = ?1 AND (?2 IS NULL OR a.agent = ?2) AND f.id > ?3 ORDER "
                                            "BY f.id LIMIT ?4"));
  const std::optional<std::string> name = agent ? std::optional(agent->str()) : std::nullopt;
  rows.bind(collection_id, name, after, limit);
  return all(rows, read_file_row);
}

Result<std::vector<LogFile>> SqliteLogs::list_files_of_container(const std::string& container) {
  GODWIT_TRY(auto rows,
             connection_.prepare("SELECT " FILE_COLUMNS " FROM log_files f WHERE f.container = ? ORDER BY f.id"));
  rows.bind(container);
  return all(rows, read_file_row);
}

Result<LogTotals> SqliteLogs::totals_of_container(const std::string& container) {
  GODWIT_TRY(auto row,
             connection_.prepare("SELECT count(*), coalesce(sum(size), 0) FROM log_files WHERE container = ?"));
  row.bind(container);
  return read_totals(row);
}

Result<LogTotals> SqliteLogs::totals() {
  GODWIT_TRY(auto row, connection_.prepare("SELECT count(*), coalesce(sum(size), 0) FROM log_files"));
  return read_totals(row);
}

}  // namespace godwit::store::sqlite

#undef COLLECTION_COLUMNS
#undef AGENT_COLUMNS
#undef FILE_COLUMNS
