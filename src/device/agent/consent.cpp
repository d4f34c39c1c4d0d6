#include "device/agent/consent.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.hpp"

namespace godwit::agent {
namespace {

constexpr ByteCount kPauseLimit = 4096;
constexpr std::size_t kReasonLimit = 256;
constexpr std::int64_t kLongestWait = 86'400;
constexpr Duration kLook = std::chrono::seconds(5);           // between two looks at the pause file
constexpr Duration kTellAgain = std::chrono::hours(1);        // so that the service sees a device that is alive
constexpr Duration kAfterNonsense = std::chrono::minutes(1);  // a command that fails is asked again

std::string first_line(std::string_view text) {
  const auto end = text.find('\n');
  return std::string(trimmed(text.substr(0, end == std::string_view::npos ? text.size() : end)));
}

std::string cut_reason(std::string_view text) { return cut_details(std::string(trimmed(text)), kReasonLimit); }

/// The word at the front of `text`, which is left with the rest.
std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const auto end = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

}  // namespace

std::optional<Pause> read_pause(const Path& file, WallTime now) {
  const auto text = read_file(file, kPauseLimit);
  if (!text && text.error().code == Code::not_found) return std::nullopt;
  if (!text) return Pause{std::nullopt, text.error().message};
  const auto object = json::parse_object(*text);
  if (!object) return Pause{std::nullopt, file.string() + " cannot be read; run: godwit-agent resume"};
  Pause pause;
  pause.reason = json::text_or_nothing(*object, "reason").value_or("");
  if (const auto until = json::integer_or_nothing(*object, "untilUnixSeconds"))
    pause.until = WallTime(std::chrono::seconds(*until));
  if (pause.until && now >= *pause.until) return std::nullopt;
  return pause;
}

Result<void> write_pause(const Path& file, const Pause& pause) {
  json::Object object{{"reason", cut_reason(pause.reason)}};
  if (pause.until)
    object["untilUnixSeconds"] =
        std::chrono::duration_cast<std::chrono::seconds>(pause.until->time_since_epoch()).count();
  return write_file_durably(file, json::print(object) + "\n");
}

Result<void> remove_pause(const Path& file) {
  std::error_code problem;
  std::filesystem::remove(file, problem);
  if (problem) return tl::unexpected<Error>{error_from_errno("remove " + file.string(), problem.value())};
  return {};
}

Result<ConsentAnswer> parse_consent(std::string_view output) {
  const std::string line = first_line(output);
  std::string_view rest = line;
  const auto word = take_word(rest);
  if (word == "now" && trimmed(rest).empty()) return ConsentAnswer{};
  if (word == "no") return ConsentAnswer{ConsentAnswer::Kind::no, {}, cut_reason(rest)};
  if (word == "later") {
    const auto seconds = to_number<std::int64_t>(take_word(rest));
    if (seconds && *seconds >= 1 && *seconds <= kLongestWait)
      return ConsentAnswer{ConsentAnswer::Kind::later, std::chrono::seconds(*seconds), cut_reason(rest)};
  }
  return fail(Code::invalid_argument, fmt::format("'{}' is none of: now, later SECONDS [reason] (1 to {}), no [reason]",
                                                  line.substr(0, 80), kLongestWait));
}

json::Object consent_question(ConsentFor what, const Record& record) {
  const auto wish = what == ConsentFor::install ? "none" : "device";
  json::Object question{{"question", what == ConsentFor::install ? "install" : "reboot"},
                        {"workflowId", record.goal ? record.goal->workflow_id : ""},
                        {"attempt", record.attempt},
                        {"step", record.step},
                        {"steps", record.steps.size()},
                        {"restart", wish}};
  if (record.target) question["updateId"] = record.target->to_json();
  return question;
}

bool DeviceConsent::is_needed() const {
  return !settings_.command.empty() || read_pause(settings_.pause_file, clock_.now());
}

ConsentAnswer DeviceConsent::ask(ConsentFor what, const Record& record, const std::stop_token& stop) const {
  using Kind = ConsentAnswer::Kind;
  if (const auto pause = read_pause(settings_.pause_file, clock_.now()))
    return {Kind::later, kLook,
            "updates are paused on this device" + (pause->reason.empty() ? "" : ": " + pause->reason)};
  if (settings_.command.empty()) return {};
  const auto end = run_command(settings_.command, json::print(consent_question(what, record)) + "\n",
                               {.time = settings_.command_time, .output = 4096}, stop);
  std::string problem;
  if (!end) {
    problem = end.error().message;
  } else if (!end->ok()) {
    problem = settings_.command.front() + " " + end->in_words();
  } else if (auto answer = parse_consent(end->output)) {
    return *std::move(answer);
  } else {
    problem = settings_.command.front() + ": " + answer.error().message;
  }
  log_.error("consent.command_failed",
             {{"reason", problem}, {"remedy", "the update waits until the command answers; see consent.command"}});
  return {Kind::later, kAfterNonsense, "the consent command failed: " + cut_reason(problem)};
}

ConsentAnswer DeviceConsent::wait(ConsentFor what, const Record& record, const std::stop_token& stop,
                                  const Waiting& waiting) {
  std::string told;
  Duration tell_again = clock_.monotonic();
  for (;;) {
    ConsentAnswer answer = ask(what, record, stop);
    if (stop.stop_requested()) return {ConsentAnswer::Kind::no, {}, "stopped"};
    if (answer.kind != ConsentAnswer::Kind::later) return answer;
    if (answer.reason != told) log_.info("consent.later", {{"reason", answer.reason}});
    if (answer.reason != told || clock_.monotonic() >= tell_again) {
      waiting(answer.reason);
      tell_again = clock_.monotonic() + kTellAgain;
    }
    told = answer.reason;
    if (!pauses_.wait(answer.wait, stop)) return {ConsentAnswer::Kind::no, {}, "stopped"};
  }
}

}  // namespace godwit::agent
