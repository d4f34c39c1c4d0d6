// The scan behind queries: one statement for each way of getting at the rows. Which sections are read is a parameter of
// the statement, because a column that is not looked at costs nothing while a long one drags its overflow pages along.
#include "server/store/sqlite/devices.hpp"

#include <algorithm>

namespace godwit::store::sqlite {
namespace {

// Above every id: ids are printable ASCII.
constexpr std::string_view kNoBound = "\x7F";

constexpr std::string_view kTwinColumns =
    ", t.version, CASE WHEN ?1 THEN t.tags END, CASE WHEN ?2 THEN t.desired END, CASE WHEN ?3 THEN t.desired_metadata "
    "END, CASE WHEN ?4 THEN t.desired_version END, CASE WHEN ?5 THEN t.reported END, CASE WHEN ?6 THEN "
    "t.reported_metadata END, CASE WHEN ?4 THEN t.reported_version END";
// Keys are not read: nothing that a query answers with may depend on them.
constexpr std::string_view kHeadColumns =
    ", i.is_enabled, i.status_reason, i.authentication, i.primary_thumbprint, i.secondary_thumbprint, i.managed_by, "
    "i.generation, i.etag, i.created, i.status_updated, s.model_id, s.is_connected, s.connection_changed, "
    "s.last_activity, s.queued_messages";
constexpr int kFirstTwinColumn = 1;
constexpr int kFirstHeadColumn = 9;

bool needs_head(const TwinScan& scan) { return scan.with_head || scan.is_connected || scan.is_enabled; }
bool needs_sections(const TwinScan& scan) {
  return scan.with_tags || scan.with_desired || scan.with_desired_metadata || scan.with_reported ||
         scan.with_reported_metadata || scan.with_section_versions;
}

/// The driving table first; CROSS JOIN keeps SQLite from choosing another.
std::string statement_text(const TwinScan& scan) {
  const bool has_head = needs_head(scan);
  const bool has_sections = has_head || needs_sections(scan);
  const bool is_by_connection = !scan.tag && scan.is_connected == true;
  const std::string id = scan.tag ? "g.device_id" : is_by_connection ? "s.device_id" : "t.device_id";
  std::string sql = "SELECT " + id;
  if (has_sections) sql += kTwinColumns;
  if (has_head) sql += kHeadColumns;
  sql += scan.tag ? " FROM twin_tags g" : is_by_connection ? " FROM sessions s" : " FROM twins t";
  if (has_sections && (scan.tag || is_by_connection)) sql += " CROSS JOIN twins t ON t.device_id = " + id;
  if (has_head) sql += " CROSS JOIN identities i ON i.device_id = " + id;
  if (has_head && !is_by_connection) sql += " CROSS JOIN sessions s ON s.device_id = " + id;
  sql += " WHERE " + id + " >= ?7 AND " + id + " <> ?8 AND " + id + " <= ?9";
  sql += std::string(" AND instr(") + id + ", '/') " + (scan.is_modules ? ">" : "=") + " 0";
  if (scan.tag) sql += " AND g.name = ?10 AND g.value = ?11";
  // Literals, so that the index of connected sessions can be used.
  if (scan.is_connected) sql += *scan.is_connected ? " AND s.is_connected = 1" : " AND s.is_connected = 0";
  if (scan.is_enabled) sql += *scan.is_enabled ? " AND i.is_enabled = 1" : " AND i.is_enabled = 0";
  return sql + " ORDER BY " + id;
}

void bind_scan(Statement& row, const TwinScan& scan) {
  row.bind(scan.with_tags, scan.with_desired, scan.with_desired_metadata, scan.with_section_versions,
           scan.with_reported, scan.with_reported_metadata);
  row.bind(std::max(scan.after, scan.least), scan.after,
           scan.greatest.empty() ? kNoBound : std::string_view(scan.greatest));
  if (scan.tag) row.bind(scan.tag->name, scan.tag->value);
}

void read_head(Statement& row, DeviceIdentity& identity, DeviceSession& session) {
  int column = kFirstHeadColumn;
  identity.is_enabled = row.boolean(column++);
  identity.status_reason = row.text_view(column++);
  identity.authentication = static_cast<Authentication>(row.integer(column++));
  identity.primary_thumbprint = row.text_view(column++);
  identity.secondary_thumbprint = row.text_view(column++);
  identity.managed_by = row.text_view(column++);
  identity.generation = row.text_view(column++);
  identity.etag = static_cast<std::uint64_t>(row.integer(column++));
  identity.created = row.time(column++);
  identity.status_updated = row.time(column++);
  session.model_id = row.text_view(column++);
  session.is_connected = row.boolean(column++);
  session.connection_changed = row.time(column++);
  session.last_activity = row.time(column++);
  session.queued_messages = static_cast<std::uint64_t>(row.integer(column++));
}

void read_sections(Statement& row, TwinRow& twin) {
  twin.version = static_cast<std::uint64_t>(row.integer(kFirstTwinColumn));
  twin.tags = row.text_view(kFirstTwinColumn + 1);
  twin.desired = row.text_view(kFirstTwinColumn + 2);
  twin.desired_metadata = row.text_view(kFirstTwinColumn + 3);
  twin.desired_version = static_cast<std::uint64_t>(row.integer(kFirstTwinColumn + 4));
  twin.reported = row.text_view(kFirstTwinColumn + 5);
  twin.reported_metadata = row.text_view(kFirstTwinColumn + 6);
  twin.reported_version = static_cast<std::uint64_t>(row.integer(kFirstTwinColumn + 7));
}

}  // namespace

Result<void> SqliteDevices::scan_twins(const TwinScan& scan, const TwinVisitor& visit) {
  GODWIT_TRY(auto row, connection_.prepare(statement_text(scan)));
  bind_scan(row, scan);
  const bool has_head = needs_head(scan);
  const bool has_sections = has_head || needs_sections(scan);
  DeviceSession session;
  for (;;) {
    GODWIT_TRY(const bool is_there, row.next());
    if (!is_there) return {};
    GODWIT_TRY(auto id, IdentityId::parse(row.text_view(0), "stored identity"));
    DeviceIdentity identity{.id = std::move(id)};
    if (has_head) read_head(row, identity, session);
    TwinRow twin{.identity = identity, .session = session};
    if (has_sections) read_sections(row, twin);
    GODWIT_TRY(const bool goes_on, visit(twin));
    if (!goes_on) return {};
  }
}

}  // namespace godwit::store::sqlite
