#include "core/delta/source_index.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace godwit::delta {
namespace {

constexpr std::size_t kSpan = 32;      // bytes that a sample stands for
constexpr std::size_t kMatchMin = 48;  // shorter ones are chance more often than kinship
constexpr std::size_t kSamplesMax = 1U << 23;
constexpr unsigned kTableBitsMax = 24;  // 128 MiB
constexpr unsigned kSampleBitsMin = 4;  // one position of 16
constexpr std::size_t kProbes = 8;
constexpr std::uint64_t kBase = 0x9E3779B97F4A7C15ULL | 1ULL;
constexpr std::uint64_t kPositionMask = (std::uint64_t{1} << 40) - 1;

constexpr std::uint64_t power(std::size_t exponent) {
  std::uint64_t value = 1;
  for (std::size_t i = 0; i < exponent; ++i) value *= kBase;
  return value;
}
constexpr std::uint64_t kOldest = power(kSpan);

std::uint64_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at])) + 1;
}

/// The hash of kSpan bytes, moved along one byte at a time.
class Rolling {
 public:
  Rolling(std::string_view bytes, std::size_t begin) : bytes_(bytes) {
    for (std::size_t i = begin; i < begin + kSpan; ++i) sum_ = sum_ * kBase + byte_at(bytes_, i);
  }
  /// From the span at `begin` to the one at `begin` + 1.
  void advance(std::size_t begin) {
    sum_ = sum_ * kBase + byte_at(bytes_, begin + kSpan) - kOldest * byte_at(bytes_, begin);
  }
  /// Mixed, so that any of its bits may choose.
  [[nodiscard]] std::uint64_t value() const {
    std::uint64_t mixed = sum_ ^ (sum_ >> 32U);
    mixed *= 0xD6E8FEB86659FD93ULL;
    return mixed ^ (mixed >> 32U);
  }

 private:
  std::string_view bytes_;
  std::uint64_t sum_ = 0;
};

bool is_one_value(std::string_view bytes) { return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0; }

bool is_sampled(std::uint64_t hash, unsigned bits) { return (hash & ((std::uint64_t{1} << bits) - 1)) == 0; }

/// How many bytes from the beginning of both are equal.
std::size_t common(std::string_view a, std::string_view b) {
  const std::size_t size = std::min(a.size(), b.size());
  std::size_t at = 0;
  while (at + 64 <= size && std::memcmp(a.data() + at, b.data() + at, 64) == 0) at += 64;
  while (at < size && a[at] == b[at]) ++at;
  return at;
}

}  // namespace

SourceIndex::SourceIndex(std::string_view source) : source_(source), sample_bits_(kSampleBitsMin) {
  while ((source.size() >> sample_bits_) > kSamplesMax) ++sample_bits_;
  const std::size_t samples = std::max<std::size_t>(source.size() >> sample_bits_, 1);
  table_bits_ = std::min<unsigned>(static_cast<unsigned>(std::bit_width(samples)) + 1, kTableBitsMax);
  table_.assign(std::size_t{1} << table_bits_, 0);
  if (source.size() < kSpan) return;
  Rolling hash(source, 0);
  for (std::size_t at = 0;; ++at) {
    if (const std::uint64_t value = hash.value(); is_sampled(value, sample_bits_)) add(value, at);
    if (at + kSpan >= source.size()) break;
    hash.advance(at);
  }
}

void SourceIndex::add(std::uint64_t hash, std::size_t position) {
  if (is_one_value(source_.substr(position, kSpan))) return;
  const std::size_t mask = table_.size() - 1;
  const std::uint64_t tag = hash >> 40U;
  std::size_t slot = (hash >> sample_bits_) & mask;
  for (std::size_t i = 0; i < kProbes; ++i, slot = (slot + 1) & mask) {
    if (table_[slot] == 0) {
      table_[slot] = (tag << 40U) | (position + 1);
      return;
    }
    if ((table_[slot] >> 40U) == tag) return;  // of content that occurs often the first occurrence is kept
  }
}

const std::uint64_t* SourceIndex::find(std::uint64_t hash) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = (hash >> sample_bits_) & mask;
  for (std::size_t i = 0; i < kProbes && table_[slot] != 0; ++i, slot = (slot + 1) & mask)
    if ((table_[slot] >> 40U) == hash >> 40U) return &table_[slot];
  return nullptr;
}

Match SourceIndex::extend(std::string_view group, std::size_t target, ByteCount source, std::size_t floor) const {
  const auto from = static_cast<std::size_t>(source);
  std::size_t back = 0;
  while (target - back > floor && from > back && group[target - back - 1] == source_[from - back - 1]) ++back;
  const std::size_t ahead = common(group.substr(target), source_.substr(from));
  return {.target = target - back, .source = source - back, .length = back + ahead};
}

std::vector<Match> SourceIndex::matches(std::string_view group) const {
  std::vector<Match> found;
  if (group.size() < kSpan || source_.size() < kSpan) return found;
  std::size_t at = 0;
  std::size_t floor = 0;  // what lies before belongs to an earlier match
  Rolling hash(group, 0);
  while (true) {
    const std::uint64_t value = hash.value();
    if (is_sampled(value, sample_bits_) && !is_one_value(group.substr(at, kSpan))) {
      // First where the last match would go on, after bytes that were only replaced; then anywhere.
      Match match;
      if (!found.empty()) {
        const ByteCount straight = found.back().source + (at - found.back().target);
        if (straight + kSpan <= source_.size()) match = extend(group, at, straight, floor);
      }
      if (match.length < kMatchMin)
        if (const std::uint64_t* entry = find(value); entry != nullptr)
          match = extend(group, at, (*entry & kPositionMask) - 1, floor);
      if (match.length >= kMatchMin && match.target + match.length > at) {
        found.push_back(match);
        floor = match.target + match.length;
        if (floor + kSpan > group.size()) break;
        at = floor;
        hash = Rolling(group, at);
        continue;
      }
    }
    if (at + kSpan >= group.size()) break;
    hash.advance(at);
    ++at;
  }
  return found;
}

}  // namespace godwit::delta
