#include "core/delta/windows.hpp"

#include <algorithm>
#include <array>

namespace godwit::delta {
namespace {

constexpr std::size_t kExactMax = 64;  // more pieces than that are cheaper as a frame
constexpr ByteCount kJoin = 4 * 1024;  // windows nearer than that are one
constexpr std::array<ByteCount, 7> kMargins{256 * 1024, 64 * 1024, 32 * 1024, 16 * 1024, 4 * 1024, 1024, 0};

struct Range {
  ByteCount begin;
  ByteCount end;
};

std::vector<Range> widened(const std::vector<Match>& matches, ByteCount margin, ByteCount source_size) {
  std::vector<Range> ranges;
  ranges.reserve(matches.size());
  for (const Match& match : matches)
    ranges.push_back({.begin = match.source - std::min(match.source, margin),
                      .end = std::min(source_size, match.source + match.length + margin)});
  std::ranges::sort(ranges, {}, &Range::begin);
  std::vector<Range> joined;
  for (const Range& range : ranges) {
    if (!joined.empty() && range.begin <= joined.back().end + std::min(margin, kJoin))
      joined.back().end = std::max(joined.back().end, range.end);
    else
      joined.push_back(range);
  }
  return joined;
}

bool fits(const std::vector<Range>& ranges) {
  ByteCount sum = 0;
  for (const Range& range : ranges) sum += range.end - range.begin;
  return sum <= kSourceBytesMax && ranges.size() <= kWindowCountMax;
}

}  // namespace

std::vector<Window> choose_windows(const std::vector<Match>& matches, ByteCount source_size) {
  std::vector<Range> ranges;
  for (const ByteCount margin : kMargins) {
    ranges = widened(matches, margin, source_size);
    if (fits(ranges)) break;
  }
  if (!fits(ranges)) {
    // Without margins the bytes fit (a group has no more than kGroupSizeMax), only the count can be too high.
    std::vector<Match> longest = matches;
    std::ranges::sort(longest, std::ranges::greater{}, &Match::length);
    longest.resize(std::min(longest.size(), kWindowCountMax));
    ranges = widened(longest, 0, source_size);
  }
  std::vector<Window> windows;
  windows.reserve(ranges.size());
  for (const Range& range : ranges)
    windows.push_back({.offset = range.begin, .length = static_cast<std::uint32_t>(range.end - range.begin)});
  return windows;
}

std::optional<std::vector<Window>> exact_windows(const std::vector<Match>& matches, std::size_t length) {
  std::size_t at = 0;
  std::vector<Window> windows;
  if (matches.size() > kExactMax) return std::nullopt;
  for (const Match& match : matches) {
    if (match.target != at) return std::nullopt;
    at += match.length;
    windows.push_back({.offset = match.source, .length = static_cast<std::uint32_t>(match.length)});
  }
  if (at != length) return std::nullopt;
  return windows;
}

}  // namespace godwit::delta
