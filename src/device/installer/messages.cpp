#include "device/installer/messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/file.hpp"
#include "core/base/overloaded.hpp"
#include "core/model/text.hpp"

namespace godwit::installer {
namespace {

constexpr auto kVerbs = std::to_array<std::pair<Verb, std::string_view>>({
    {Verb::is_installed, "is_installed"},
    {Verb::download, "download"},
    {Verb::backup, "backup"},
    {Verb::install, "install"},
    {Verb::apply, "apply"},
    {Verb::restore, "restore"},
    {Verb::cancel_note, "cancel_note"},
});
constexpr std::size_t kWorkflowIdLimit = 64;
constexpr std::size_t kPathLimit = 4000;
constexpr std::size_t kStepsLimit = 100;
constexpr std::size_t kFilesLimit = 100;
constexpr std::size_t kRelatedLimit = 16;
constexpr std::int64_t kAttemptLimit = 1'000'000;

Result<std::string> read_workflow_id(const json::Object& message) {
  GODWIT_TRY(std::string id, json::text(message, "workflow_id", ""));
  if (const std::string reason = check_workflow_id(id); !reason.empty())
    return fail(Code::invalid_argument, "workflow_id " + reason);
  return id;
}

Result<std::uint32_t> read_number(const json::Object& object, std::string_view key, std::int64_t least,
                                  std::int64_t most) {
  GODWIT_TRY(const std::int64_t number, json::integer(object, key, ""));
  if (number < least || number > most)
    return fail(Code::invalid_argument, fmt::format("{} is {}, allowed are {} to {}", key, number, least, most));
  return static_cast<std::uint32_t>(number);
}

Result<Request> parse_open(const json::Object& message) {
  OpenRequest open;
  GODWIT_TRY(open.workflow_id, read_workflow_id(message));
  GODWIT_TRY(open.attempt, read_number(message, "attempt", 1, kAttemptLimit));
  GODWIT_TRY(open.manifest, json::text(message, "manifest", ""));
  GODWIT_TRY(open.signature, json::text(message, "signature", ""));
  GODWIT_TRY(open.root_key_package, json::text(message, "root_key_package", ""));
  open.detached_manifest = json::text_or_nothing(message, "detached_manifest").value_or("");
  if (const json::Object* children = json::object_or_null(message, "children")) open.children = *children;
  if (const json::Object* components = json::object_or_null(message, "components")) open.components = *components;
  return Request{std::move(open)};
}

/// {"file":"<id>","ranges":[...]}. That they lie inside the file is for whoever knows the file.
Result<Pieces> parse_pieces(const json::Object& object) {
  Pieces pieces;
  GODWIT_TRY(pieces.file_id, json::text(object, "file", "pieces"));
  pieces.ranges = extension::ranges_from_answer(object, std::numeric_limits<std::int64_t>::max());
  if (pieces.ranges.empty() || extension::sum_of(pieces.ranges) > extension::kPiecesMax)
    return fail(Code::invalid_argument,
                fmt::format("pieces: ranges must rise without overlap, be at most {} and {} bytes in all",
                            extension::kFileRangesMax, extension::kPiecesMax));
  return pieces;
}

json::Object to_json(const Pieces& pieces) {
  return {{"file", pieces.file_id}, {"ranges", extension::ranges_to_json(pieces.ranges)}};
}

Result<Request> parse_act(const json::Object& message) {
  ActRequest act;
  GODWIT_TRY(act.workflow_id, read_workflow_id(message));
  GODWIT_TRY(act.attempt, read_number(message, "attempt", 1, kAttemptLimit));
  GODWIT_TRY(act.step, read_number(message, "step", 0, kStepsLimit - 1));
  GODWIT_TRY(const std::string verb, json::text(message, "verb", ""));
  GODWIT_TRY(act.verb, parse_verb(verb));
  GODWIT_TRY(act.files_folder, json::text(message, "files_folder", ""));
  if (!act.files_folder.empty() && (act.files_folder.front() != '/' || act.files_folder.size() > kPathLimit))
    return fail(Code::invalid_argument, "files_folder is neither empty nor an absolute path");
  if (const json::Object* pieces = json::object_or_null(message, "pieces")) {
    GODWIT_TRY(act.pieces, parse_pieces(*pieces));
    GODWIT_TRY(act.pieces_file, json::text(*pieces, "in", "pieces"));
    if (!is_plain_file_name(act.pieces_file))
      return fail(Code::invalid_argument, "pieces: 'in' is not a plain file name");
  }
  return Request{std::move(act)};
}

template <class File>
json::Object base_to_json(const File& file) {
  return {{"id", file.id}, {"name", file.name}, {"size", file.size}, {"sha256", file.sha256}};
}

json::Object file_to_json(const PlanFile& file) {
  json::Object object = base_to_json(file);
  if (file.is_streamed) object["streamed"] = true;
  if (file.download_handler.empty()) return object;
  object["download_handler"] = file.download_handler;
  json::Array related;
  for (const RelatedPlanFile& one : file.related) {
    json::Object entry = base_to_json(one);
    entry["properties"] = one.properties;
    related.push_back(std::move(entry));
  }
  object["related"] = std::move(related);
  return object;
}

template <class File>
Result<File> parse_base(const json::Value& value) {
  if (!value.is_object()) return fail(Code::invalid_argument, "plan: a file is not an object");
  const json::Object& object = value.get_object();
  File file;
  GODWIT_TRY(file.id, json::text(object, "id", "plan file"));
  GODWIT_TRY(file.name, json::text(object, "name", "plan file"));
  GODWIT_TRY(const std::int64_t size, json::integer(object, "size", "plan file"));
  if (size < 0) return fail(Code::invalid_argument, "plan: a file has a negative size");
  file.size = static_cast<std::uint64_t>(size);
  GODWIT_TRY(file.sha256, json::text(object, "sha256", "plan file"));
  return file;
}

Result<PlanFile> parse_file(const json::Value& value) {
  GODWIT_TRY(PlanFile file, parse_base<PlanFile>(value));
  const json::Object& object = value.get_object();
  const json::Value* streamed = json::find(object, "streamed");
  file.is_streamed = streamed != nullptr && streamed->is_bool() && streamed->get_bool();
  file.download_handler = json::text_or_nothing(object, "download_handler").value_or("");
  if (file.download_handler.empty()) return file;
  GODWIT_TRY(const json::Array* related, json::array(object, "related", "plan file"));
  if (related->size() > kRelatedLimit) return fail(Code::invalid_argument, "plan: a file has too many related files");
  for (const json::Value& entry : *related) {
    GODWIT_TRY(RelatedPlanFile one, parse_base<RelatedPlanFile>(entry));
    if (const json::Object* properties = json::object_or_null(entry.get_object(), "properties"))
      one.properties = *properties;
    file.related.push_back(std::move(one));
  }
  return file;
}

Result<PlanStep> parse_step(const json::Value& value) {
  if (!value.is_object()) return fail(Code::invalid_argument, "plan: a step is not an object");
  const json::Object& object = value.get_object();
  PlanStep step;
  GODWIT_TRY(step.index, read_number(object, "index", 0, kStepsLimit - 1));
  GODWIT_TRY(step.path, json::text(object, "path", "plan step"));
  GODWIT_TRY(step.handler, json::text(object, "handler", "plan step"));
  step.skip = json::text_or_nothing(object, "skip").value_or("");
  step.subject = json::text_or_nothing(object, "subject").value_or("");
  GODWIT_TRY(const json::Array* files, json::array(object, "files", "plan step"));
  if (files->size() > kFilesLimit) return fail(Code::invalid_argument, "plan: a step has too many files");
  for (const json::Value& entry : *files) {
    GODWIT_TRY(PlanFile file, parse_file(entry));
    step.files.push_back(std::move(file));
  }
  const json::Value* restores = json::find(object, "restores_update");
  step.restores_update = restores != nullptr && restores->is_bool() && restores->get_bool();
  if (const json::Object* properties = json::object_or_null(object, "handler_properties"))
    step.handler_properties = *properties;
  if (const json::Object* component = json::object_or_null(object, "component")) step.component = *component;
  return step;
}

Result<Reply> parse_outcome(const json::Object& message) {
  ActOutcome outcome;
  GODWIT_TRY(const std::int64_t code, json::integer(message, "result_code", ""));
  if (code < std::numeric_limits<std::int32_t>::min() || code > std::numeric_limits<std::int32_t>::max())
    return fail(Code::invalid_argument, "result_code is out of range");
  outcome.result_code = static_cast<std::int32_t>(code);
  GODWIT_TRY(const json::Array* codes, json::array(message, "extended_codes", ""));
  if (codes->size() > 16) return fail(Code::invalid_argument, "extended_codes has more than 16 numbers");
  for (const json::Value& value : *codes) {
    boost::system::error_code not_a_code;
    const auto code_value = value.to_number<ExtendedCode>(not_a_code);
    if (not_a_code || value.is_double())
      return fail(Code::invalid_argument, "extended_codes holds what is not a 32-bit number");
    outcome.extended_codes.push_back(code_value);
  }
  GODWIT_TRY(outcome.details, json::text(message, "details", ""));
  outcome.details = cut_details(std::move(outcome.details));
  if (const auto own = json::integer_or_nothing(message, "own_work"); own && *own >= 0 && *own < 10'000)
    outcome.own_work = static_cast<std::int32_t>(*own);
  const json::Value* recorded = json::find(message, "recorded");
  outcome.recorded = recorded != nullptr && recorded->is_bool() && recorded->get_bool();
  if (const json::Object* plan = json::object_or_null(message, "plan")) {
    GODWIT_TRY(outcome.plan, parse_plan(*plan));
  }
  if (const json::Object* status = json::object_or_null(message, "status")) outcome.status = *status;
  if (const json::Object* wants = json::object_or_null(message, "wants")) {
    GODWIT_TRY(outcome.wants, parse_pieces(*wants));
  }
  return Reply{std::move(outcome)};
}

}  // namespace

std::string_view verb_name(Verb verb) {
  const auto row = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const auto& r) { return r.first == verb; });
  GODWIT_CHECK(row != kVerbs.end());
  return row->second;
}

