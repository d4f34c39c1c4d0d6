#include "device/agent/history.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "device/agent/status.hpp"

namespace godwit::agent {
namespace {

std::string text_of(const json::Object& entry, std::string_view key) {
  return json::text_or_nothing(entry, key).value_or("");
}

bool is_same_run(const json::Value& value, const Record& record) {
  const auto* entry = value.if_object();
  return entry != nullptr && record.goal && text_of(*entry, "workflowId") == record.goal->workflow_id &&
         json::integer_or_nothing(*entry, "attempt") == record.attempt &&
         text_of(*entry, "state") == state_name(record.state);
}

std::string update_text(const json::Object& entry) {
  const auto* id = json::object_or_null(entry, "updateId");
  if (id == nullptr) return "-";
  return text_of(*id, "provider") + "/" + text_of(*id, "name") + "/" + text_of(*id, "version");
}

std::string code_text(const json::Object& entry) {
  const auto* codes = json::find(entry, "extendedResultCodes");
  if (codes == nullptr || !codes->is_array() || codes->get_array().empty()) return "";
  const auto& first = codes->get_array().front();
  return first.is_string() && first.get_string() != "00000000" ? std::string(first.get_string()) : "";
}

}  // namespace

Result<json::Array> read_history(const Path& file) {
  const auto text = read_file(file, kHistoryBytes);
  if (!text && text.error().code == Code::not_found) return json::Array{};
  if (!text) return tl::unexpected<Error>{text.error()};
  auto object = json::parse_object(*text, {.bytes = kHistoryBytes, .depth = 12});
  if (!object) return with_context(file.string(), std::move(object).error());
  auto entries = json::array(*object, "entries", file.string());
  if (!entries) return tl::unexpected<Error>{entries.error()};
  return **entries;
}

std::string history_text(const json::Array& entries) {
  if (entries.empty()) return "No update has ended on this device yet.\n";
  std::string out = fmt::format("{:<25} {:<10} {:<36} {:<8} {}\n", "TIME", "STATE", "UPDATE", "CODE", "DETAILS");
  for (const auto& value : entries) {
    const auto* entry = value.if_object();
    if (entry == nullptr) continue;
    out += fmt::format("{:<25} {:<10} {:<36} {:<8} {}\n", text_of(*entry, "time"), text_of(*entry, "state"),
                       update_text(*entry), code_text(*entry), text_of(*entry, "resultDetails"));
  }
  return out;
}

void FileHistory::add(const Record& record) {
  auto entries = read_history(file_);
  if (!entries) {
    log_.warning("history.unreadable", {{"reason", entries.error().message}, {"remedy", "it begins anew"}});
    entries = json::Array{};
  }
  if (std::ranges::any_of(*entries, [&record](const auto& entry) { return is_same_run(entry, record); })) return;
  json::Object entry = run_json(record);
  entry["time"] = format_time(clock_.now());
  entries->push_back(std::move(entry));
  while (entries->size() > kHistoryLimit) entries->erase(entries->begin());
  std::string text = json::print(json::Object{{"entries", *entries}}) + "\n";
  while (text.size() > kHistoryBytes && entries->size() > 1) {
    entries->erase(entries->begin());
    text = json::print(json::Object{{"entries", *entries}}) + "\n";
  }
  if (const auto written = write_file_durably(file_, text, 0644); !written)
    log_.warning("history.not_written", {{"reason", written.error().message}});
}

}  // namespace godwit::agent
