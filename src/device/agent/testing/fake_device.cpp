#include "device/agent/testing/fake_device.hpp"

#include <chrono>

namespace godwit::agent {

using installer::ActOutcome;
using installer::Refusal;
using installer::Reply;
using installer::Request;

namespace {

ActOutcome ended(std::int32_t code, std::string details = "") {
  return {.result_code = code, .extended_codes = {}, .details = std::move(details)};
}

}  // namespace

Reply FakeDevice::handle(const Request& request) {
  if (const auto* act_request = std::get_if<installer::ActRequest>(&request)) return act(*act_request);
  const std::lock_guard lock(mutex_);
  if (const auto* open = std::get_if<installer::OpenRequest>(&request)) {
    if (open_refusal_) return *open_refusal_;
    open_[open->workflow_id] = open->attempt;
    ActOutcome opened = ended(result::success);
    opened.plan = plan_;
    return opened;
  }
  if (std::holds_alternative<installer::CancelRequest>(request)) {
    ++cancels_;
    was_cancelled_ = is_holding_;
    changed_.notify_all();
    return ended(800);
  }
  if (const auto* close = std::get_if<installer::CloseRequest>(&request)) open_.erase(close->workflow_id);
  return ended(result::success);
}

Reply FakeDevice::act(const installer::ActRequest& request) {
  std::unique_lock lock(mutex_);
  const auto open = open_.find(request.workflow_id);
  if (open == open_.end()) return Refusal{Code::not_found, "workflow " + request.workflow_id + " is not open"};
  if (open->second != request.attempt) return Refusal{Code::conflict, "open for another attempt"};
  folders_.push_back(request.files_folder);
  const Key key{request.workflow_id, request.attempt, request.step, request.verb};
  const bool is_looking = request.verb == Verb::is_installed || request.verb == Verb::cancel_note;
  if (const auto found = finished_.find(key); found != finished_.end() && !is_looking) {
    ActOutcome recorded = found->second;
    if (has_had_its_restart(key)) recorded.result_code = without_restart(recorded.result_code);
    recorded.recorded = true;
    return recorded;
  }
  ++counts_[{request.step, request.verb}];
  if (held_ == std::pair{request.step, request.verb}) {
    is_holding_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !held_ || was_cancelled_; });
    is_holding_ = false;
    const bool must_stop = was_cancelled_ && !held_ends_well_;
    held_.reset();
    was_cancelled_ = false;
    if (must_stop) return finished_[key] = ended(result::cancelled, "stopped by a cancel");
  }
  ActOutcome outcome = run(request);
  if (!is_looking) finished_[key] = outcome;
  if (!is_looking) boots_[key] = reboots_;
  if (request.verb == Verb::is_installed) outcome.own_work = own_work(request);
  return outcome;
}

std::int32_t FakeDevice::own_work(const installer::ActRequest& request) const {
  for (const Verb verb : {Verb::apply, Verb::install}) {
    const Key key{request.workflow_id, request.attempt, request.step, verb};
    const auto found = finished_.find(key);
    if (found == finished_.end() || found->second.result_code <= 0) continue;
    return has_had_its_restart(key) ? result::apply_ok : found->second.result_code;
  }
  return 0;
}

bool FakeDevice::has_had_its_restart(const Key& key) const {
  return restart_request(finished_.at(key).result_code).wish != RestartWish::none && boots_.at(key) != reboots_;
}

ActOutcome FakeDevice::run(const installer::ActRequest& request) {
  const auto found = failures_.find({request.step, request.verb});
  if (found == failures_.end()) return really_run(request);
  if (found->second.result_code > 0) (void)really_run(request);
  return found->second;
}

ActOutcome FakeDevice::really_run(const installer::ActRequest& request) {
  switch (request.verb) {
    case Verb::is_installed:
      return ended(in_place_.contains(request.step) ? result::is_installed : result::not_installed);
    case Verb::download: return ended(result::download_ok);
    case Verb::backup: return ended(result::backup_ok);
    case Verb::install: installed_.insert(request.step); return ended(result::install_ok);
    case Verb::apply: in_place_.insert(request.step); return ended(result::apply_ok);
    case Verb::restore:
      installed_.erase(request.step);
      in_place_.erase(request.step);
      return ended(result::restore_ok);
    case Verb::cancel_note: return ended(800);
  }
  return ended(result::failure, "no such verb");
}

void FakeDevice::fail(std::uint32_t step, Verb verb, ActOutcome outcome) {
  const std::lock_guard lock(mutex_);
  failures_[{step, verb}] = std::move(outcome);
}

void FakeDevice::refuse_to_open(ActOutcome outcome) {
  const std::lock_guard lock(mutex_);
  open_refusal_ = std::move(outcome);
}

void FakeDevice::hold(std::uint32_t step, Verb verb, bool late) {
  const std::lock_guard lock(mutex_);
  held_ = {step, verb};
  held_ends_well_ = late;
}

void FakeDevice::release() {
  const std::lock_guard lock(mutex_);
  held_.reset();
  changed_.notify_all();
}

void FakeDevice::forget_workflows() {
  const std::lock_guard lock(mutex_);
  open_.clear();
}

int FakeDevice::count(std::uint32_t step, Verb verb) const {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find({step, verb});
  return found == counts_.end() ? 0 : found->second;
}

bool FakeDevice::is_in_place(std::uint32_t step) const {
  const std::lock_guard lock(mutex_);
  return in_place_.contains(step);
}

bool FakeDevice::is_half(std::uint32_t step) const {
  const std::lock_guard lock(mutex_);
  return installed_.contains(step) && !in_place_.contains(step);
}

bool FakeDevice::is_open(const std::string& workflow) const {
  const std::lock_guard lock(mutex_);
  return open_.contains(workflow);
}

bool FakeDevice::wait_until_holding() const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [this] { return is_holding_; });
}

void FakeDevice::reboot() {
  const std::lock_guard lock(mutex_);
  ++reboots_;
  for (const auto step : lost_at_reboot_) {
    in_place_.erase(step);
    installed_.erase(step);
  }
}

int FakeDevice::reboots() const {
  const std::lock_guard lock(mutex_);
  return reboots_;
}

int FakeDevice::cancels() const {
  const std::lock_guard lock(mutex_);
  return cancels_;
}

std::vector<std::string> FakeDevice::folders_seen() const {
  const std::lock_guard lock(mutex_);
  return folders_;
}

}  // namespace godwit::agent
