#include "tools/fleet/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/fleet/chance.hpp"

namespace godwit::fleet {
namespace {

// What a number is drawn for; so that no two draws are the same by accident.
constexpr std::uint64_t kForRules = 1;
constexpr std::uint64_t kForDelays = 2;
constexpr std::uint64_t kForGroups = 3;

}  // namespace

Duration Spread::at(double share) const {
  const bool is_low = share < 0.5;
  const Duration from = is_low ? min : median;
  const Duration to = is_low ? median : max;
  const double within = is_low ? share * 2 : share * 2 - 1;
  return from + Duration(static_cast<Duration::rep>(static_cast<double>((to - from).count()) * within));
}

std::size_t Scenario::devices() const {
  std::size_t sum = 0;
  for (const DeviceKind& kind : kinds) sum += kind.count;
  return sum;
}

Place place_of(const Scenario& scenario, std::size_t index) {
  std::uint32_t kind = 0;
  for (; kind + 1 < scenario.kinds.size() && index >= scenario.kinds[kind].count; ++kind)
    index -= scenario.kinds[kind].count;
  GODWIT_CHECK(kind < scenario.kinds.size() && index < scenario.kinds[kind].count);
  return {.kind = &scenario.kinds[kind], .kind_index = kind, .device = static_cast<std::uint32_t>(index)};
}

std::string device_name(const Place& place) { return fmt::format("{}-{}", place.kind->name, place.device); }

std::map<std::string, std::string> tags_of(const Scenario& scenario, const Place& place) {
  auto tags = place.kind->tags;
  auto rank = shuffled(place.device, place.kind->count, mix({scenario.seed, kForGroups, place.kind_index}));
  for (const TagGroup& group : place.kind->groups) {
    if (rank < group.devices) {
      for (const auto& [name, value] : group.tags) tags[name] = value;
      break;
    }
    rank -= group.devices;
  }
  return tags;
}

const Rule* rule_for(const Scenario& scenario, const std::vector<Rule>& rules, const Draw& draw, Phase phase,
                     std::uint32_t step, std::uint32_t steps) {
  const bool is_restart = &rules == &draw.place.kind->restarts;
  // A place in the shuffled order of the class: rule after rule takes its devices from there, exactly as many as it
  // says.
  auto rank = shuffled(draw.place.device, draw.place.kind->count,
                       mix({scenario.seed, kForRules, draw.place.kind_index, draw.update, is_restart ? 1U : 0U}));
  for (const Rule& rule : rules) {
    if (rank >= rule.devices) {
      rank -= rule.devices;
      continue;
    }
    const bool is_now = rule.phase == phase && std::min(rule.step, std::max(steps, 1U)) == step + 1;
    return is_now && (rule.attempts == 0 || draw.attempt <= rule.attempts) ? &rule : nullptr;
  }
  return nullptr;
}

Duration delay_of(const Scenario& scenario, const Draw& draw, Phase phase, std::uint32_t step) {
  const auto index = static_cast<std::size_t>(phase);
  return draw.place.kind->delays[index].at(unit(mix(
      {scenario.seed, kForDelays, draw.place.kind_index, draw.place.device, draw.update, draw.attempt, index, step})));
}

}  // namespace godwit::fleet
