// hub query
#include <fmt/format.h>

#include <algorithm>

#include "tools/cli/app.hpp"
#include "tools/cli/query.hpp"

namespace godwit::cli {
namespace {

constexpr std::size_t kPage = 1000;  // the most the service gives at once

struct QueryFlags {
  std::string query{};
  std::size_t top = 0;
};

/// Members of the rows as columns where they are plain values; a row of whole twins shows what tells devices apart.
Table table_of(const json::Array& rows) {
  std::vector<std::string> columns;
  for (const auto& row : rows) {
    if (!row.is_object()) continue;
    const bool is_twin = row.get_object().contains("properties") && row.get_object().contains("deviceId");
    if (is_twin) {
      columns = {"deviceId", "moduleId", "status", "connectionState", "lastActivityTime"};
      break;
    }
    for (const auto& member : row.get_object())
      if (std::ranges::find(columns, member.key()) == columns.end()) columns.emplace_back(member.key());
  }
  Table table(columns.empty() ? std::vector<std::string>{"RESULT"} : columns);
  for (const auto& row : rows) {
    if (!row.is_object()) continue;
    std::vector<std::string> cells;
    for (const std::string& column : columns) {
      const json::Value* found = row.get_object().if_contains(column);
      cells.push_back(found == nullptr     ? ""
                      : found->is_string() ? std::string(found->get_string())
                                           : json::print(*found));
    }
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace

Result<json::Array> query_rows(Client& client, const std::string& query, std::size_t top) {
  const std::string body = json::print(json::Object{{"query", query}});
  json::Array rows;
  for (std::string continuation;;) {
    const std::size_t wanted = top == 0 ? kPage : std::min(kPage, top - rows.size());
    std::vector<std::string> headers{fmt::format("x-ms-max-item-count: {}", wanted)};
    if (!continuation.empty()) headers.push_back("x-ms-continuation: " + continuation);
    GODWIT_TRY(const auto response, client.send("POST", "/devices/query", {}, body, headers));
    GODWIT_TRY(const auto page, json::parse(response.body, {.bytes = 256 * 1024 * 1024, .depth = 32}));
    if (!page.is_array()) return fail(Code::bad_json, "POST /devices/query: the answer is not a list");
    rows.insert(rows.end(), page.as_array().begin(), page.as_array().end());
    continuation = response.header("x-ms-continuation");
    if (continuation.empty() || (top != 0 && rows.size() >= top)) return rows;
  }
}

void add_query_command(CLI::App& hub, Context& context) {
  auto* query =
      hub.add_subcommand("query", "Ask the twins of devices and modules, or jobs, in the hub's query language");
  auto flags = std::make_shared<QueryFlags>();
  query->add_option("--query-command,-q", flags->query, "E.g. \"SELECT * FROM devices WHERE tags.ADUGroup = 'line-1'\"")
      ->required();
  query->add_option("--top", flags->top, "At most so many rows; all without it")->check(CLI::PositiveNumber);
  query->callback([&context, flags] {
    context.action = [flags](Context& c) -> Result<int> {
      GODWIT_TRY(auto* client, c.client());
      GODWIT_TRY(const auto rows, query_rows(*client, flags->query, flags->top));
      c.show(json::Value(rows), table_of(rows));
      return exit_code::ok;
    };
  });
}

}  // namespace godwit::cli
