// Goal: wherever the power goes, the device boots a whole image that was meant for it, what is recorded is true, and
// the update ends as it would have ended undisturbed. Method: a whole life of updates (good ones, one that dies) on a
// disk that forgets, with the real formats of the boot loaders; the power goes in every write, create, rename and sync
// of it, the loader's own writes among them, with what was not synced dropped, kept, or reordered and torn; then once
// more during each recovery. A cut may cost one attempt of a trial and no more, so a side gets as many as there are
// cuts and one. The last test takes each sync away and expects all this to be noticed. faults: 52, 53, 54, 55
#include <gtest/gtest.h>

#include <iostream>

#include "device/slots/testing/cut_device.hpp"

namespace godwit::slots {
namespace {

using testing::Build;
using testing::CutDevice;
using testing::FakeDisk;
using testing::Goal;
using testing::kLoaders;
using testing::Loader;
using testing::Loss;

Goal wanted(std::size_t image) { return {.image = image, .is_abandoned = false, .is_unhealthy = false}; }
Goal abandoned(std::size_t image) { return {.image = image, .is_abandoned = true, .is_unhealthy = false}; }
Goal unhealthy(std::size_t image) { return {.image = image, .is_abandoned = false, .is_unhealthy = true}; }

/// v2 is taken back, another one comes to B, one that dies and one that is not healthy to A, then v3; and so on, until
/// v3 comes, which A still holds.
const std::vector<Goal> kLife{abandoned(1), wanted(4),    wanted(2), unhealthy(1),
                              wanted(3),    abandoned(4), wanted(1), wanted(3)};
const std::vector<Goal> kShortLife{abandoned(1), wanted(4), wanted(2)};
/// B gets a kernel of its own and the firmware of A; then A a dying image, then one with both of its own.
const std::vector<Goal> kLifeOfPairs{wanted(4), wanted(2), wanted(3)};
const std::vector<Goal> kShorterLifeOfPairs{wanted(4), wanted(3)};
const std::vector<Goal> kShortLifeOfPairs{wanted(4)};

/// A device, and what it lives through.
struct Subject {
  Build build;
  const std::vector<Goal>& life;
};
/// Each boot loader; then a device with pairs, whose files lie on a file system without a journal, and one with.
std::vector<Subject> subjects() {
  std::vector<Subject> all;
  for (const Loader loader : kLoaders) all.push_back({{.loader = loader}, kLife});
  all.push_back({{.loader = Loader::systemd_boot, .has_pairs = true}, kLifeOfPairs});
  all.push_back({{.loader = Loader::grub, .has_pairs = true}, kShorterLifeOfPairs});
  return all;
}
std::vector<Subject> short_subjects() {
  std::vector<Subject> all;
  for (const Loader loader : kLoaders) all.push_back({{.loader = loader}, kShortLife});
  all.push_back({{.loader = Loader::systemd_boot, .has_pairs = true}, kShortLifeOfPairs});
  return all;
}

struct Variant {
  Loss loss;
  std::uint64_t seed;
  friend std::ostream& operator<<(std::ostream& out, const Variant& variant) {
    return out << static_cast<int>(variant.loss) << " " << variant.seed;
  }
};
std::vector<Variant> variants(int random) {
  std::vector<Variant> all{{Loss::all, 0}, {Loss::nothing, 0}};
  for (int i = 1; i <= random; ++i) all.push_back({Loss::random, static_cast<std::uint64_t>(i) * 1000});
  return all;
}

/// An undisturbed life: a device before each of its starts. Lives that are cut begin at the last start before the cut,
/// and end as soon as they are where the undisturbed one was: how it goes on from there is known.
class Life {
 public:
  Life(Build build, const std::vector<Goal>& goals, int attempts, Variant variant) : variant_(variant) {
    CutDevice device(build, goals, attempts);
    device.live(variant.loss, variant.seed, [this](const CutDevice& now) {
      if (now.left_unsynced) known_from_ = starts_.size();
      starts_.push_back(now);
      return true;
    });
    EXPECT_EQ(device.broken, "") << "undisturbed";
    EXPECT_EQ(device.cuts_taken, 0);
    end_.emplace(std::move(device));
  }

  /// What was broken by cuts at these operations, with one sync taken away where `missing_sync` is a number.
  [[nodiscard]] std::string cut(const std::set<int>& cuts, int missing_sync = -1) const {
    return cut(cuts, variant_, missing_sync);
  }
  [[nodiscard]] std::string cut(const std::set<int>& cuts, Variant variant, int missing_sync = -1) const {
    CutDevice device = before(*cuts.begin(), missing_sync);
    device.disk.cuts = cuts;
    device.disk.missing_sync = missing_sync;
    const int wanted = static_cast<int>(cuts.size());
    device.live(variant.loss, variant.seed, [&](const CutDevice& now) {
      return now.cuts_taken < wanted || now.disk.syncs() <= missing_sync || !is_known(now);
    });
    return device.broken;
  }

