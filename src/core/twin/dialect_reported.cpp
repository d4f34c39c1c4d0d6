#include <fmt/format.h>
#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/text.hpp"
#include "core/model/text.hpp"
#include "core/twin/component.hpp"
#include "core/twin/dialect.hpp"

namespace godwit::twin {
namespace {

constexpr std::size_t kCodesLimit = 9;   // the root result and up to 8 soft codes
constexpr std::size_t kStepsLimit = 32;  // a manifest has at most 10
constexpr std::size_t kCompatNames = 5;
constexpr std::size_t kCompatNameLimit = 32;
constexpr std::size_t kCompatValueLimit = 64;

json::Object in_agent(json::Object agent) { return in_component("deviceUpdate", "agent", std::move(agent)); }

// ---- writing -----------------------------------------------------------------------------------------------------

std::string codes_text(const std::vector<ExtendedCode>& codes) {
  if (codes.empty()) return extended_code_hex(0);
  std::string text;
  for (std::size_t i = 0; i < std::min(codes.size(), kCodesLimit); ++i)
    text += (i > 0 ? "," : "") + extended_code_hex(codes[i]);
  return text;
}

json::Object step_to_json(const StepResult& step) {
  json::Object object;
  object["resultCode"] = step.result_code;
  object["extendedResultCodes"] = extended_code_hex(step.extended_code);
  object["resultDetails"] = cut_details(step.details);
  return object;
}

json::Object result_to_json(const InstallResult& result, AgentState state) {
  json::Object object;
  object["resultCode"] = result.result_code;
  object["extendedResultCodes"] = codes_text(result.extended_codes);
  object["resultDetails"] = cut_details(result.details);
  if (state == AgentState::in_progress || result.steps.empty()) {
    object["stepResults"] = nullptr;  // what an earlier deployment left there goes
    return object;
  }
  json::Object steps;
  for (std::size_t i = 0; i < result.steps.size(); ++i)
    steps[fmt::format("step_{}", i)] = step_to_json(result.steps[i]);
  object["stepResults"] = std::move(steps);
  return object;
}

/// Our own root member: the deviceUpdate component holds the members of its contract and nothing else.
void put_progress(json::Object& patch, const std::optional<Progress>& progress) {
  json::Object own;
  own["progress"] = progress ? json::Value(progress_to_json(*progress)) : json::Value(nullptr);
  patch["godwit"] = std::move(own);
}

// ---- reading: nothing in here fails, what cannot be read is not there ---------------------------------------------

std::optional<std::int64_t> number_of(const json::Value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64() && std::in_range<std::int64_t>(value->get_uint64()))
    return static_cast<std::int64_t>(value->get_uint64());
  const auto* text = value->if_string();
  return text == nullptr ? std::nullopt : to_number<std::int64_t>(std::string_view(*text));
}

std::int32_t result_code_of(const json::Object& object) {
  const auto number = number_of(json::find(object, "resultCode"));
  return number && std::in_range<std::int32_t>(*number) ? static_cast<std::int32_t>(*number) : result::failure;
}

/// Signed or unsigned 32 bits, as number or decimal text: the same bits.
std::optional<ExtendedCode> numeric_code(const json::Value* value) {
  const auto number = number_of(value);
  if (!number || *number < std::numeric_limits<std::int32_t>::min() ||
      *number > std::numeric_limits<std::uint32_t>::max())
    return std::nullopt;
  return static_cast<ExtendedCode>(*number & 0xFFFFFFFF);
}

/// "extendedResultCodes": comma list of hex digits (model 3). "extendedResultCode": one number (models 1 and 2).
std::vector<ExtendedCode> codes_of(const json::Object& object) {
  std::vector<ExtendedCode> codes;
  const json::Value* list = json::find(object, "extendedResultCodes");
  if (list != nullptr && list->is_string()) {
    std::string_view rest = list->get_string();
    while (!rest.empty() && codes.size() < kCodesLimit) {
      const std::string_view part = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(part.size() + 1, rest.size()));
      if (const auto code = parse_extended_code(part)) codes.push_back(*code);
    }
    return codes;
  }
  const json::Value* single = json::find(object, "extendedResultCode");
  if (const auto code = numeric_code(list != nullptr ? list : single)) codes.push_back(*code);
  return codes;
}

std::string details_of(const json::Object& object) {
  return cut_details(json::text_or_nothing(object, "resultDetails").value_or(""));
}

