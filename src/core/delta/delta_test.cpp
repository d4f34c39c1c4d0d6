// Making and applying together: what comes out is the target, whatever is between the two files and whatever happens
// to source and delta on the way.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "core/delta/apply.hpp"
#include "core/delta/make.hpp"

namespace godwit::delta {
namespace {

/// Numbers that are the same on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint64_t below(std::uint64_t limit) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return limit == 0 ? 0 : (state_ >> 33U) % limit;
  }

 private:
  std::uint64_t state_;
};

/// Content with words that come again, stretches of zeros and noise: compressible as real files are.
Bytes content(std::size_t size, Dice& dice) {
  Bytes bytes;
  while (bytes.size() < size) {
    switch (dice.below(8)) {
      case 0: bytes.append(dice.below(9000), '\0'); break;
      case 1:
        for (std::uint64_t i = dice.below(3000); i > 0; --i) bytes += static_cast<char>(dice.below(256));
        break;
      default:
        for (std::uint64_t i = dice.below(500); i > 0; --i) bytes += "word-" + std::to_string(dice.below(5000)) + ' ';
    }
  }
  bytes.resize(size);
  return bytes;
}

/// Replaces, inserts, removes and moves, as builds do.
Bytes edited(Bytes bytes, Dice& dice, std::uint64_t edits) {
  for (; edits > 0 && !bytes.empty(); --edits) {
    const auto at = static_cast<std::size_t>(dice.below(bytes.size()));
    const auto size = static_cast<std::size_t>(dice.below(std::min<std::uint64_t>(bytes.size() - at, 20000)));
    switch (dice.below(4)) {
      case 0: bytes.replace(at, size, content(size, dice)); break;
      case 1: bytes.insert(at, content(size, dice)); break;
      case 2: bytes.erase(at, size); break;
      default: {
        const Bytes moved = bytes.substr(at, size);
        bytes.erase(at, size);
        bytes.insert(static_cast<std::size_t>(dice.below(bytes.size() + 1)), moved);
      }
    }
  }
  return bytes;
}

ReadAt reader(const Bytes& bytes) {
  return [&bytes](ByteCount offset, std::span<char> into) -> Result<void> {
    if (offset > bytes.size() || into.size() > bytes.size() - offset) return fail(Code::size_mismatch, "ends");
    std::memcpy(into.data(), bytes.data() + offset, into.size());
    return {};
  };
}

Bytes made(const Bytes& source, const Bytes& target, const MakeOptions& options = {.level = 3}) {
  Bytes delta;
  const auto header = make(
      source, target,
      [&delta](std::string_view bytes) -> Result<void> {
        delta += bytes;
        return {};
      },
      options);
  GODWIT_CHECK(header.has_value());
  return delta;
}

struct Back {
  Result<Applied> applied;
  Bytes target;
};
Back run(const Bytes& delta, const Bytes& source, ApplyOptions options = {}, Bytes begun = {}) {
  if (options.begun > 0) options.read_back = reader(begun);
  Bytes target = begun;
  ByteCount last = 0;
  auto applied = apply(
      reader(delta), delta.size(), reader(source),
      [&](ByteCount offset, std::string_view bytes) -> Result<void> {
        EXPECT_GE(offset, last);
        last = offset + bytes.size();
        if (target.size() < offset + bytes.size()) target.resize(static_cast<std::size_t>(offset) + bytes.size());
        target.replace(static_cast<std::size_t>(offset), bytes.size(), bytes);
        return {};
      },
      options);
  return {std::move(applied), std::move(target)};
}

constexpr std::uint32_t kSmallGroup = 16 * 1024;

TEST(Delta, a_target_comes_back_from_random_edits_of_the_source) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Dice dice(seed);
    const Bytes source = content(static_cast<std::size_t>(dice.below(400000)), dice);
    const Bytes target = edited(source, dice, dice.below(12));
    const std::uint32_t group = dice.below(2) == 0 ? kSmallGroup : static_cast<std::uint32_t>(kGroupSizeMax);
    const Bytes delta = made(source, target, {.level = 1 + static_cast<int>(dice.below(6)), .group_size = group});
    const Back back = run(delta, source);
    ASSERT_TRUE(back.applied) << seed << ": " << back.applied.error().message;
    EXPECT_TRUE(back.target == target) << seed;
    EXPECT_TRUE(back.applied->damaged.empty());
    EXPECT_EQ(back.applied->groups_made, back.applied->header.group_count());
  }
}