Result<Verb> parse_verb(std::string_view name) {
  for (const auto& [verb, text] : kVerbs)
    if (text == name) return verb;
  return fail(Code::invalid_argument, fmt::format("verb '{}' is not known", name.substr(0, 32)));
}

std::string check_workflow_id(std::string_view id) {
  if (id.empty() || id.size() > kWorkflowIdLimit) return "is empty or has more than 64 characters";
  if (!std::all_of(id.begin(), id.end(), [](char c) { return is_ascii_alphanumeric(c) || c == '-'; }))
    return "holds other characters than letters, digits and '-'";
  return "";
}

Result<Request> parse_request(const json::Object& message) {
  GODWIT_TRY(const std::string op, json::text(message, "op", ""));
  if (op == "open") return parse_open(message);
  if (op == "act") return parse_act(message);
  if (op == "status") return Request{StatusRequest{}};
  if (op == "cancel") {
    GODWIT_TRY(std::string id, read_workflow_id(message));
    return Request{CancelRequest{std::move(id)}};
  }
  if (op == "close") {
    GODWIT_TRY(std::string id, read_workflow_id(message));
    return Request{CloseRequest{std::move(id)}};
  }
  if (op == "restart_device") {
    GODWIT_TRY(std::string id, read_workflow_id(message));
    GODWIT_TRY(const std::uint32_t attempt, read_number(message, "attempt", 1, kAttemptLimit));
    return Request{RestartDeviceRequest{std::move(id), attempt}};
  }
  return fail(Code::unsupported,
              fmt::format("op '{}' is not one of open, act, cancel, close, restart_device, status", op.substr(0, 32)));
}