/// Takes the members step_0, step_1 ... of `object`; gaps stay as steps without a result.
void read_steps(const json::Object& object, std::vector<StepResult>& steps) {
  for (const auto& member : object) {
    std::string_view name = member.key();
    const auto* value = member.value().if_object();
    if (value == nullptr || !name.starts_with("step_")) continue;
    name.remove_prefix(5);
    const auto index = to_number<std::size_t>(name);
    if (!index || *index >= kStepsLimit) continue;
    if (steps.size() <= *index) steps.resize(*index + 1);
    const std::vector<ExtendedCode> codes = codes_of(*value);
    steps[*index] = StepResult{.result_code = result_code_of(*value),
                               .extended_code = codes.empty() ? 0 : codes.front(),
                               .details = details_of(*value)};
  }
}

std::optional<InstallResult> read_result(const json::Object& agent) {
  const json::Object* object = json::object_or_null(agent, "lastInstallResult");
  if (object == nullptr) return std::nullopt;
  InstallResult result{.result_code = result_code_of(*object),
                       .extended_codes = codes_of(*object),
                       .details = details_of(*object),
                       .steps = {}};
  read_steps(*object, result.steps);
  if (const json::Object* steps = json::object_or_null(*object, "stepResults")) read_steps(*steps, result.steps);
  return result;
}

std::optional<UpdateId> read_installed(const json::Object& agent) {
  const json::Value* value = json::find(agent, "installedUpdateId");
  if (value == nullptr) return std::nullopt;
  json::Object object;
  if (const auto* text = value->if_string()) {
    auto parsed = json::parse_object(*text, json::Limits{.bytes = 4096, .depth = 2});
    if (!parsed) return std::nullopt;
    object = *std::move(parsed);
  } else if (value->is_object()) {
    object = value->get_object();
  }
  const auto id = UpdateId::from_json(object, false);
  return id ? std::optional(*id) : std::nullopt;
}

std::optional<AgentState> read_state(const json::Object& agent) {
  const auto number = number_of(json::find(agent, "state"));
  if (!number) return std::nullopt;
  for (const AgentState state : {AgentState::idle, AgentState::in_progress, AgentState::failed})
    if (*number == static_cast<std::int64_t>(state)) return state;
  return std::nullopt;
}

std::optional<Progress> read_progress(const json::Object& reported) {
  const json::Object* own = json::object_or_null(reported, "godwit");
  const json::Object* progress = own != nullptr ? json::object_or_null(*own, "progress") : nullptr;
  if (progress == nullptr) return std::nullopt;
  const auto count = [&](std::string_view key) {
    return std::max<std::int64_t>(0, json::integer_or_nothing(*progress, key).value_or(0));
  };
  return Progress{.phase = cut_details(json::text_or_nothing(*progress, "phase").value_or(""), 64),
                  .step = count("step"),
                  .steps = count("steps"),
                  .done_bytes = count("doneBytes"),
                  .total_bytes = count("totalBytes"),
                  .waiting_for = cut_details(json::text_or_nothing(*progress, "waitingFor").value_or(""), 256)};
}

std::optional<AgentReport> read_report(const json::Object& agent, const json::Object& reported) {
  const auto state = read_state(agent);
  if (!state) return std::nullopt;
  AgentReport report;
  report.state = *state;
  if (const json::Object* workflow = json::object_or_null(agent, "workflow")) {
    report.workflow_id = json::text_or_nothing(*workflow, "id").value_or("");
    report.retry_timestamp = json::text_or_nothing(*workflow, "retryTimestamp").value_or("");
    if (number_of(json::find(*workflow, "action")) == static_cast<std::int64_t>(Action::cancel))
      report.action = Action::cancel;
  }
  report.installed_update = read_installed(agent);
  report.result = read_result(agent);
  report.progress = read_progress(reported);
  return report;
}

Result<std::vector<std::string>> read_compat_names(const json::Object& agent) {
  const auto list = json::text_or_nothing(agent, "compatPropertyNames");
  if (!list) return fail(Code::bad_json, "agent.compatPropertyNames is missing");
  std::vector<std::string> names;
  std::string_view rest = *list;
  for (bool more = true; more;) {
    const auto comma = rest.find(',');
    const std::string_view name = trimmed(rest.substr(0, comma), " ");
    more = comma != std::string_view::npos;
    rest.remove_prefix(more ? comma + 1 : rest.size());
    if (name.empty() || count_characters(name) > kCompatNameLimit)
      return fail(Code::bad_json, fmt::format("compatPropertyNames holds a name that is not 1 to {} characters long",
                                              kCompatNameLimit));
    if (std::find(names.begin(), names.end(), name) != names.end())
      return fail(Code::bad_json, fmt::format("compatPropertyNames names '{}' twice", name));
    names.emplace_back(name);
    if (names.size() > kCompatNames)
      return fail(Code::bad_json, fmt::format("compatPropertyNames has more than {} names", kCompatNames));
  }
  return names;
}