TEST(Delta, empty_files_and_strangers_work_too) {
  Dice dice(7);
  const Bytes some = content(50000, dice);
  const Bytes other = content(70001, dice);
  for (const auto& [source, target] : std::vector<std::pair<Bytes, Bytes>>{
           {"", ""}, {"", some}, {some, ""}, {some, other}, {"a", "b"}, {some, some}}) {
    const Back back = run(made(source, target), source);
    ASSERT_TRUE(back.applied) << back.applied.error().message;
    EXPECT_EQ(back.target, target);
  }
}

TEST(Delta, what_moved_far_is_found_and_costs_little) {
  Dice dice(3);
  Bytes noise(6 * 1024 * 1024, '\0');
  for (char& byte : noise) byte = static_cast<char>(dice.below(256));
  // The halves change places, and every 100 KB a few bytes are new: nothing of it can be compressed alone.
  Bytes target = noise.substr(noise.size() / 2) + noise.substr(0, noise.size() / 2);
  for (std::size_t at = 50000; at < target.size(); at += 100000) target.replace(at, 3, "new");
  const Bytes delta = made(noise, target);
  EXPECT_LT(delta.size(), 12000U);
  const Back back = run(delta, noise);
  ASSERT_TRUE(back.applied) << back.applied.error().message;
  EXPECT_TRUE(back.target == target);
}

TEST(Delta, groups_that_are_zeros_or_in_the_source_as_they_are_have_no_frame) {
  Dice dice(5);
  const Bytes source = content(8 * kSmallGroup, dice);
  const Bytes target = source.substr(5000, 3 * kSmallGroup) + Bytes(2 * kSmallGroup, '\0') + content(kSmallGroup, dice);
  const Bytes delta = made(source, target, {.level = 3, .group_size = kSmallGroup});
  std::map<Kind, int> kinds;
  const auto header = survey(reader(delta), delta.size(), [&](const GroupInfo& info) { ++kinds[info.record.kind]; });
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(kinds[Kind::zeros], 2);
  EXPECT_GE(kinds[Kind::copy], 1);
  EXPECT_GE(kinds[Kind::frame], 1);
}

// faults: 47
TEST(Delta, a_damaged_source_costs_its_groups_and_names_their_ranges) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Dice dice(seed);
    const Bytes source = content(40 * kSmallGroup, dice);
    const Bytes target = edited(source, dice, 6);
    const Bytes delta = made(source, target, {.level = 3, .group_size = kSmallGroup});
    Bytes rotten = source;  // of equal size
    for (int i = 0; i < 3; ++i) {
      char& byte = rotten[static_cast<std::size_t>(dice.below(rotten.size()))];
      byte = static_cast<char>(byte ^ 0x55);
    }
    Back back = run(delta, rotten);
    ASSERT_TRUE(back.applied) << back.applied.error().message;
    EXPECT_LT(back.applied->damaged.size(), 20U);
    back.target.resize(target.size());
    ByteCount sum = 0;
    for (const TargetRange& range : back.applied->damaged) {
      back.target.replace(static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length), target,
                          static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length));
      sum += range.length;
    }
    EXPECT_LT(sum, target.size() / 2) << "the rest is made from the source";
    EXPECT_TRUE(back.target == target) << seed;
  }
}

TEST(Delta, another_source_gives_only_damaged_ranges_and_never_a_wrong_byte) {
  Dice dice(11);
  const Bytes source = content(10 * kSmallGroup, dice);
  const Bytes target = edited(source, dice, 4);
  const Bytes stranger = content(source.size(), dice);
  const Back back = run(made(source, target, {.level = 3, .group_size = kSmallGroup}), stranger);
  ASSERT_TRUE(back.applied);
  EXPECT_FALSE(back.applied->damaged.empty());
  const Back shorter = run(made(source, target, {.level = 3, .group_size = kSmallGroup}), source.substr(0, 10000));
  ASSERT_TRUE(shorter.applied) << "a source that ends early is a damaged one";
  EXPECT_FALSE(shorter.applied->damaged.empty());
}

