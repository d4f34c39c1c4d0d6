#include "device/agent/status.hpp"

#include <fmt/format.h>

namespace godwit::agent {
namespace {

std::string_view in_words(State state) {
  switch (state) {
    case State::idle: return "idle, no update was offered yet";
    case State::verifying: return "verifying the update";
    case State::downloading: return "downloading";
    case State::checking: return "asking whether the step is in place";
    case State::consenting: return "waiting for leave to change the device";
    case State::backing_up: return "backing up before the step";
    case State::installing: return "installing";
    case State::applying: return "applying";
    case State::reboot_pending: return "waiting for leave to restart the device";
    case State::rebooting: return "restarting the device";
    case State::restarting: return "restarting the agent";
    case State::confirming: return "looking after the restart";
    case State::restoring: return "restoring after a failure";
    case State::cancelling: return "cancelling";
    case State::stopping: return "cancelling, waiting for the handler to end";
    case State::undoing: return "cancelling, restoring the step";
    case State::succeeded: return "the last update succeeded";
    case State::failed: return "the last update failed";
    case State::cancelled: return "the last update was cancelled";
  }
  return "unknown";
}

std::string step_text(const Record& record, std::size_t index) {
  const auto& step = record.steps[index];
  std::string text = fmt::format("  {} {:<10} {:<24} ", index == record.step && is_working(record.state) ? ">" : " ",
                                 step.path, step.handler);
  if (!step.result) return text + "not begun\n";
  text += fmt::format("{}", step.result->result_code);
  if (const auto words = result_code_text(step.result->result_code); !words.empty()) text += fmt::format(" {}", words);
  if (step.result->extended_code != 0) text += " (" + extended_code_hex(step.result->extended_code) + ")";
  return text + "\n";
}

}  // namespace

std::string status_text(const Situation& now) {
  const Record& record = now.record;
  std::string out = fmt::format("State:            {} ({})\n", state_name(record.state), in_words(record.state));
  out += fmt::format("Installed:        {}\n", record.installed ? record.installed->str() : "nothing by this agent");
  if (record.goal) out += fmt::format("Workflow:         {}, attempt {}\n", record.goal->workflow_id, record.attempt);
  if (record.target) out += fmt::format("Update:           {}\n", record.target->str());
  if (record.outcome) {
    out += fmt::format("Result:           {} {}\n", record.outcome->result_code,
                       result_code_text(record.outcome->result_code));
    for (const auto code : record.outcome->extended_codes) {
      if (code == 0) continue;
      out += fmt::format("Extended code:    {} {}\n", extended_code_hex(code), extended_code_text(code));
    }
    if (!record.outcome->details.empty()) out += fmt::format("Details:          {}\n", record.outcome->details);
  }
  if (!now.link) out += "Agent:            not running; this is what its files say\n";
  if (now.link)
    out += fmt::format("Hub:              {} {} since {}{}\n", now.link->hub,
                       now.link->is_online ? "connected" : "not connected", format_time(now.link->since),
                       now.link->reason.empty() ? "" : ": " + now.link->reason);
  if (!now.waiting_for.empty()) out += fmt::format("Waiting for:      {}\n", now.waiting_for);
  if (now.pause)
    out += fmt::format("Paused:           {}{}\n",
                       now.pause->until ? "until " + format_time(*now.pause->until) : "until godwit-agent resume",
                       now.pause->reason.empty() ? "" : " (" + now.pause->reason + ")");
  if (!now.root_keys.empty()) out += fmt::format("Root keys:        {}\n", now.root_keys);
  out += fmt::format("Reports waiting:  {}\n", now.reports_waiting);
  if (!record.steps.empty()) out += "Steps:\n";
  for (std::size_t i = 0; i < record.steps.size(); ++i) out += step_text(record, i);
  return out;
}

json::Object run_json(const Record& record) {
  json::Object out;
  out["state"] = std::string(state_name(record.state));
  out["workflowId"] = record.goal ? json::Value(record.goal->workflow_id) : json::Value(nullptr);
  out["attempt"] = record.attempt;
  out["updateId"] = record.target ? json::Value(record.target->to_json()) : json::Value(nullptr);
  json::Array steps;
  for (const auto& step : record.steps) {
    json::Object entry;
    entry["path"] = step.path;
    entry["handler"] = step.handler;
    entry["resultCode"] = step.result ? json::Value(step.result->result_code) : json::Value(nullptr);
    entry["extendedResultCode"] =
        step.result ? json::Value(extended_code_hex(step.result->extended_code)) : json::Value(nullptr);
    entry["resultDetails"] = step.result ? json::Value(step.result->details) : json::Value(nullptr);
    steps.push_back(std::move(entry));
  }
  out["steps"] = std::move(steps);
  if (record.outcome) {
    json::Array codes;
    for (const auto code : record.outcome->extended_codes) codes.push_back(json::Value(extended_code_hex(code)));
    out["resultCode"] = record.outcome->result_code;
    out["extendedResultCodes"] = std::move(codes);
    out["resultDetails"] = record.outcome->details;
  }
  return out;
}

json::Object status_json(const Situation& now) {
  json::Object out = run_json(now.record);
  out["installedUpdateId"] = now.record.installed ? json::Value(now.record.installed->to_json()) : json::Value(nullptr);
  out["step"] = now.record.step;
  out["reportsWaiting"] = now.reports_waiting;
  out["waitingFor"] = now.waiting_for.empty() ? json::Value(nullptr) : json::Value(now.waiting_for);
  out["agentRuns"] = now.link.has_value();
  if (now.link)
    out["link"] = json::Object{{"hub", now.link->hub},
                               {"online", now.link->is_online},
                               {"since", format_time(now.link->since)},
                               {"reason", now.link->reason}};
  if (now.pause)
    out["pause"] =
        json::Object{{"reason", now.pause->reason},
                     {"until", now.pause->until ? json::Value(format_time(*now.pause->until)) : json::Value(nullptr)}};
  out["rootKeys"] = now.root_keys.empty() ? json::Value(nullptr) : json::Value(now.root_keys);
  out["why"] = why(now);
  return out;
}

std::string why(const Situation& now) {
  const Record& record = now.record;
  const std::string update = record.target ? record.target->str() : "an update";
  const std::string link = now.link && !now.link->is_online && !now.link->reason.empty()
                               ? fmt::format(" The hub {} is not reached: {}.", now.link->hub, now.link->reason)
                               : "";
  if (is_working(record.state)) {
    std::string text = fmt::format("{} is under way: {}", update, in_words(record.state));
    if (!now.waiting_for.empty()) text += fmt::format(" ({})", now.waiting_for);
    return text + "." + link;
  }
  std::string text;
  switch (record.state) {
    case State::succeeded: text = fmt::format("{} is installed, and nothing newer was offered.", update); break;
    case State::failed:
      text = fmt::format("{} failed: {}. It is tried again when the service retries it, or by: godwit-agent retry.",
                         update, record.outcome ? record.outcome->details : "no details");
      break;
    case State::cancelled:
      text = fmt::format("{} was cancelled: {}.", update, record.outcome ? record.outcome->details : "no details");
      break;
    default:
      text =
          "No update was offered to this device yet. The service offers one when the device's group has a deployment "
          "for its class; see there: godwit device show.";
  }
  if (now.pause)
    text += " Updates are paused on this device" + (now.pause->reason.empty() ? "" : " (" + now.pause->reason + ")") +
            "; go on with: godwit-agent resume.";
  if (!now.root_keys.empty()) text += " Updates are refused: the root key package " + now.root_keys + ".";
  if (!now.link) text += " The agent does not run: no update can come.";
  if (now.link && now.link->is_online)
    text += fmt::format(" The device is connected to {} since {}.", now.link->hub, format_time(now.link->since));
  return text + link;
}

}  // namespace godwit::agent