Result<AgentIdentity> read_identity(const json::Object& agent) {
  const json::Object* properties = json::object_or_null(agent, "deviceProperties");
  if (properties == nullptr) return fail(Code::bad_json, "agent.deviceProperties is missing");
  AgentIdentity identity;
  for (const auto& member : *properties) {
    const std::string_view name = member.key();
    const auto* text = member.value().if_string();
    if (text == nullptr || name == "contractModelId" || name == "interfaceId") continue;
    if (name == "aduVer")
      identity.agent_version = std::string(std::string_view(*text));
    else
      identity.properties.emplace(name, std::string_view(*text));
  }
  const auto model = json::text_or_nothing(*properties, "contractModelId");
  if (!model) return fail(Code::bad_json, "deviceProperties.contractModelId is missing");
  GODWIT_TRY(identity.contract, parse_contract_model(*model));
  GODWIT_TRY(identity.compat_property_names, read_compat_names(agent));
  for (const std::string& name : identity.compat_property_names) {
    const auto value = identity.properties.find(name);
    if (value == identity.properties.end())
      return fail(Code::bad_json,
                  fmt::format("compatPropertyNames names '{}' but deviceProperties has no such value", name));
    if (value->second.empty() || count_characters(value->second) > kCompatValueLimit)
      return fail(Code::bad_json,
                  fmt::format("deviceProperties.{} is not 1 to {} characters long", name, kCompatValueLimit));
  }
  return identity;
}

std::optional<int> read_ack(const json::Object& component) {
  const json::Object* service = json::object_or_null(component, "service");
  if (service == nullptr) return std::nullopt;
  const auto status = number_of(json::find(*service, "ac"));
  return status && std::in_range<int>(*status) ? std::optional(static_cast<int>(*status)) : std::nullopt;
}

}  // namespace

json::Object progress_to_json(const Progress& progress) {
  json::Object object;
  object["phase"] = progress.phase;
  object["step"] = progress.step;
  object["steps"] = progress.steps;
  object["doneBytes"] = progress.done_bytes;
  object["totalBytes"] = progress.total_bytes;
  object["waitingFor"] = progress.waiting_for.empty() ? json::Value(nullptr) : json::Value(progress.waiting_for);
  return object;
}

json::Object identity_patch(const AgentIdentity& identity) {
  json::Object properties;
  for (const std::string_view first : {"manufacturer", "model"})  // the order that people expect
    if (const auto found = identity.properties.find(std::string(first)); found != identity.properties.end())
      properties[first] = found->second;
  for (const auto& [name, value] : identity.properties) properties[name] = value;
  properties["interfaceId"] = nullptr;  // a member of older agents
  properties["contractModelId"] = contract_model_id(identity.contract);
  if (!identity.agent_version.empty()) properties["aduVer"] = identity.agent_version;
  json::Object agent;
  agent["deviceProperties"] = std::move(properties);
  agent["compatPropertyNames"] = fmt::format("{}", fmt::join(identity.compat_property_names, ","));
  return in_agent(std::move(agent));
}

json::Object report_patch(const AgentReport& report) {
  json::Object agent;
  agent["state"] = static_cast<std::int32_t>(report.state);
  if (!report.workflow_id.empty()) {
    json::Object workflow;
    workflow["action"] = static_cast<std::int32_t>(report.action);
    workflow["id"] = report.workflow_id;
    workflow["retryTimestamp"] =
        report.retry_timestamp.empty() ? json::Value(nullptr) : json::Value(report.retry_timestamp);
    agent["workflow"] = std::move(workflow);
  }
  if (report.installed_update) agent["installedUpdateId"] = json::print(report.installed_update->to_json());
  if (report.result) agent["lastInstallResult"] = result_to_json(*report.result, report.state);
  json::Object patch = in_agent(std::move(agent));
  put_progress(patch, report.progress);
  return patch;
}

json::Object progress_patch(const Progress& progress) {
  json::Object patch;
  put_progress(patch, progress);
  return patch;
}

ReportedAgent read_reported(const json::Object& reported) {
  ReportedAgent read;
  const json::Object* component = json::object_or_null(reported, "deviceUpdate");
  if (component == nullptr) {
    read.identity_problem = "the device reports no deviceUpdate component";
    return read;
  }
  read.ack_status = read_ack(*component);
  const json::Object* agent = json::object_or_null(*component, "agent");
  if (agent == nullptr) {
    read.identity_problem = "the device reports no deviceUpdate.agent";
    return read;
  }
  if (auto identity = read_identity(*agent))
    read.identity = *std::move(identity);
  else
    read.identity_problem = identity.error().message;
  read.report = read_report(*agent, reported);
  return read;
}

}  // namespace godwit::twin
