// The simulator's data file: any bytes give answers within their limits, or an error with a sentence.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/bytes.hpp"
#include "simulator_data.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::step_simulator;
  const auto parsed = parse_simulator_data({reinterpret_cast<const char*>(data), size});
  if (!parsed) {
    GODWIT_CHECK(!parsed.error().message.empty());
    return 0;
  }
  for (const Answers* answers : {&parsed->download, &parsed->is_installed})
    for (const auto& [key, answer] : *answers) {
      GODWIT_CHECK(answer.delay_seconds >= 0 && answer.delay_seconds <= kDelayLimitSeconds);
      GODWIT_CHECK(godwit::is_valid_utf8(answer.outcome.details) && answer_for(*answers, key) == &answer);
    }
  return 0;
}
