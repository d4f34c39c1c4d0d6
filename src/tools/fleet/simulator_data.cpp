#include "tools/fleet/simulator_data.hpp"

#include <fmt/format.h>

#include <limits>

#include "core/base/json.hpp"

namespace godwit::fleet {
namespace {

Result<ActResult> read_result(const json::Value& value, const std::string& where) {
  if (!value.is_object()) return fail(Code::invalid_argument, where + " is not an object with resultCode");
  const json::Object& object = value.as_object();
  GODWIT_TRY(const auto code, json::integer(object, "resultCode", where));
  if (code < std::numeric_limits<std::int32_t>::min() || code > std::numeric_limits<std::int32_t>::max())
    return fail(Code::invalid_argument, fmt::format("{}: resultCode {} does not fit into 32 bits", where, code));
  ActResult result{.result_code = static_cast<std::int32_t>(code)};
  if (json::find(object, "extendedResultCode") != nullptr) {
    GODWIT_TRY(const auto extended, json::integer(object, "extendedResultCode", where));
    if (extended < std::numeric_limits<std::int32_t>::min() || extended > std::numeric_limits<std::uint32_t>::max())
      return fail(Code::invalid_argument,
                  fmt::format("{}: extendedResultCode {} does not fit into 32 bits", where, extended));
    result.extended_code = static_cast<ExtendedCode>(extended);  // the original writes them as signed numbers too
  }
  if (json::find(object, "resultDetails") != nullptr) {
    GODWIT_TRY(auto details, json::text(object, "resultDetails", where));
    result.details = cut_details(std::move(details));
  }
  return result;
}

Result<void> read_one(const json::Object& root, const char* section, std::optional<ActResult>& into) {
  const json::Value* value = json::find(root, section);
  if (value == nullptr) return {};
  GODWIT_TRY(into, read_result(*value, section));
  return {};
}

Result<void> read_map(const json::Object& root, const char* section,
                      std::map<std::string, ActResult, std::less<>>& into) {
  const json::Value* value = json::find(root, section);
  if (value == nullptr) return {};
  if (!value->is_object()) return fail(Code::invalid_argument, fmt::format("{} is not an object", section));
  if (value->as_object().size() > SimulatorData::kEntryLimit)
    return fail(Code::too_large, fmt::format("{} has more than {} entries", section, SimulatorData::kEntryLimit));
  for (const auto& member : value->as_object()) {
    const std::string key(member.key());
    GODWIT_TRY(into[key], read_result(member.value(), fmt::format("{}.{}", section, key)));
  }
  return {};
}

ActResult look_up(const std::map<std::string, ActResult, std::less<>>& map, std::string_view key,
                  std::int32_t otherwise) {
  auto found = map.find(key);
  if (found == map.end()) found = map.find("*");
  return found == map.end() ? ActResult{.result_code = otherwise} : found->second;
}

Result<SimulatorData> read(std::string_view text) {
  GODWIT_TRY(const auto root, json::parse_object(text, {.bytes = SimulatorData::kFileLimit, .depth = 8}));
  SimulatorData data;
  GODWIT_TRY_VOID(read_map(root, "download", data.download));
  GODWIT_TRY_VOID(read_map(root, "isInstalled", data.is_installed));
  GODWIT_TRY_VOID(read_one(root, "backup", data.backup));
  GODWIT_TRY_VOID(read_one(root, "install", data.install));
  GODWIT_TRY_VOID(read_one(root, "apply", data.apply));
  GODWIT_TRY_VOID(read_one(root, "restore", data.restore));
  GODWIT_TRY_VOID(read_one(root, "cancel", data.cancel));
  return data;
}

}  // namespace

ActResult SimulatorData::download_of(std::string_view file_name) const {
  return look_up(download, file_name, result::download_ok);
}

ActResult SimulatorData::is_installed_of(std::string_view criteria) const {
  return look_up(is_installed, criteria, result::is_installed);
}

Result<SimulatorData> parse_simulator_data(std::string_view text, std::string_view name) {
  auto data = read(text);
  if (!data) return with_context(name, std::move(data).error());
  return data;
}

}  // namespace godwit::fleet
