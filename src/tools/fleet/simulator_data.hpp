// The data file of the original agent's simulator handler (du-simulator-data.json): which result each action of a step
// has. Values; any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/model/outcome.hpp"

namespace godwit::fleet {

/// What one action of a step ends with.
struct ActResult {
  std::int32_t result_code = 0;
  ExtendedCode extended_code = 0;
  std::string details{};
  friend bool operator==(const ActResult&, const ActResult&) = default;
};

struct SimulatorData {
  static constexpr ByteCount kFileLimit = 1024 * 1024;
  static constexpr std::size_t kEntryLimit = 10'000;  // of download and of isInstalled

  std::map<std::string, ActResult, std::less<>> download{};      // by file name, "*" for all others
  std::map<std::string, ActResult, std::less<>> is_installed{};  // by installedCriteria, "*" for all others
  std::optional<ActResult> backup{};
  std::optional<ActResult> install{};
  std::optional<ActResult> apply{};
  std::optional<ActResult> restore{};
  std::optional<ActResult> cancel{};

  /// A section that is not there gives the original's default: 500, and for isInstalled 900.
  [[nodiscard]] ActResult download_of(std::string_view file_name) const;
  [[nodiscard]] ActResult is_installed_of(std::string_view criteria) const;
};

/// `name` stands in messages. Errors: bad_json, too_large, invalid_argument naming the section and what is wrong.
/// Sections that the handler does not know are left alone, as it does.
[[nodiscard]] Result<SimulatorData> parse_simulator_data(std::string_view text, std::string_view name);

}  // namespace godwit::fleet
