#include <fmt/format.h>
#include <limits>

#include "server/store/sqlite/catalog.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr const char* kColumns =
    "id, kind, status, request, provider, name, version, update_description, update_friendly_name, error, trace_id, "
    "etag, created, last_action";

Result<OperationRecord> read_operation(Statement& row) {
  const std::int64_t kind = row.integer(1);
  const std::int64_t status = row.integer(2);
  if (kind < 0 || kind > 1 || status < 0 || status > 3)
    return fail(Code::database_failed, "stored operation " + row.text(0) + " has an unknown kind or status");
  OperationRecord operation{.id = row.text(0),
                            .kind = static_cast<OperationKind>(kind),
                            .status = static_cast<OperationStatus>(status),
                            .request = row.text(3),
                            .update_description = row.text(7),
                            .update_friendly_name = row.text(8),
                            .error = row.text(9),
                            .trace_id = row.text(10),
                            .etag = row.text(11),
                            .created = row.time(12),
                            .last_action = row.time(13)};
  if (!row.is_null(4)) {
    GODWIT_TRY(operation.update, UpdateId::parse(row.text_view(4), row.text_view(5), row.text_view(6)));
  }
  return operation;
}

Result<std::vector<OperationRecord>> read_all(Statement& row) {
  std::vector<OperationRecord> operations;
  for (;;) {
    GODWIT_TRY(const bool is_there, row.next());
    if (!is_there) return operations;
    GODWIT_TRY(auto operation, read_operation(row));
    operations.push_back(std::move(operation));
  }
}

}  // namespace

Result<void> SqliteCatalog::insert_operation(const OperationRecord& operation) {
  GODWIT_TRY_VOID(connection_.run(
      "INSERT INTO update_operations (id, kind, status, request, update_description, update_friendly_name, error, "
      "trace_id, etag, created, last_action) VALUES (?, ?, 0, '', '', '', '', '', '', 0, 0)",
      operation.id, static_cast<int>(operation.kind)));
  return save_operation(operation);
}

Result<void> SqliteCatalog::save_operation(const OperationRecord& operation) {
  std::optional<std::string> provider;
  std::optional<std::string> name;
  std::optional<std::string> version;
  if (operation.update) {
    provider = operation.update->provider;
    name = operation.update->name;
    version = operation.update->version.str();
  }
  GODWIT_TRY_VOID(connection_.run(
      "UPDATE update_operations SET status = ?, request = ?, provider = ?, name = ?, version = ?, update_description = "
      "?, update_friendly_name = ?, error = ?, trace_id = ?, etag = ?, created = ?, last_action = ? WHERE id = ?",
      static_cast<int>(operation.status), operation.request, provider, name, version, operation.update_description,
      operation.update_friendly_name, operation.error, operation.trace_id, operation.etag, operation.created,
      operation.last_action, operation.id));
  if (connection_.changes() == 0) return fail(Code::not_found, "operation '" + operation.id + "' does not exist");
  return {};
}

Result<std::optional<OperationRecord>> SqliteCatalog::find_operation(const std::string& id) {
  GODWIT_TRY(auto row, connection_.prepare(fmt::format("SELECT {} FROM update_operations WHERE id = ?", kColumns)));
  GODWIT_TRY(const bool is_there, row.bind(id).next());
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto operation, read_operation(row));
  return operation;
}

Result<std::vector<OperationRecord>> SqliteCatalog::list_imports(bool only_unfinished, const std::string& after,
                                                                 std::size_t limit) {
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
  if (!after.empty()) {
    GODWIT_TRY(auto last, connection_.prepare("SELECT sequence FROM update_operations WHERE id = ?"));
    GODWIT_TRY(const bool is_there, last.bind(after).next());
    if (!is_there)
      return fail(Code::invalid_argument,
                  "the page token names an operation that is gone; read the list from its start");
    before = last.integer(0);
  }
  GODWIT_TRY(auto row, connection_.prepare(fmt::format("SELECT {} FROM update_operations WHERE kind = 0 AND (? = 0 OR "
                                                       "status < 2) AND sequence < ? ORDER BY sequence DESC LIMIT ?",
                                                       kColumns)));
  row.bind(only_unfinished, before, limit);
  return read_all(row);
}

Result<std::vector<OperationRecord>> SqliteCatalog::unfinished_operations(std::size_t limit) {
  GODWIT_TRY(auto row, connection_.prepare(fmt::format(
                           "SELECT {} FROM update_operations WHERE status < 2 ORDER BY sequence LIMIT ?", kColumns)));
  row.bind(limit);
  return read_all(row);
}

Result<std::uint64_t> SqliteCatalog::forget_operations_before(WallTime time) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM update_operations WHERE status >= 2 AND last_action < ?", time));
  return static_cast<std::uint64_t>(connection_.changes());
}

}  // namespace godwit::store::sqlite