json::Object to_json(const Request& request) {
  return std::visit(
      Overloaded{
          [](const OpenRequest& r) -> json::Object {
            json::Object o{
                {"op", "open"},           {"workflow_id", r.workflow_id}, {"attempt", r.attempt},
                {"manifest", r.manifest}, {"signature", r.signature},     {"root_key_package", r.root_key_package}};
            if (!r.detached_manifest.empty()) o["detached_manifest"] = r.detached_manifest;
            if (!r.children.empty()) o["children"] = r.children;
            if (!r.components.empty()) o["components"] = r.components;
            return o;
          },
          [](const ActRequest& r) -> json::Object {
            json::Object o{{"op", "act"},    {"workflow_id", r.workflow_id}, {"attempt", r.attempt},
                           {"step", r.step}, {"verb", verb_name(r.verb)},    {"files_folder", r.files_folder}};
            if (!r.pieces) return o;
            json::Object pieces = to_json(*r.pieces);
            pieces["in"] = r.pieces_file;
            o["pieces"] = std::move(pieces);
            return o;
          },
          [](const CancelRequest& r) -> json::Object {
            return {{"op", "cancel"}, {"workflow_id", r.workflow_id}};
          },
          [](const CloseRequest& r) -> json::Object {
            return {{"op", "close"}, {"workflow_id", r.workflow_id}};
          },
          [](const StatusRequest&) -> json::Object {
            return {{"op", "status"}};
          },
          [](const RestartDeviceRequest& r) -> json::Object {
            return {{"op", "restart_device"}, {"workflow_id", r.workflow_id}, {"attempt", r.attempt}};
          },
      },
      request);
}