TEST(Delta, a_cut_costs_at_most_the_group_it_fell_into) {
  Dice dice(13);
  const Bytes source = content(12 * kSmallGroup, dice);
  const Bytes target = edited(source, dice, 5);
  const Bytes delta = made(source, target, {.level = 3, .group_size = kSmallGroup});
  for (std::size_t cut = 0; cut <= target.size(); cut += 5000) {
    Bytes begun = target.substr(0, cut);
    if (cut > 100) begun[cut - 100] = static_cast<char>(begun[cut - 100] ^ 1);  // a torn last write
    const Back back = run(delta, source, {.begun = begun.size()}, begun);
    ASSERT_TRUE(back.applied) << back.applied.error().message;
    EXPECT_TRUE(back.target == target) << cut;
    EXPECT_GE(back.applied->groups_found + 2, cut / kSmallGroup) << cut;
  }
}

TEST(Delta, a_delta_for_something_else_is_refused_before_the_first_byte) {
  Dice dice(17);
  const Bytes source = content(50000, dice);
  const Bytes delta = made(source, source + "x");
  const Back size = run(delta, source, {.expected_size = source.size()});
  ASSERT_FALSE(size.applied);
  EXPECT_EQ(size.applied.error().code, Code::size_mismatch);
  const Back hash = run(delta, source, {.expected_sha256 = sha256(source)});
  ASSERT_FALSE(hash.applied);
  EXPECT_EQ(hash.applied.error().code, Code::digest_mismatch);
  EXPECT_TRUE(size.target.empty());
  EXPECT_TRUE(hash.target.empty());
}

// faults: 25
TEST(Delta, a_bit_that_flips_anywhere_in_the_delta_is_noticed_before_its_group_is_written) {
  Dice dice(19);
  const Bytes source = content(60000, dice);
  const Bytes target = edited(source, dice, 5);
  const Bytes delta = made(source, target, {.level = 3, .group_size = kSmallGroup});
  for (std::size_t at = 0; at < delta.size(); at += 1 + static_cast<std::size_t>(dice.below(5))) {
    Bytes flipped = delta;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << dice.below(8)));
    const Back back = run(flipped, source);
    ASSERT_FALSE(back.applied) << at;
    EXPECT_FALSE(back.applied.error().message.empty());
    EXPECT_TRUE(target.starts_with(back.target)) << at;
  }
}

TEST(Delta, a_delta_that_ends_early_or_goes_on_is_refused) {
  Dice dice(23);
  const Bytes source = content(40000, dice);
  const Bytes delta = made(source, edited(source, dice, 3), {.level = 3, .group_size = kSmallGroup});
  for (std::size_t size = 0; size < delta.size(); size += 37) {
    const Back back = run(delta.substr(0, size), source);
    ASSERT_FALSE(back.applied) << size;
  }
  const Back longer = run(delta + "x", source);
  ASSERT_FALSE(longer.applied);
  EXPECT_NE(longer.applied.error().message.find("goes on for 1 bytes"), std::string::npos);
}

TEST(Delta, a_cancel_ends_between_groups) {
  Dice dice(29);
  const Bytes source = content(4 * kSmallGroup, dice);
  const Bytes delta = made(source, source, {.level = 3, .group_size = kSmallGroup});
  int asked = 0;
  const Back back = run(delta, source, {.is_cancelled = [&asked] { return ++asked > 2; }});
  ASSERT_FALSE(back.applied);
  EXPECT_EQ(back.applied.error().code, Code::cancelled);
  EXPECT_EQ(back.target.size(), 2U * kSmallGroup);
}

TEST(Delta, options_out_of_range_are_refused) {
  EXPECT_EQ(Maker::start("a", "b", {.level = 0}).error().code, Code::invalid_argument);
  EXPECT_EQ(Maker::start("a", "b", {.level = 23}).error().code, Code::invalid_argument);
  EXPECT_EQ(Maker::start("a", "b", {.group_size = 1000}).error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace godwit::delta
