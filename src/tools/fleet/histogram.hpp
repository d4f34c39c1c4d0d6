// Latencies of millions of requests in constant memory: buckets whose width is 1/64 of their value, so that a
// percentile is off by less than 2 %. The largest value is kept exactly. One thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace godwit::fleet {

using Microseconds = std::chrono::microseconds;

class Histogram {
 public:
  /// Negative values count as 0, values above an hour as an hour.
  void add(Microseconds value);
  void clear() { *this = Histogram{}; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] Microseconds max() const { return max_; }
  /// The value that `share` (0 to 1) of all values do not exceed; 0 when there is none.
  [[nodiscard]] Microseconds percentile(double share) const;

 private:
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kOctaves = 27;  // 64 us << 26 is above an hour
  std::array<std::uint64_t, (kOctaves + 1) << kBits> buckets_{};
  std::uint64_t count_ = 0;
  Microseconds max_{0};
};

}  // namespace godwit::fleet
