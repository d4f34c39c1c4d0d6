#include "device/extension/worker_messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/bytes.hpp"
#include "core/base/overloaded.hpp"

namespace godwit::extension {
namespace {

/// Which success codes an act may answer with.
struct VerbRow {
  Type type;
  std::string_view verb;
  std::int32_t first;
  std::int32_t last;
};
constexpr auto kVerbs = std::to_array<VerbRow>({
    {Type::step_handler, "is_installed", 900, 901},
    {Type::step_handler, "download", 500, 599},
    {Type::step_handler, "backup", 1000, 1099},
    {Type::step_handler, "install", 600, 699},
    {Type::step_handler, "apply", 700, 799},
    {Type::step_handler, "restore", 1100, 1199},
    {Type::manifest_handler, "plan", 1, 1},
    {Type::content_downloader, "download", 500, 500},
    {Type::content_downloader, "upload", 500, 500},
    {Type::content_downloader, "download_ranges", 500, 500},
    {Type::download_handler, "choose", 520, 521},
    {Type::download_handler, "make", 520, 521},
    {Type::download_handler, "completed", 1, 1},
    {Type::component_enumerator, "list", 1, 1},
    {Type::component_enumerator, "select", 1, 1},
});

Result<Code> parse_code(std::int64_t number) {
  const auto code = static_cast<Code>(number);
  if (number <= 0 || number > 9999 || code_name(code) == "unknown")
    return fail(Code::invalid_argument, fmt::format("{} is not an error code", number));
  return code;
}

Result<WorkerMessage> parse_outcome(const json::Object& message) {
  Outcome outcome;
  GODWIT_TRY(const std::int64_t result, json::integer(message, "result_code", "outcome"));
  GODWIT_TRY(const std::int64_t extended, json::integer(message, "extended_code", "outcome"));
  if (result < -1 || result > 9999)
    return fail(Code::invalid_argument, fmt::format("result_code {} is out of range", result));
  if (extended < 0 || extended > 0xFFFFFFFF) return fail(Code::invalid_argument, "extended_code is out of range");
  GODWIT_TRY(std::string details, json::text(message, "details", "outcome"));
  outcome.result_code = static_cast<std::int32_t>(result);
  outcome.extended_code = static_cast<ExtendedCode>(extended);
  outcome.details = cut_details(std::move(details));
  if (const json::Object* answer = json::object_or_null(message, "answer")) outcome.answer = *answer;
  return WorkerMessage{std::move(outcome)};
}

}  // namespace

std::string call_name(const json::Object& call) {
  const std::string verb = json::text_or_nothing(call, "verb").value_or("?");
  const auto workflow = json::text_or_nothing(call, "workflow_id");
  if (!workflow) return verb;
  return fmt::format("{}/{}/{}/{}", *workflow, json::integer_or_nothing(call, "attempt").value_or(0),
                     json::integer_or_nothing(call, "step").value_or(0), verb);
}

json::Object call_message(const Registration& registration, const json::Object& call) {
  json::Object options;
  for (const auto& [name, value] : registration.options) options[name] = value;
  return {{"type", type_name(registration.type)},
          {"id", registration.id},
          {"path", registration.path.string()},
          {"sha256", registration.sha256},
          {"size", registration.size},
          {"network", registration.network},
          {"options", std::move(options)},
          {"call", call}};
}

Result<CallMessage> parse_call_message(const json::Object& message) {
  CallMessage parsed;
  GODWIT_TRY(const std::string type, json::text(message, "type", "call"));
  GODWIT_TRY(parsed.registration.type, parse_type(type));
  GODWIT_TRY(parsed.registration.id, json::text(message, "id", "call"));
  GODWIT_TRY(const std::string path, json::text(message, "path", "call"));
  parsed.registration.path = path;
  GODWIT_TRY(parsed.registration.sha256, json::text(message, "sha256", "call"));
  GODWIT_TRY(const std::int64_t size, json::integer(message, "size", "call"));
  parsed.registration.size = static_cast<ByteCount>(size);
  const json::Value* network = json::find(message, "network");
  parsed.registration.network = network != nullptr && network->is_bool() && network->get_bool();
  if (const json::Object* options = json::object_or_null(message, "options"))
    for (const auto& option : *options)
      if (option.value().is_string())
        parsed.registration.options.emplace(option.key(), std::string_view(option.value().get_string()));
  GODWIT_TRY(const json::Object* call, json::object(message, "call", "call"));
  parsed.call = *call;
  return parsed;
}

json::Object cancel_message() { return {{"cancel", true}}; }
bool is_cancel_message(const json::Object& message) { return json::find(message, "cancel") != nullptr; }

json::Object to_json(const WorkerMessage& message) {
  return std::visit(
      Overloaded{
          [](const WorkerLog& log) -> json::Object {
            return {{"event", "log"}, {"level", static_cast<int>(log.level)}, {"line", log.line}};
          },
          [](const WorkerProgress& p) -> json::Object {
            return {{"event", "progress"}, {"done", p.done}, {"total", p.total}};
          },
          [](const Outcome& o) -> json::Object {
            return {{"event", "outcome"},
                    {"result_code", o.result_code},
                    {"extended_code", o.extended_code},
                    {"details", o.details},
                    {"answer", o.answer}};
          },
          [](const Error& e) -> json::Object {
            return {{"event", "error"}, {"code", static_cast<std::uint32_t>(e.code)}, {"message", e.message}};
          },
      },
      message);
}

Result<WorkerMessage> parse_worker_message(const json::Object& message) {
  GODWIT_TRY(const std::string event, json::text(message, "event", "message"));
  if (event == "log") {
    GODWIT_TRY(const std::int64_t level, json::integer(message, "level", "log"));
    GODWIT_TRY(std::string line, json::text(message, "line", "log"));
    return WorkerMessage{WorkerLog{static_cast<LogLevel>(std::clamp<std::int64_t>(level, 0, 3)), std::move(line)}};
  }
  if (event == "progress") {
    const json::Value* done = json::find(message, "done");
    const json::Value* total = json::find(message, "total");
    boost::system::error_code not_number;
    WorkerProgress progress;
    if (done != nullptr) progress.done = done->to_number<std::uint64_t>(not_number);
    if (total != nullptr && !not_number) progress.total = total->to_number<std::uint64_t>(not_number);
    if (done == nullptr || total == nullptr || not_number)
      return fail(Code::invalid_argument, "progress without numbers");
    return WorkerMessage{progress};
  }
  if (event == "outcome") return parse_outcome(message);
  if (event == "error") {
    GODWIT_TRY(const std::int64_t number, json::integer(message, "code", "error"));
    GODWIT_TRY(const Code code, parse_code(number));
    GODWIT_TRY(std::string text, json::text(message, "message", "error"));
    return WorkerMessage{Error{code, cut_details(std::move(text))}};
  }
  return fail(Code::invalid_argument, fmt::format("event '{}' is not known", event.substr(0, 32)));
}

Result<void> check_outcome(const Registration& registration, const json::Object& call, const Outcome& outcome) {
  const std::string verb = json::text_or_nothing(call, "verb").value_or("");
  if (outcome.result_code <= 0 || verb == "probe") return {};
  const auto row = std::find_if(kVerbs.begin(), kVerbs.end(),
                                [&](const VerbRow& r) { return r.type == registration.type && r.verb == verb; });
  if (row != kVerbs.end() && row->first <= outcome.result_code && outcome.result_code <= row->last) return {};
  return fail(Code::extension_contract, fmt::format("{} answered {} with result code {}, which does not belong to it",
                                                    registration.id, verb, outcome.result_code));
}

std::string printable(std::string_view text) {
  const bool is_utf8 = is_valid_utf8(text);
  std::string clean(text);
  for (char& c : clean) {
    if (c == '\0') c = ' ';
    if (!is_utf8 && (static_cast<unsigned char>(c) & 0x80U) != 0) c = '?';
  }
  return clean;
}

}  // namespace godwit::extension
