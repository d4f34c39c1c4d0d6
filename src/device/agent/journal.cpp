#include "device/agent/journal.hpp"

#include <limits>

namespace godwit::agent {
namespace {

constexpr std::size_t kStepLimit = 100;
constexpr std::size_t kFileLimit = 200;
constexpr std::size_t kRelatedLimit = 16;
constexpr std::size_t kUrlLimit = 200;
constexpr std::string_view kHere = "journal";

json::Object goal_to_json(const twin::DesiredUpdate& goal) {
  json::Object urls;
  for (const auto& [id, url] : goal.file_urls) urls[id] = url;
  json::Object out;
  out["action"] = static_cast<std::int64_t>(goal.action);
  out["workflow_id"] = goal.workflow_id;
  out["retry_timestamp"] = goal.retry_timestamp;
  out["root_key_package_url"] = goal.root_key_package_url;
  out["manifest"] = goal.manifest;
  out["manifest_signature"] = goal.manifest_signature;
  out["file_urls"] = std::move(urls);
  return out;
}

json::Object result_to_json(const StepResult& result) {
  json::Object out;
  out["result_code"] = result.result_code;
  out["extended_code"] = extended_code_hex(result.extended_code);
  out["details"] = result.details;
  return out;
}

void add_related(json::Object& entry, const PlannedFile& file) {
  json::Array related;
  for (const auto& one : file.related)
    related.push_back(json::Object{{"id", one.id},
                                   {"name", one.name},
                                   {"size", one.size},
                                   {"sha256", hex_encode(one.sha256)},
                                   {"properties", one.properties}});
  entry["download_handler"] = file.download_handler;
  entry["related"] = std::move(related);
}

json::Object step_to_json(const PlannedStep& step) {
  json::Array files;
  for (const auto& file : step.files) {
    json::Object entry;
    entry["id"] = file.id;
    entry["name"] = file.name;
    entry["size"] = file.size;
    entry["sha256"] = hex_encode(file.sha256);
    if (file.is_streamed) entry["streamed"] = true;
    if (!file.download_handler.empty()) add_related(entry, file);
    files.push_back(std::move(entry));
  }
  json::Object out;
  out["path"] = step.path;
  out["handler"] = step.handler;
  out["files"] = std::move(files);
  if (!step.skip.empty()) out["skip"] = step.skip;
  if (!step.subject.empty()) out["subject"] = step.subject;
  if (step.restores_update) out["restores_update"] = true;
  if (step.result) out["result"] = result_to_json(*step.result);
  return out;
}

json::Object outcome_to_json(const InstallResult& outcome) {
  json::Array codes;
  for (const auto code : outcome.extended_codes) codes.push_back(json::Value(extended_code_hex(code)));
  json::Object out;
  out["result_code"] = outcome.result_code;
  out["extended_codes"] = std::move(codes);
  out["details"] = outcome.details;
  return out;
}

template <class T>
Result<T> number_in(const json::Object& object, std::string_view key, std::int64_t low, std::int64_t high) {
  GODWIT_TRY(const auto number, json::integer(object, key, kHere));
  if (number < low || number > high) return fail(Code::invalid_argument, std::string(key) + " is out of range");
  return static_cast<T>(number);
}

/// Absent is false: a build from before it wrote no such member.
bool flag_in(const json::Object& object, std::string_view key) {
  const auto* value = json::find(object, key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

Result<void> read_restart(const json::Object& object, Record& record) {
  record.has_consent = flag_in(object, "has_consent");
  record.is_local_cancel = flag_in(object, "is_local_cancel");
  record.has_begun = flag_in(object, "has_begun");
  record.is_before_apply = flag_in(object, "is_before_apply");
  record.was_rebooted = flag_in(object, "was_rebooted");
  record.boot = json::text_or_nothing(object, "boot").value_or("");
  const auto wish = json::text_or_nothing(object, "restart_at_end").value_or("none");
  if (wish != "none" && wish != "agent" && wish != "device")
    return fail(Code::invalid_argument, "restart_at_end is neither none, agent nor device");
  record.restart_at_end = wish == "agent"    ? RestartWish::agent
                          : wish == "device" ? RestartWish::device
                                             : RestartWish::none;
  return {};
}

Result<twin::DesiredUpdate> read_goal(const json::Object& object) {
  twin::DesiredUpdate goal;
  GODWIT_TRY(const auto action, json::integer(object, "action", kHere));
  if (action != 3 && action != 255) return fail(Code::invalid_argument, "action is neither 3 nor 255");
  goal.action = static_cast<twin::Action>(action);
  GODWIT_TRY(goal.workflow_id, json::text(object, "workflow_id", kHere));
  GODWIT_TRY(goal.retry_timestamp, json::text(object, "retry_timestamp", kHere));
  GODWIT_TRY(goal.root_key_package_url, json::text(object, "root_key_package_url", kHere));
  GODWIT_TRY(goal.manifest, json::text(object, "manifest", kHere));
  GODWIT_TRY(goal.manifest_signature, json::text(object, "manifest_signature", kHere));
  GODWIT_TRY(const auto* urls, json::object(object, "file_urls", kHere));
  if (urls->size() > kUrlLimit) return fail(Code::too_large, "file_urls has too many entries");
  for (const auto& [id, url] : *urls) {
    if (!url.is_string()) return fail(Code::invalid_argument, "a file URL is not a text");
    goal.file_urls[std::string(id)] = std::string(url.as_string());
  }
  return goal;
}

Result<StepResult> read_result(const json::Object& object) {
  StepResult result;
  GODWIT_TRY(result.result_code, (number_in<std::int32_t>(object, "result_code", INT32_MIN, INT32_MAX)));
  GODWIT_TRY(const auto hex, json::text(object, "extended_code", kHere));
  GODWIT_TRY(result.extended_code, parse_extended_code(hex));
  GODWIT_TRY(result.details, json::text(object, "details", kHere));
  return result;
}

template <class File>
Result<File> read_file_base(const json::Value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::invalid_argument, "a file is not an object");
  File file;
  GODWIT_TRY(file.id, json::text(*object, "id", kHere));
  GODWIT_TRY(file.name, json::text(*object, "name", kHere));
  GODWIT_TRY(file.size, (number_in<ByteCount>(*object, "size", 0, INT64_MAX)));
  GODWIT_TRY(const auto hex, json::text(*object, "sha256", kHere));
  GODWIT_TRY(file.sha256, hex_decode(hex));
  if (file.sha256.size() != 32) return fail(Code::invalid_argument, "sha256 has not 32 bytes");
  return file;
}

Result<PlannedFile> read_planned_file(const json::Value& value) {
  GODWIT_TRY(auto file, read_file_base<PlannedFile>(value));
  const json::Object& object = value.get_object();
  const auto* streamed = json::find(object, "streamed");
  file.is_streamed = streamed != nullptr && streamed->is_bool() && streamed->get_bool();
  file.download_handler = json::text_or_nothing(object, "download_handler").value_or("");
  if (file.download_handler.empty()) return file;
  GODWIT_TRY(const auto* related, json::array(object, "related", kHere));
  if (related->size() > kRelatedLimit) return fail(Code::too_large, "a file has too many related files");
  for (const auto& entry : *related) {
    GODWIT_TRY(auto one, read_file_base<RelatedFile>(entry));
    if (const auto* properties = json::object_or_null(entry.get_object(), "properties")) one.properties = *properties;
    file.related.push_back(std::move(one));
  }
  return file;
}

Result<PlannedStep> read_step(const json::Value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::invalid_argument, "a step is not an object");
  PlannedStep step;
  GODWIT_TRY(step.path, json::text(*object, "path", kHere));
  GODWIT_TRY(step.handler, json::text(*object, "handler", kHere));
  GODWIT_TRY(const auto* files, json::array(*object, "files", kHere));
  if (files->size() > kFileLimit) return fail(Code::too_large, "a step has too many files");
  for (const auto& entry : *files) {
    GODWIT_TRY(auto file, read_planned_file(entry));
    step.files.push_back(std::move(file));
  }
  step.skip = json::text_or_nothing(*object, "skip").value_or("");
  step.subject = json::text_or_nothing(*object, "subject").value_or("");
  step.restores_update = flag_in(*object, "restores_update");
  if (const auto* found = json::object_or_null(*object, "result")) {
    GODWIT_TRY(step.result, read_result(*found));
  }
  return step;
}

Result<InstallResult> read_outcome(const json::Object& object) {
  InstallResult outcome;
  GODWIT_TRY(outcome.result_code, (number_in<std::int32_t>(object, "result_code", INT32_MIN, INT32_MAX)));
  GODWIT_TRY(const auto* codes, json::array(object, "extended_codes", kHere));
  for (const auto& value : *codes) {
    if (!value.is_string()) return fail(Code::invalid_argument, "an extended code is not a text");
    GODWIT_TRY(const auto code, parse_extended_code(std::string_view(value.as_string())));
    outcome.extended_codes.push_back(code);
  }
  GODWIT_TRY(outcome.details, json::text(object, "details", kHere));
  return outcome;
}

Result<std::vector<ExtendedCode>> read_soft_codes(const json::Object& object) {
  std::vector<ExtendedCode> read;
  const auto* value = json::find(object, "soft_codes");
  if (value == nullptr) return read;  // a build from before it
  GODWIT_TRY(const auto* codes, json::array(object, "soft_codes", kHere));
  if (codes->size() > kStepLimit) return fail(Code::too_large, "soft_codes has too many entries");
  for (const auto& one : *codes) {
    if (!one.is_string()) return fail(Code::invalid_argument, "a soft code is not a text");
    GODWIT_TRY(const auto code, parse_extended_code(std::string_view(one.as_string())));
    read.push_back(code);
  }
  return read;
}

Result<void> read_optional_parts(const json::Object& object, Record& record) {
  if (const auto* goal = json::object_or_null(object, "goal")) {
    GODWIT_TRY(record.goal, read_goal(*goal));
  }
  if (const auto* target = json::object_or_null(object, "target")) {
    GODWIT_TRY(record.target, UpdateId::from_json(*target, true));
  }
  if (const auto* outcome = json::object_or_null(object, "outcome")) {
    GODWIT_TRY(record.outcome, read_outcome(*outcome));
  }
  if (const auto* installed = json::object_or_null(object, "installed")) {
    GODWIT_TRY(record.installed, UpdateId::from_json(*installed, true));
  }
  return {};
}

Result<std::vector<PastWorkflow>> read_past(const json::Object& object) {
  std::vector<PastWorkflow> past;
  GODWIT_TRY(const auto* entries, json::array(object, "past", kHere));
  if (entries->size() > kPastLimit) return fail(Code::too_large, "past has too many entries");
  for (const auto& value : *entries) {
    const auto* entry = value.if_object();
    if (entry == nullptr) return fail(Code::invalid_argument, "a past workflow is not an object");
    PastWorkflow workflow;
    GODWIT_TRY(workflow.workflow_id, json::text(*entry, "workflow_id", kHere));
    GODWIT_TRY(workflow.attempt, (number_in<std::uint32_t>(*entry, "attempt", 0, UINT32_MAX)));
    past.push_back(std::move(workflow));
  }
  return past;
}

/// What no sequence of rows can leave behind.
Result<void> check_whole(const Record& record) {
  const State state = record.state;
  if (state != State::idle && !record.goal) return fail(Code::invalid_argument, "there is a state but no goal");
  const bool needs_step =
      is_working(state) && state != State::verifying && state != State::downloading && state != State::cancelling;
  if (needs_step && record.step >= record.steps.size())
    return fail(Code::invalid_argument, "the current step is not in the plan");
  if ((state == State::failed || state == State::cancelled) && !record.outcome)
    return fail(Code::invalid_argument, "there is an end but no outcome");
  return {};
}

}  // namespace

std::string print_record(const Record& record) {
  json::Array steps;
  for (const auto& step : record.steps) steps.push_back(step_to_json(step));
  json::Object out;
  out["version"] = kJournalVersion;
  out["state"] = std::string(state_name(record.state));
  out["attempt"] = record.attempt;
  out["step"] = record.step;
  out["is_superseded"] = record.is_superseded;
  out["wakes"] = record.wakes;
  out["losses"] = record.losses;
  if (record.reached_bytes != 0) out["reached_bytes"] = record.reached_bytes;
  if (record.is_local_cancel) out["is_local_cancel"] = true;
  if (record.has_consent) out["has_consent"] = true;
  if (record.has_begun) out["has_begun"] = true;
  if (record.is_before_apply) out["is_before_apply"] = true;
  if (record.was_rebooted) out["was_rebooted"] = true;
  if (record.restart_at_end != RestartWish::none)
    out["restart_at_end"] = record.restart_at_end == RestartWish::agent ? "agent" : "device";
  if (!record.boot.empty()) out["boot"] = record.boot;
  if (record.copy_device != 0) out["copy_device"] = record.copy_device;
  if (!record.soft_codes.empty()) {
    json::Array codes;
    for (const auto code : record.soft_codes) codes.push_back(json::Value(extended_code_hex(code)));
    out["soft_codes"] = std::move(codes);
  }
  if (record.goal) out["goal"] = goal_to_json(*record.goal);
  if (record.target) out["target"] = record.target->to_json();
  out["steps"] = std::move(steps);
  if (record.outcome) out["outcome"] = outcome_to_json(*record.outcome);
  if (record.installed) out["installed"] = record.installed->to_json();
  json::Array past;
  for (const auto& [workflow, attempt] : record.past)
    past.push_back(json::Object{{"workflow_id", workflow}, {"attempt", attempt}});
  out["past"] = std::move(past);
  return json::print(out) + "\n";
}

Result<Record> parse_record(std::string_view text) {
  GODWIT_TRY(const auto object, json::parse_object(text, {.bytes = kJournalLimit, .depth = 12}));
  GODWIT_TRY(const auto version, json::integer(object, "version", kHere));
  if (version != kJournalVersion)
    return fail(Code::unsupported, "the journal has version " + std::to_string(version) +
                                       ", this agent writes version " + std::to_string(kJournalVersion));
  Record record;
  GODWIT_TRY(const auto name, json::text(object, "state", kHere));
  const auto state = parse_state(name);
  if (!state) return fail(Code::invalid_argument, "'" + name.substr(0, 40) + "' is not a state");
  record.state = *state;
  constexpr auto kMost = static_cast<std::int64_t>(std::numeric_limits<std::uint32_t>::max());
  GODWIT_TRY(record.attempt, (number_in<std::uint32_t>(object, "attempt", 0, kMost)));
  GODWIT_TRY(record.step, (number_in<std::uint32_t>(object, "step", 0, kMost)));
  GODWIT_TRY(record.wakes, (number_in<std::uint32_t>(object, "wakes", 0, kMost)));
  GODWIT_TRY(record.losses, (number_in<std::uint32_t>(object, "losses", 0, kMost)));
  if (const auto reached = json::integer_or_nothing(object, "reached_bytes"); reached && *reached > 0)
    record.reached_bytes = static_cast<std::uint64_t>(*reached);
  const auto* superseded = json::find(object, "is_superseded");
  record.is_superseded = superseded != nullptr && superseded->is_bool() && superseded->as_bool();
  GODWIT_TRY(const auto* steps, json::array(object, "steps", kHere));
  if (steps->size() > kStepLimit) return fail(Code::too_large, "the plan has too many steps");
  for (const auto& value : *steps) {
    GODWIT_TRY(auto step, read_step(value));
    record.steps.push_back(std::move(step));
  }
  GODWIT_TRY(record.past, read_past(object));
  if (const auto device = json::integer_or_nothing(object, "copy_device"); device && *device > 0)
    record.copy_device = static_cast<std::uint64_t>(*device);
  GODWIT_TRY(record.soft_codes, read_soft_codes(object));
  GODWIT_TRY_VOID(read_restart(object, record));
  GODWIT_TRY_VOID(read_optional_parts(object, record));
  GODWIT_TRY_VOID(check_whole(record));
  return record;
}

Path FileJournal::path_aside() const {
  Path aside = file_;
  aside += ".unreadable";
  return aside;
}

Result<FileJournal::Loaded> FileJournal::load() const {
  auto text = read_file(file_, kJournalLimit);
  if (!text && text.error().code == Code::not_found) return Loaded{};
  Error problem;
  if (text) {
    auto record = parse_record(*text);
    if (record) return Loaded{*std::move(record), ""};
    problem = std::move(record).error();
  } else if (text.error().code == Code::too_large) {
    problem = std::move(text).error();
  } else {
    return with_context("read the journal", std::move(text).error());
  }
  std::error_code failed;
  std::filesystem::rename(file_, path_aside(), failed);
  if (failed) return tl::unexpected<Error>{error_from_errno("move the unreadable journal aside", failed.value())};
  return Loaded{Record{}, problem.message + "; moved to " + path_aside().string()};
}

Result<void> FileJournal::save(const Record& record) { return write_file_durably(file_, print_record(record)); }

}  // namespace godwit::agent
