// The data file of the simulator: what each act shall answer. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "godwit/author.hpp"

namespace godwit::step_simulator {

inline constexpr std::size_t kDataFileLimit = 1024 * 1024;
inline constexpr std::int64_t kDelayLimitSeconds = 3600;

/// One answer: {"resultCode":600,"extendedResultCode":0,"resultDetails":"","delaySeconds":0}.
struct Answer {
  author::Outcome outcome{};
  std::int64_t delay_seconds = 0;  // how long the act takes; 0..3600
};

/// A section with an answer for each key. "*" is the answer of every other key.
using Answers = std::map<std::string, Answer, std::less<>>;

struct SimulatorData {
  Answers download{};      // by file name
  Answers is_installed{};  // by installedCriteria
  std::optional<Answer> backup{};
  std::optional<Answer> install{};
  std::optional<Answer> apply{};
  std::optional<Answer> restore{};
  std::optional<Answer> cancel{};
};

/// `download` and `isInstalled` may be maps or one plain answer for all. Sections and members may be missing, unknown
/// ones are ignored.
/// Errors: bad_json, too_large, invalid_argument (a member has another type or is out of range; the place is named).
[[nodiscard]] Result<SimulatorData> parse_simulator_data(std::string_view text);

/// The answer for `key`, else that of "*", else nothing.
[[nodiscard]] const Answer* answer_for(const Answers& answers, std::string_view key);

}  // namespace godwit::step_simulator
