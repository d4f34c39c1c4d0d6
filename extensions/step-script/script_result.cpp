#include "script_result.hpp"

#include <string.h>

#include <fmt/format.h>

#include <limits>

#include "core/base/json.hpp"
#include "core/model/outcome.hpp"

namespace godwit::step_script {
namespace {

constexpr ExtendedCode kExitBase = 0x30501000;

/// The code of an action, and the last one of its family (600..699: installed, reboot needed, ...).
struct Family {
  std::int32_t first;
  std::int32_t last;
  std::int32_t otherwise;  // for a positive code of another family
};
Family family_of(Action action) {
  switch (action) {
    case Action::is_installed: return {result::is_installed, result::not_installed, result::not_installed};
    case Action::download: return {500, 599, result::download_ok};
    case Action::install: return {600, 699, result::install_ok};
    case Action::apply: return {700, 799, result::apply_ok};
    case Action::cancel: return {800, 899, 800};
  }
  return {0, 0, 0};
}

std::string with_output(std::string details, const ScriptEnd& end) {
  if (!end.last_output.empty()) details += "; it printed: " + end.last_output;
  return details;
}

}  // namespace

Result<ResultFile> parse_result_file(std::string_view text) {
  GODWIT_TRY(const json::Object object, json::parse_object(text, {.bytes = kResultFileLimit, .depth = 8}));
  ResultFile file;
  GODWIT_TRY(const std::int64_t code, json::integer(object, "resultCode", "result file"));
  if (code < std::numeric_limits<std::int32_t>::min() || code > std::numeric_limits<std::int32_t>::max())
    return fail(Code::invalid_argument, fmt::format("resultCode {} is out of range", code));
  file.result_code = static_cast<std::int32_t>(code);
  if (const json::Value* extended = json::find(object, "extendedResultCode");
      extended != nullptr && !extended->is_null()) {
    GODWIT_TRY(const std::int64_t number, json::integer(object, "extendedResultCode", "result file"));
    if (number < std::numeric_limits<std::int32_t>::min() || number > std::numeric_limits<std::uint32_t>::max())
      return fail(Code::invalid_argument, fmt::format("extendedResultCode {} is out of range", number));
    file.extended_code = static_cast<std::uint32_t>(number);
  }
  if (const json::Value* details = json::find(object, "resultDetails"); details != nullptr && !details->is_null()) {
    GODWIT_TRY(file.details, json::text(object, "resultDetails", "result file"));
  }
  return file;
}

Outcome conclude(Action action, const ScriptEnd& end, const Result<ResultFile>& file) {
  const std::string_view name = action_name(action);
  const bool ended_well = end.signal == 0 && end.exit_status == 0;
  if (end.was_cancelled && !(ended_well && file && file->result_code > 0))
    return {result::cancelled, erc::none,
            fmt::format("the script was ended during '{}' because the deployment was cancelled or its time was over",
                        name)};
  const std::string said = file && !file->details.empty() ? ": " + file->details : "";
  if (end.signal != 0)
    return {result::failure, kExitBase + ((128U + static_cast<unsigned>(end.signal)) & 0xFFU),
            with_output(fmt::format("the script was ended by signal {} ({}) during '{}'{}", end.signal,
                                    ::strsignal(end.signal), name, said),
                        end)};
  if (end.exit_status != 0)
    return {
        result::failure, kExitBase + (static_cast<unsigned>(end.exit_status) & 0xFFU),
        with_output(fmt::format("the script ended with status {} during '{}'{}", end.exit_status, name, said), end)};
  if (!file)
    return {result::failure, erc::script_bad_result,
            with_output(fmt::format("no valid result file after '{}': {}", name, file.error().message), end)};
  if (file->result_code <= 0) {
    const std::string details = file->details.empty()
                                    ? fmt::format("the script reported result {} for '{}'", file->result_code, name)
                                    : file->details;
    return {result::failure, file->extended_code == 0 ? erc::script_no_code : file->extended_code,
            with_output(details, end)};
  }
  const Family family = family_of(action);
  const bool is_known = family.first <= file->result_code && file->result_code <= family.last;
  return {is_known ? file->result_code : family.otherwise, file->extended_code, file->details};
}

}  // namespace godwit::step_script
