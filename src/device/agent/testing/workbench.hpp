// A whole agent on a table: real table, executor, journal text, outbox, reporter and effects; a fake device,
// downloader, clock and hub. Everything runs in line on the test's thread, so that the power can be cut at any counted
// moment.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/testing/temp_folder.hpp"
#include "core/manifest/update_manifest.hpp"
#include "core/trust/keys.hpp"
#include "device/agent/effects.hpp"
#include "device/agent/executor.hpp"
#include "device/agent/testing/fake_device.hpp"
#include "device/agent/testing/fake_downloader.hpp"

namespace godwit::agent {

struct PowerCut {};

/// Answers as a test says.
class FakeConsent final : public Consent {
 public:
  bool is_asked = false;
  ConsentAnswer install{};
  ConsentAnswer reboot{};
  int questions = 0;

  [[nodiscard]] bool is_needed() const override { return is_asked; }
  [[nodiscard]] ConsentAnswer wait(ConsentFor what, const Record&, const std::stop_token&, const Waiting&) override {
    ++questions;
    return what == ConsentFor::install ? install : reboot;
  }
};

/// What survives a power cut, the world outside, and the knobs of a test.
class Workbench {
 public:
  explicit Workbench(std::size_t steps = 2, const Path& parent = std::filesystem::temp_directory_path());

  [[nodiscard]] twin::DesiredUpdate goal(std::string workflow, std::string stamp = "",
                                         twin::Action action = twin::Action::process_deployment) const;
  /// The hub's desired section becomes this goal; an agent that runs is told.
  void want(const twin::DesiredUpdate& goal);
  void want_raw(json::Object desired);
  /// Lets agents live on this table until the work is over; a cut begins the next life. The number of lives.
  int live(int most_lives = 50);
  [[nodiscard]] Record record() const;
  [[nodiscard]] json::Object last_report(
      std::string_view member = "state") const;  // deviceUpdate.agent of the newest patch with it
  [[nodiscard]] std::vector<int> states_reported() const;
  [[nodiscard]] int acks() const;
  [[nodiscard]] Path sandbox(const std::string& workflow) const { return folder.path() / "downloads" / workflow; }

  /// A counted moment: after each journal write, and after each effect before its result was taken.
  void moment();

  TempFolder folder;
  FakeClock clock;
  FakeDevice device;
  FakeDownloader downloader;
  FakeConsent consent;
  int boot = 1;                    // which one
  int restarts_asked_for = 0;      // by the agent, of the device
  bool cuts_are_of_power = false;  // a cut restarts the device; else it ends the process only
  bool restart_command_works = true;
  std::function<void()> before_restart;  // of the agent itself
  manifest::UpdateManifest manifest;
  std::string manifest_text;
  std::string signature;
  twin::DesiredUpdate wanted;          // the newest goal of the hub
  std::string journal_text;            // what is on disk
  std::vector<json::Object> reported;  // every patch that the hub took
  std::set<std::pair<State, Event>> rows_taken;
  std::function<void(const EffectRequest&)> before_effect;  // the effect is under way: anything may happen now
  std::function<DirectInstaller::Loss(const installer::Request&)> on_request;
  bool cancels_come_too_late = false;
  int journal_failures = 0;  // the next writes that fail
  int report_status = 204;
  int moments = 0;
  std::set<int> cuts;  // moments at which the power goes

 private:
  friend class Life;
  json::Object desired_;
  std::uint64_t desired_version_ = 1;
  class Life* life_ = nullptr;
};

}  // namespace godwit::agent