  [[nodiscard]] const CutDevice& end() const { return *end_; }
  [[nodiscard]] int operations() const { return end().disk.operations(); }
  [[nodiscard]] const Variant& variant() const { return variant_; }

 private:
  [[nodiscard]] const CutDevice& before(int operation, int sync) const {
    std::size_t found = 0;
    for (std::size_t i = 1; i < starts_.size(); ++i)
      if (starts_[i].disk.operations() <= operation && (sync < 0 || starts_[i].disk.syncs() <= sync)) found = i;
    return starts_[found];
  }
  /// Only of starts after which no restart has lost anything: what is lost is drawn by lot.
  [[nodiscard]] bool is_known(const CutDevice& now) const {
    return std::any_of(starts_.begin() + static_cast<std::ptrdiff_t>(known_from_), starts_.end(),
                       [&](const CutDevice& start) { return now.is_where(start); });
  }

  Variant variant_;
  std::vector<CutDevice> starts_{};
  std::optional<CutDevice> end_{};
  std::size_t known_from_ = 0;
};

std::vector<Life> lives_of(Build build, const std::vector<Goal>& goals, int attempts,
                           const std::vector<Variant>& variants) {
  std::vector<Life> lives;
  for (const Variant variant : variants) lives.emplace_back(build, goals, attempts, variant);
  return lives;
}

TEST(SlotsCut, a_cut_at_any_operation_leaves_a_device_that_boots_and_finishes) {
  int points = 0;
  for (const auto& [build, goals] : subjects()) {
    const auto lives = lives_of(build, goals, kLeastAttempts, variants(3));
    for (int cut = 0; cut < lives.front().operations(); ++cut)
      for (const Life& life : lives) {
        ++points;
        ASSERT_EQ(life.cut({cut}), "") << build << ", cut at operation " << cut << ", loss " << life.variant();
      }
  }
  std::cout << "slots: " << points << " cut points ran\n";
  EXPECT_GT(points, 2000);
}

TEST(SlotsCut, a_second_cut_during_the_recovery_changes_nothing_of_that) {
  constexpr int kReach = 12;  // operations after the first cut: from the next start to the mark of the side
  int points = 0;
  for (const auto& [build, goals] : short_subjects()) {
    const Life life(build, goals, kLeastAttempts + 1, {Loss::all, 0});
    for (int cut = 0; cut < life.operations(); ++cut)
      for (int second = cut + 1; second <= cut + kReach; ++second)
        for (const Variant variant :
             {Variant{Loss::all, 0}, Variant{Loss::random, static_cast<std::uint64_t>(second)}}) {
          ++points;
          ASSERT_EQ(life.cut({cut, second}, variant), "")
              << build << ", cuts at operations " << cut << " and " << second << ", loss " << variant;
        }
  }
  std::cout << "slots: " << points << " pairs of cut points ran\n";
  EXPECT_GT(points, 4000);
}

/// True when some cut shows that the sync is missing.
bool is_noticed(const std::vector<Life>& lives, int missing) {
  const auto is_broken_between = [&](int first, int end) {
    for (int cut = first; cut < end; ++cut)
      for (const Life& life : lives)
        if (!life.cut({cut}, missing).empty()) return true;
    return false;
  };
  // Soon after the sync at first, then anywhere.
  constexpr int kSoon = 5;
  const FakeDisk& whole = lives.front().end().disk;
  const int begin = std::max(0, whole.sync_operations()[static_cast<std::size_t>(missing)] - 1);
  const int end = std::min(whole.operations(), begin + kSoon);
  return is_broken_between(begin, end) || is_broken_between(0, whole.operations());
}

TEST(SlotsCut, every_sync_that_is_taken_away_is_noticed) {
  int taken = 0;
  for (const auto& [build, goals] : subjects()) {
    const auto lives = lives_of(build, goals, kLeastAttempts, variants(build.has_pairs ? 5 : 10));
    const CutDevice& whole = lives.front().end();
    for (int missing = 0; missing < whole.disk.syncs(); ++missing, ++taken) {
      if (whole.spared_syncs.contains(missing)) continue;
      EXPECT_TRUE(is_noticed(lives, missing))
          << build << ": nobody notices that sync " << missing << " of " << whole.disk.syncs() << ", of "
          << whole.disk.sync_places()[static_cast<std::size_t>(missing)] << ", is missing";
    }
  }
  std::cout << "slots: " << taken << " syncs were taken away\n";
  EXPECT_GT(taken, 30);
}

}  // namespace
}  // namespace godwit::slots