json::Object to_json(const Plan& plan, PlanDetail detail) {
  json::Array steps;
  for (const PlanStep& step : plan.steps) {
    json::Array files;
    for (const PlanFile& file : step.files) files.push_back(file_to_json(file));
    json::Object object{
        {"index", step.index}, {"path", step.path}, {"handler", step.handler}, {"files", std::move(files)}};
    if (!step.skip.empty()) object["skip"] = step.skip;
    if (!step.subject.empty()) object["subject"] = step.subject;
    if (step.restores_update) object["restores_update"] = true;
    if (detail == PlanDetail::whole) {
      object["handler_properties"] = step.handler_properties;
      if (!step.component.empty()) object["component"] = step.component;
    }
    steps.push_back(std::move(object));
  }
  json::Object object{{"update_id", plan.update_id}, {"steps", std::move(steps)}};
  if (plan.copy_device != 0) object["copy_device"] = plan.copy_device;
  return object;
}

Result<Plan> parse_plan(const json::Object& message) {
  Plan plan;
  GODWIT_TRY(const json::Object* update_id, json::object(message, "update_id", "plan"));
  plan.update_id = *update_id;
  if (const auto device = json::integer_or_nothing(message, "copy_device"); device && *device > 0)
    plan.copy_device = static_cast<std::uint64_t>(*device);
  GODWIT_TRY(const json::Array* steps, json::array(message, "steps", "plan"));
  if (steps->empty() || steps->size() > kStepsLimit)
    return fail(Code::invalid_argument,
                fmt::format("plan has {} steps, allowed are 1 to {}", steps->size(), kStepsLimit));
  for (const json::Value& value : *steps) {
    GODWIT_TRY(PlanStep step, parse_step(value));
    if (step.index != plan.steps.size())
      return fail(Code::invalid_argument, "plan: the steps are not numbered in order");
    plan.steps.push_back(std::move(step));
  }
  return plan;
}

Result<Reply> parse_reply(const json::Object& message) {
  GODWIT_TRY(const std::string event, json::text(message, "event", ""));
  if (event == "outcome") return parse_outcome(message);
  if (event == "progress") {
    GODWIT_TRY(const std::int64_t done, json::integer(message, "done", "progress"));
    GODWIT_TRY(const std::int64_t total, json::integer(message, "total", "progress"));
    if (done < 0 || total < 0) return fail(Code::invalid_argument, "progress is negative");
    return Reply{Progress{static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(total)}};
  }
  if (event == "log") {
    GODWIT_TRY(const std::int64_t level, json::integer(message, "level", "log"));
    GODWIT_TRY(std::string line, json::text(message, "line", "log"));
    return Reply{LogLine{static_cast<LogLevel>(std::clamp<std::int64_t>(level, 0, 3)), std::move(line)}};
  }
  if (event == "error") {
    GODWIT_TRY(const std::int64_t number, json::integer(message, "code", "error"));
    GODWIT_TRY(std::string text, json::text(message, "message", "error"));
    const auto code = static_cast<Code>(std::clamp<std::int64_t>(number, 0, 9999));
    return Reply{Refusal{code == Code::ok || code_name(code) == "unknown" ? Code::internal : code, std::move(text)}};
  }
  return fail(Code::invalid_argument, fmt::format("event '{}' is not known", event.substr(0, 32)));
}

json::Object to_json(const Reply& reply) {
  constexpr auto fits = [](std::uint64_t n) {
    return std::min<std::uint64_t>(n, std::numeric_limits<std::int64_t>::max());
  };
  return std::visit(
      Overloaded{
          [&](const Progress& p) -> json::Object {
            return {{"event", "progress"}, {"done", fits(p.done)}, {"total", fits(p.total)}};
          },
          [](const LogLine& l) -> json::Object {
            return {{"event", "log"}, {"level", static_cast<int>(l.level)}, {"line", l.line}};
          },
          [](const ActOutcome& a) -> json::Object {
            json::Array codes;
            for (const ExtendedCode code : a.extended_codes) codes.emplace_back(code);
            json::Object o{{"event", "outcome"},
                           {"result_code", a.result_code},
                           {"extended_codes", std::move(codes)},
                           {"details", a.details}};
            if (a.own_work != 0) o["own_work"] = a.own_work;
            if (a.recorded) o["recorded"] = true;
            if (a.plan) o["plan"] = to_json(*a.plan, PlanDetail::for_the_agent);
            if (!a.status.empty()) o["status"] = a.status;
            if (a.wants) o["wants"] = to_json(*a.wants);
            return o;
          },
          [](const Refusal& r) -> json::Object {
            return {{"event", "error"}, {"code", static_cast<std::uint32_t>(r.code)}, {"message", r.message}};
          },
      },
      reply);
}

}  // namespace godwit::installer
