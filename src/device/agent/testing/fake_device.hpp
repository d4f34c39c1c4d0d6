// The privileged half of a device as a test sees it: what is installed, how often each act really ran, and an
// installer's journal that answers a finished act instead of running it again. Outlives the agents of a test. Safe from
// any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "device/agent/installer_client.hpp"
#include "device/installer/messages.hpp"

namespace godwit::agent {

class FakeDevice {
 public:
  using Verb = installer::Verb;
  explicit FakeDevice(installer::Plan plan) : plan_(std::move(plan)) {}

  [[nodiscard]] installer::Reply handle(const installer::Request& request);

  // How it shall behave.
  /// The act ends so. An outcome with a result code above 0 is carried out as well.
  void fail(std::uint32_t step, Verb verb, installer::ActOutcome outcome);
  void restores_update(std::uint32_t step) { plan_.steps.at(step).restores_update = true; }
  /// What was installed or applied in this step is gone with the next restart (a boot loader that fell back).
  void lose_at_reboot(std::uint32_t step) { lost_at_reboot_.insert(step); }
  /// The power is gone and comes back.
  void reboot();
  void refuse_to_open(installer::ActOutcome outcome);
  /// The act waits until release() or a cancel; `late`: it then succeeds anyway.
  void hold(std::uint32_t step, Verb verb, bool late = false);
  void release();
  void set_in_place(std::uint32_t step) { in_place_.insert(step); }
  void forget_workflows();  // the work folder was emptied

  // What happened.
  [[nodiscard]] int count(std::uint32_t step, Verb verb) const;  // acts that really ran
  [[nodiscard]] bool is_in_place(std::uint32_t step) const;
  /// Its install ran, and neither an apply nor a restore after it.
  [[nodiscard]] bool is_half(std::uint32_t step) const;
  [[nodiscard]] bool is_open(const std::string& workflow) const;
  [[nodiscard]] bool wait_until_holding() const;  // false after ten seconds
  [[nodiscard]] int cancels() const;
  [[nodiscard]] int reboots() const;
  [[nodiscard]] std::vector<std::string> folders_seen() const;

 private:
  using Key = std::tuple<std::string, std::uint32_t, std::uint32_t, Verb>;
  [[nodiscard]] installer::Reply act(const installer::ActRequest& request);
  [[nodiscard]] installer::ActOutcome run(const installer::ActRequest& request);
  [[nodiscard]] std::int32_t own_work(const installer::ActRequest& request) const;
  [[nodiscard]] bool has_had_its_restart(const Key& key) const;
  [[nodiscard]] installer::ActOutcome really_run(const installer::ActRequest& request);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  installer::Plan plan_;
  std::map<std::string, std::uint32_t> open_;  // workflow -> attempt
  std::map<Key, installer::ActOutcome> finished_;
  std::map<Key, int> boots_;  // of acts that ran, by the number of restarts before them
  std::map<std::pair<std::uint32_t, Verb>, installer::ActOutcome> failures_;
  std::optional<installer::ActOutcome> open_refusal_;
  std::optional<std::pair<std::uint32_t, Verb>> held_;
  bool held_ends_well_ = false;
  bool is_holding_ = false;
  bool was_cancelled_ = false;
  std::set<std::uint32_t> in_place_;
  std::set<std::uint32_t> installed_;  // but not applied
  std::map<std::pair<std::uint32_t, Verb>, int> counts_;
  std::set<std::uint32_t> lost_at_reboot_;
  std::vector<std::string> folders_;
  int cancels_ = 0;
  int reboots_ = 0;
};

/// The installer port without a socket.
class DirectInstaller final : public Installer {
 public:
  enum class Loss : std::uint8_t { none, before, after };
  explicit DirectInstaller(FakeDevice& device) : device_(device) {}

  bool cancels_come_too_late = false;  // a stop does not keep the request from being carried out
  std::function<Loss(const installer::Request&)> on_request;
  std::function<void()> on_restart;  // the device goes down: does not return, unless the restart has no effect

  [[nodiscard]] Result<installer::ActOutcome> ask(const installer::Request& request,
                                                  const InstallerCall& call) override {
    if (call.stop.stop_requested() && !cancels_come_too_late) return godwit::fail(Code::cancelled, "stopped");
    const Loss loss = on_request ? on_request(request) : Loss::none;
    if (loss == Loss::before) return godwit::fail(Code::unavailable, "the connection broke");
    installer::Reply reply = device_.handle(request);
    if (std::holds_alternative<installer::RestartDeviceRequest>(request) && on_restart) on_restart();
    if (loss == Loss::after) return godwit::fail(Code::unavailable, "the connection broke");
    if (const auto* refusal = std::get_if<installer::Refusal>(&reply))
      return godwit::fail(refusal->code, refusal->message);
    return std::get<installer::ActOutcome>(std::move(reply));
  }

 private:
  FakeDevice& device_;
};

}  // namespace godwit::agent
