// Whatever a scenario file holds, it becomes values within their limits or a sentence. Every device of what was taken
// has a name, tags, and an answer to each question that a run asks.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tools/fleet/scenario.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::fleet;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto simulator = parse_simulator_data(text, "d.json"); !simulator)
    GODWIT_CHECK(!simulator.error().message.empty());
  const auto scenario = parse_scenario(text, "s.toml");
  if (!scenario) {
    GODWIT_CHECK(!scenario.error().message.empty());
    return 0;
  }
  const std::size_t devices = scenario->devices();
  GODWIT_CHECK(devices > 0 && devices <= scenario_limits::kDevices);
  for (const std::size_t index : {std::size_t{0}, devices / 2, devices - 1}) {
    const Draw draw{.place = place_of(*scenario, index)};
    GODWIT_CHECK(!device_name(draw.place).empty());
    (void)tags_of(*scenario, draw.place);
    for (std::size_t phase = 0; phase < kPhaseNames.size(); ++phase) {
      (void)rule_for(*scenario, draw.place.kind->failures, draw, static_cast<Phase>(phase), 0, 1);
      GODWIT_CHECK(delay_of(*scenario, draw, static_cast<Phase>(phase), 0) <= scenario_limits::kLongest);
    }
  }
  return 0;
}
