// The verbs of godwit-fleet: each connects devices, lets them work, and gives its figures as one JSON object. While it
// runs, milestones ("ready", "step", "lost", "back", "now") go out as objects of their own. One thread.
#pragma once

#include <atomic>
#include <functional>
#include <optional>

#include "core/base/json.hpp"
#include "tools/fleet/fleet.hpp"
#include "tools/fleet/scenario.hpp"

namespace godwit::fleet {

struct RunOptions {
  sockaddr_in hub{};
  std::string host = "localhost";
  std::string hub_name;
  Path ca;
  std::vector<Identity> identities;
  Ip4 first_source = (127U << 24) | (10U << 16) | 1U;  // 127.10.0.1
  std::size_t devices_per_source = 500;
  std::uint64_t seed = 1;
  std::size_t connecting = 128;
  double connects_per_second = 0;
  bool resume = false;
  bool is_clean = false;
  Steady::duration smallest_backoff = std::chrono::milliseconds(500);
  Steady::duration largest_backoff = std::chrono::seconds(30);
  pid_t server = 0;                // 0: not on this machine
  std::vector<std::size_t> steps;  // connect: how many devices, one after the other
  std::vector<std::string> filters;
  double seconds = 10;           // of work, or of holding; 0: until stopped
  double connect_seconds = 300;  // for all devices to become ready
  std::size_t in_flight = 256;
  double per_second = 0;
  std::size_t filler = 100;
  std::uint64_t first_sequence = 0;
  std::uint64_t expected = 1;
  Path ledger;
  std::optional<Scenario> scenario{};  // run: with as many devices as there are identities
};

/// Where milestones go.
using Tell = std::function<void(const json::Object& milestone)>;

/// The verbs. `stop` becomes true when a person or a program wants the end; the figures so far are still given.
[[nodiscard]] Result<json::Object> run_connect(RunOptions options, const Tell& tell, const std::atomic<bool>& stop);
[[nodiscard]] Result<json::Object> run_twins(RunOptions options, const Tell& tell, const std::atomic<bool>& stop);
[[nodiscard]] Result<json::Object> run_reports(RunOptions options, const Tell& tell, const std::atomic<bool>& stop);
[[nodiscard]] Result<json::Object> run_watch(RunOptions options, const Tell& tell, const std::atomic<bool>& stop);
/// The figure "broken" counts the promises that the hub did not keep.
[[nodiscard]] Result<json::Object> run_verify(RunOptions options, const Tell& tell, const std::atomic<bool>& stop);

/// Lets the scenario's devices live until each has ended its updates, or the time limit.
[[nodiscard]] Result<json::Object> run_scenario(RunOptions options, const Tell& tell, const std::atomic<bool>& stop);

/// {"p50":..,"p90":..,"p95":..,"p99":..,"max":..} in milliseconds.
[[nodiscard]] json::Object print_times(const Histogram& times);

}  // namespace godwit::fleet
