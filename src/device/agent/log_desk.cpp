#include "device/agent/log_desk.hpp"

namespace godwit::agent {
namespace {

constexpr ByteCount kFileLimit = 16 * 1024;

/// Acknowledgement and outcome are two properties of one component, so one patch says both.
[[nodiscard]] std::string patch_of(const twin::LogOutcome& outcome, std::uint64_t version) {
  json::Object patch = twin::log_outcome_patch(outcome);
  const json::Object ack =
      twin::log_ack_patch({.operation_id = outcome.operation_id, .upload_url = {}}, 200, "", version);
  json::Object& component = patch.begin()->value().as_object();
  component["service"] = ack.begin()->value().as_object().at("service");
  return json::print(patch);
}

}  // namespace

void LogDesk::start() {
  reporter_.set_notice_taken([this] { on_taken(); });
  const auto text = read_file(file_, kFileLimit);
  if (!text) return;
  const auto object = json::parse_object(*text);
  if (!object) return log_.warning("logs.state_unreadable", {{"reason", object.error().message}});
  last_ = twin::read_log_outcome(*object);
  const auto* told = json::find(*object, "isTold");
  is_told_ = told != nullptr && told->is_bool() && told->get_bool();
  version_ = static_cast<std::uint64_t>(json::integer_or_nothing(*object, "desiredVersion").value_or(0));
  if (last_ && !is_told_) reporter_.notify(patch_of(*last_, version_));
}

void LogDesk::handle(const Input& input) {
  if (const auto* desired = std::get_if<SessionDesired>(&input)) on_desired(*desired);
  if (const auto* ended = std::get_if<LogsEnded>(&input)) on_ended(ended->outcome);
}

void LogDesk::on_desired(const SessionDesired& message) {
  const auto request = twin::read_log_request(message.desired);
  if (!request) return log_.warning("logs.request_unreadable", {{"reason", request.error().message}});
  if (!*request || (*request)->operation_id == running_) return;
  if (last_ && last_->operation_id == (*request)->operation_id) return;  // it was answered
  log_.info("logs.asked", {{"operation", (*request)->operation_id}});
  running_ = (*request)->operation_id;
  version_ = message.version;
  ask_(**request);
}

void LogDesk::on_ended(const twin::LogOutcome& outcome) {
  if (outcome.operation_id != running_) return;  // a newer request took its place
  log_.write(outcome.result_code == twin::log_code::ok ? LogLevel::info : LogLevel::warning, "logs.ended",
             {{"operation", outcome.operation_id}, {"code", outcome.result_code}, {"details", outcome.details}});
  running_.clear();
  last_ = outcome;
  is_told_ = false;
  save();
  reporter_.notify(patch_of(outcome, version_));
}

void LogDesk::on_taken() {
  is_told_ = true;
  save();
}

void LogDesk::save() {
  json::Object object = twin::log_outcome_patch(*last_);
  object["isTold"] = is_told_;
  object["desiredVersion"] = version_;
  // A state that is not on disk costs at most a second upload of the same logs after a restart.
  if (const auto saved = write_file_durably(file_, json::print(object)); !saved)
    log_.warning("logs.state_not_written", {{"reason", saved.error().message}});
}

}  // namespace godwit::agent
