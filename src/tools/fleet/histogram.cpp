#include "tools/fleet/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace godwit::fleet {
namespace {

constexpr std::chrono::hours kLargest{1};

}  // namespace

void Histogram::add(Microseconds value) {
  value = std::clamp(value, Microseconds{0}, Microseconds{kLargest});
  const auto number = static_cast<std::uint64_t>(value.count());
  const unsigned width = static_cast<unsigned>(std::bit_width(number));
  // Values below 64 have a bucket each; above, the six bits below the highest one choose the bucket of the octave.
  const unsigned octave = width > kBits ? width - kBits : 0;
  const std::size_t in_octave = octave == 0 ? number : (number >> (octave - 1)) - (1U << kBits);
  ++buckets_[(static_cast<std::size_t>(octave) << kBits) + in_octave];
  ++count_;
  max_ = std::max(max_, value);
}

Microseconds Histogram::percentile(double share) const {
  if (count_ == 0) return Microseconds{0};
  const auto rank = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t at = 0; at < buckets_.size(); ++at) {
    seen += buckets_[at];
    if (seen < rank) continue;
    const std::size_t octave = at >> kBits;
    const std::uint64_t in_octave = at & ((1U << kBits) - 1);
    if (octave == 0) return Microseconds{in_octave};
    // The upper edge: what is printed is never better than what was measured.
    const std::uint64_t upper = ((in_octave + (1U << kBits) + 1) << (octave - 1)) - 1;
    return std::min(max_, Microseconds{upper});
  }
  return max_;
}

}  // namespace godwit::fleet
