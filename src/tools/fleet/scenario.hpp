// What a virtual fleet is like: classes of devices, how long their work takes, what fails and with which code, when
// they vanish. Read from a TOML file (docs/reference/formats/scenario.md). Every choice it leaves to chance is a
// function of the seed, the device and the update, so that a run can be repeated. Values and pure functions; any
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/model/outcome.hpp"
#include "core/model/update_id.hpp"
#include "tools/fleet/simulator_data.hpp"

namespace godwit::fleet {

namespace scenario_limits {
inline constexpr ByteCount kFile = 1024 * 1024;
inline constexpr std::size_t kClasses = 64;
inline constexpr std::size_t kDevices = 1'000'000;  // of all classes together
inline constexpr std::size_t kRules = 64;           // failures, restarts and groups of one class, each
inline constexpr std::size_t kProperties = 16;      // of a class; also tags
inline constexpr std::size_t kText = 256;           // bytes of a name or value; 1024 of details
inline constexpr Duration kLongest = std::chrono::hours(24 * 30);
}  // namespace scenario_limits

/// A time that differs from device to device. With a median, half of all times lie below it; evenly spread on each
/// side.
struct Spread {
  Duration min{0};
  Duration median{0};
  Duration max{0};
  /// 0 <= share < 1 gives min to max.
  [[nodiscard]] Duration at(double share) const;
  friend bool operator==(const Spread&, const Spread&) = default;
};

enum class Phase : std::uint8_t { verify, download, check, backup, install, apply, restore, reboot };
inline constexpr std::array<std::string_view, 8> kPhaseNames{"verify",  "download", "check",   "backup",
                                                             "install", "apply",    "restore", "reboot"};

/// So many devices of a class end `phase` of a step with this result.
struct Rule {
  Phase phase = Phase::install;
  std::size_t devices = 0;  // of each update; which ones depends on the seed
  ActResult result{};
  std::uint32_t step = 1;      // from 1; an update with fewer steps: its last
  std::uint32_t attempts = 0;  // only the first so many attempts of an update; 0: every one
};

/// Something that happens to a device again and again.
struct Interruption {
  Spread every{};
  Spread lasts{};
};

struct TagGroup {
  std::size_t devices = 0;
  std::map<std::string, std::string> tags{};
};

struct DeviceKind {  // [[class]]
  std::string name;
  std::size_t count = 0;
  std::map<std::string, std::string> properties{};  // manufacturer, model and more
  std::vector<std::string> compat_property_names{};
  std::map<std::string, std::string> tags{};
  std::vector<TagGroup> groups{};  // the first devices of the class in a shuffled order, group by group
  std::optional<UpdateId> installed{};
  std::array<Spread, kPhaseNames.size()> delays{};  // by Phase
  std::vector<Rule> failures{};                     // each device has at most one of them in an update
  std::vector<Rule> restarts{};                     // likewise
  std::optional<Interruption> disconnect{};
  std::optional<Interruption> power_cut{};
  Spread clock_skew{};
  Duration token_lifetime = std::chrono::hours(1);
};

struct Scenario {
  std::uint64_t seed = 1;
  Duration time_limit = std::chrono::minutes(10);  // 0: until stopped
  std::uint32_t updates = 1;                       // the run ends when each device has ended so many; 0: at the limit
  Duration say_every = std::chrono::seconds(5);
  std::optional<SimulatorData> simulator{};
  Path simulator_file{};  // as it stands in the file; read by load_scenario()
  std::vector<DeviceKind> kinds{};

  [[nodiscard]] std::size_t devices() const;
};

/// Where a device stands in its scenario.
struct Place {
  const DeviceKind* kind;
  std::uint32_t kind_index;
  std::uint32_t device;  // within its class, from 0
};
/// `index` counts through all classes in order; below scenario.devices().
[[nodiscard]] Place place_of(const Scenario& scenario, std::size_t index);
/// "boiler-17": the class' name and the number in it.
[[nodiscard]] std::string device_name(const Place& place);
/// Tags of the class and of the group that the device belongs to; the group's count.
[[nodiscard]] std::map<std::string, std::string> tags_of(const Scenario& scenario, const Place& place);

/// One update on one device: the n-th that came to it (from 1), and the how manieth try.
struct Draw {
  Place place;
  std::uint32_t update = 1;
  std::uint32_t attempt = 1;
};
/// The failure or restart that the scenario wants there; null: none.
[[nodiscard]] const Rule* rule_for(const Scenario& scenario, const std::vector<Rule>& rules, const Draw& draw,
                                   Phase phase, std::uint32_t step, std::uint32_t steps);
[[nodiscard]] Duration delay_of(const Scenario& scenario, const Draw& draw, Phase phase, std::uint32_t step);

/// Errors: invalid_argument "name:line: ..." with what was expected and, for an unknown key, the nearest known one.
[[nodiscard]] Result<Scenario> parse_scenario(std::string_view toml, std::string_view name);
/// Also reads the simulator's data file, whose path is relative to the scenario's folder. Errors: those, not_found.
[[nodiscard]] Result<Scenario> load_scenario(const Path& file);

}  // namespace godwit::fleet
