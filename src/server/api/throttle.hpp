// How often one caller may ask, by family of operations: a bucket of tokens for each, filled evenly. Loop thread only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "server/api/http.hpp"

namespace godwit::api {

enum class ThrottleFamily : std::uint8_t { reads, writes, deployments };
/// What a route counts as: changes of deployments apart, because each of them can move a fleet.
[[nodiscard]] ThrottleFamily throttle_family(Method method, std::string_view pattern);
[[nodiscard]] std::string_view throttle_family_name(ThrottleFamily family);

/// Requests a minute of one caller; 0: no limit. A minute's worth may come at once.
struct ThrottleLimits {
  std::int64_t reads = 0;
  std::int64_t writes = 0;
  std::int64_t deployments = 0;
  [[nodiscard]] std::int64_t of(ThrottleFamily family) const {
    return family == ThrottleFamily::reads ? reads : family == ThrottleFamily::writes ? writes : deployments;
  }
};

class Throttle {
 public:
  static constexpr std::size_t kMostCallers = 10'000;

  Throttle(const Clock& clock, ThrottleLimits limits) : clock_(clock), limits_(limits) {}

  /// nullopt: go on. Else: how long until it may be tried again.
  [[nodiscard]] std::optional<Duration> take(const std::string& caller, ThrottleFamily family);
  [[nodiscard]] const ThrottleLimits& limits() const { return limits_; }

 private:
  struct Bucket {
    double tokens = 0;
    Duration filled_at{};
  };
  void forget_full(Duration now);

  const Clock& clock_;
  ThrottleLimits limits_;
  std::map<std::pair<std::string, ThrottleFamily>, Bucket> buckets_;
};

}  // namespace godwit::api
