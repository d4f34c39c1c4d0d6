// A scenario on stage: every device of the fleet has the agent's session with the hub (device/agent/hub_session.hpp)
// while it is connected and a VirtualAgent all the time; disconnects and power cuts come as the scenario says. Counts
// what an operator of the service wants compared. One thread; lives as long as its Fleet's run.
#pragma once

#include <map>
#include <memory>
#include <queue>
#include <tuple>
#include <vector>

#include "tools/fleet/fleet.hpp"
#include "tools/fleet/histogram.hpp"
#include "tools/fleet/virtual_agent.hpp"

namespace godwit::fleet {

/// How an update ended on a device: state, result code, first extended code.
using Outcome = std::tuple<agent::State, std::int32_t, ExtendedCode>;

class Play final : public Workload {
 public:
  struct Counts {
    std::uint64_t patches = 0;   // reported patches that were answered with success, of every kind
    std::uint64_t refused = 0;   // answered otherwise, or not in time
    std::uint64_t offers = 0;    // updates that devices began with
    std::uint64_t finished = 0;  // final reports that the hub has
    std::uint64_t disconnects = 0, power_cuts = 0, restarts = 0, token_renewals = 0;  // that the scenario caused
    std::map<Outcome, std::uint64_t> outcomes{};
  };

  /// `fleet` has the scenario's devices in its order.
  Play(Fleet& fleet, const Scenario& scenario, std::string hub_name);

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const Histogram& update_times() const { return update_times_; }
  [[nodiscard]] const Histogram& answer_times() const { return answer_times_; }
  /// Devices with an update under way, and those that have ended as many as the scenario wants.
  [[nodiscard]] std::size_t at_work() const { return at_work_; }
  [[nodiscard]] std::size_t done() const { return done_; }

  [[nodiscard]] bool speaks() const override { return true; }
  void on_open(Device& device) override;
  void on_bytes(Device& device, std::string_view bytes) override;
  void on_closed(Device& device) override;
  void on_ready(Device& /*device*/) override {}
  void on_publish(Device& /*device*/, const mqtt::Publish& /*publish*/) override {}
  void on_lost(Device& /*device*/) override {}
  void on_turn(Steady::time_point now) override;

 private:
  enum class Call : std::uint8_t { agent, disconnect, power_cut, return_from_restart, return_from_boot, renew };
  struct Due {
    Duration at;
    std::uint32_t device;
    Call call;
    std::uint32_t serial;  // of the connection (renew) or of the wait (agent)
  };
  struct Later {
    bool operator()(const Due& a, const Due& b) const { return a.at > b.at; }
  };
  struct Actor {
    VirtualAgent mind;
    std::unique_ptr<agent::HubSession> session{};  // while connected
    Steady::time_point sent_at{};                  // of the patch under way
    Duration called_at = Duration::max();          // the earliest Call::agent on the list
    std::uint32_t serial = 0;                      // of connections
    std::uint32_t interruptions = 0;
    std::uint32_t offers_seen = 0;
    bool is_away = false;  // by a power cut or restart: it does nothing, and dials no sooner
    bool was_working = false;
    explicit Actor(Stagehand& shared, std::size_t index) : mind(shared, index) {}
  };

  [[nodiscard]] Duration clock() const;
  void call(Duration at, std::uint32_t device, Call what, std::uint32_t serial = 0);
  void answer_call(const Due& due, Duration now);
  void interrupt(std::uint32_t device, Call what, Duration now);
  void plan_interruption(std::uint32_t device, Call what, Duration now);
  void leave(std::uint32_t device, Duration lasts, bool is_boot, Duration now);
  void drain(Device& device);
  void settle(std::uint32_t device, Duration now);
  void note(Actor& actor);
  [[nodiscard]] Duration chance(std::uint32_t device, std::uint64_t what, const Spread& spread);

  Fleet& fleet_;
  const Scenario& scenario_;
  std::string hub_name_;
  Stagehand shared_;
  std::vector<Actor> actors_;
  std::priority_queue<Due, std::vector<Due>, Later> calls_;
  Steady::time_point begun_ = Steady::now();
  Duration next_session_look_{};
  Counts counts_;
  Histogram update_times_;
  Histogram answer_times_;
  std::size_t at_work_ = 0;
  std::size_t done_ = 0;
};

}  // namespace godwit::fleet
