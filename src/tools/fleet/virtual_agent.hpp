// One virtual device's mind: the agent's own table, record and reports (device/agent/workflow.hpp, record.hpp,
// core/twin/dialect.hpp) with simulated effects, and in memory what an agent keeps on its disk. It knows no socket and
// no clock: times are handed in. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/agent/hub_session.hpp"
#include "tools/fleet/simulated_steps.hpp"

namespace godwit::fleet {

/// What all devices of a run share.
struct Stagehand {
  const Scenario& scenario;
  PlanShelf plans{};
};

/// One reported patch on its way.
struct OutgoingPatch {
  std::uint64_t token = 0;
  std::string json{};
};
/// A final report that the hub has.
struct Finished {
  agent::State state = agent::State::idle;
  std::int32_t result_code = 0;
  ExtendedCode extended_code = 0;
  Duration took{};  // from the offer to the hub's answer
};

class VirtualAgent {
 public:
  VirtualAgent(Stagehand& shared, std::size_t index);

  /// What the reported section says first after each connect: JSON of a patch.
  [[nodiscard]] std::string identity_patch() const;

  void on_desired(const agent::SessionDesired& message, Duration now);
  void on_online() { is_online_ = true; }
  /// What was under way is sent again later.
  void on_offline();
  void on_answer(std::uint64_t token, int status, Duration now);
  /// Ends effects that are due.
  void tick(Duration now);
  /// When tick() or next_patch() has something to do; nullopt: after an event only.
  [[nodiscard]] std::optional<Duration> deadline() const;

  /// The next patch, if one may leave now.
  [[nodiscard]] std::optional<OutgoingPatch> next_patch(Duration now);
  /// The device goes away by itself for so long, because an update wants it: drop the connection, and wake() then.
  [[nodiscard]] std::optional<Duration> take_absence();
  /// The power went: what ran is lost; the record and the reports are kept, as on a disk.
  void lose_power();
  /// The agent starts, after a restart of itself or of the device.
  void wake(bool is_boot, Duration now);
  [[nodiscard]] std::optional<Finished> take_finished();

  [[nodiscard]] const agent::Record& record() const { return record_; }
  [[nodiscard]] std::uint32_t offers() const { return offers_; }
  [[nodiscard]] std::uint32_t finished() const { return finished_count_; }
  [[nodiscard]] const Place& place() const { return place_; }
  /// Answers other than 2xx to patches.
  [[nodiscard]] std::uint32_t refusals() const { return refusal_count_; }

 private:
  enum class Kind : std::uint8_t { report, acknowledgement, progress };
  struct Report {
    std::string json{};
    bool is_final = false;
  };
  struct Running {
    agent::Effect effect;
    Duration ends_at{};
    agent::EffectResult result{};
  };

  void consider_goal(Duration now);
  void take(agent::Incident incident, Duration now);
  void carry_out(agent::Effect effect, Duration now);
  void start_effect(agent::Effect effect, Duration now);
  void stop_effect(Duration now);
  void queue_report(bool is_final);
  [[nodiscard]] Moment moment() const;

  Stagehand& shared_;
  Place place_;
  agent::Record record_;
  std::shared_ptr<const SimulatedPlan> plan_;
  // Apart, since a device at rest has neither, and there are thousands of them.
  std::unique_ptr<twin::DesiredUpdate> newest_goal_;
  std::unique_ptr<Running> running_;
  std::optional<Duration> absence_;
  std::vector<Report> reports_;
  std::optional<std::string> acknowledgement_;
  std::optional<Finished> finished_;
  std::optional<Kind> under_way_;
  std::string sent_acknowledgement_;
  std::uint64_t token_ = 0;
  Duration offered_at_{};
  Duration next_progress_at_{};
  Duration quiet_until_{};
  std::uint32_t boot_ = 1;
  std::uint32_t offers_ = 0;
  std::uint32_t finished_count_ = 0;
  std::uint32_t refusals_in_row_ = 0;
  std::uint32_t refusal_count_ = 0;
  bool has_progress_ = false;
  bool is_goal_waiting_ = false;
  bool is_online_ = false;
  bool is_told_ = false;  // the hub has the newest end
};

}  // namespace godwit::fleet
