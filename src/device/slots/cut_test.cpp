// Goal: wherever the power goes, the device boots a whole image that was meant for it, what is recorded is true, and
// the update ends as it would have ended undisturbed. Method: a whole life of updates (good ones, one that dies) on a
// disk that forgets, with the real formats of the boot loaders; the power goes in every write, create, rename and sync
// of it, the loader's own writes among them, with what was not synced dropped, kept, or reordered and torn; then once
// more during each recovery. A cut may cost one attempt of a trial and no more, so a side gets as many as there are
// cuts and one. The last test takes each sync away and expects all this to be noticed. faults: 52, 53, 54, 55
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "device/slots/grub_switch.hpp"
#include "device/slots/slots.hpp"
#include "device/slots/systemd_boot_switch.hpp"
#include "device/slots/testing/fake_boot_loader.hpp"
#include "device/slots/testing/fake_bootcount.hpp"
#include "device/slots/testing/fake_disk.hpp"
#include "device/slots/testing/fake_systemd_boot.hpp"
#include "device/slots/uboot_switch.hpp"

namespace godwit::slots {
namespace {

using testing::FakeBootCount;
using testing::FakeBootLoader;
using testing::FakeDisk;
using testing::FakeSystemdBoot;
using testing::Loss;
using testing::PowerCut;

enum class Loader : std::uint8_t { grub, uboot_plain, uboot_redundant, uboot_bootcount, systemd_boot };
constexpr auto kLoaders = std::to_array<Loader>(
    {Loader::grub, Loader::uboot_plain, Loader::uboot_redundant, Loader::uboot_bootcount, Loader::systemd_boot});

const Path kSideA = "/dev/a";
const Path kSideB = "/dev/b";
const Path kBoot = "/boot/state";
const Path kEntries = "/efi/loader/entries";
const Path kContents = "/data/contents.json";
constexpr ByteCount kPartition = 8 * 1024;
constexpr WriterOptions kWriter{.chunk = 2048, .grain = 512, .window = 2048};
constexpr int kMostStarts = 60;

struct TestImage {
  Bytes bytes;
  Image image;
  bool is_good = true;
};

TestImage make_image(unsigned number, bool is_good) {
  TestImage made{.bytes = Bytes(4 * 1024 + 300, '\0'), .image = {}, .is_good = is_good};
  std::mt19937 dice(number);
  for (char& byte : made.bytes) byte = static_cast<char>(dice());
  made.image = {.size = made.bytes.size(), .sha256 = sha256(made.bytes)};
  return made;
}

const std::array<TestImage, 5>& images() {
  static const std::array<TestImage, 5> kImages{make_image(1, true), make_image(2, true), make_image(3, false),
                                                make_image(4, true), make_image(5, true)};
  return kImages;
}

class BytesSource final : public ImageSource {
 public:
  explicit BytesSource(const Bytes& bytes) : bytes_(bytes) {}
  Result<std::size_t> read(std::span<char> buffer) override {
    const std::size_t got = bytes_.copy(buffer.data(), buffer.size(), at_);
    at_ += got;
    return got;
  }

 private:
  const Bytes& bytes_;
  std::size_t at_ = 0;
};

UBootFormat format_of(Loader loader) {
  return loader == Loader::uboot_plain ? UBootFormat::plain : UBootFormat::redundant;
}
AttemptCounter counter_of(Loader loader) {
  return loader == Loader::uboot_bootcount ? AttemptCounter::bootcount : AttemptCounter::script;
}

std::unique_ptr<BootSwitch> switch_of(Loader loader, FakeDisk& disk) {
  if (loader == Loader::grub) return std::make_unique<GrubSwitch>(disk, kBoot);
  if (loader == Loader::systemd_boot)
    return std::make_unique<SystemdBootSwitch>(
        disk, SystemdBootPlace{.entries = kEntries, .names = {"side-a", "side-b"}, .variables = "/efivars"});
  return std::make_unique<UBootSwitch>(disk, UBootPlace{.copies = {UBootCopy{kBoot, 0}, UBootCopy{kBoot, 512}},
                                                        .size = 512,
                                                        .format = format_of(loader),
                                                        .counter = counter_of(loader)});
}

void put_boot_state(Loader loader, FakeDisk& disk) {
  if (loader == Loader::systemd_boot) {
    disk.unjournaled.insert(kEntries.string());
    for (const Side side : {Side::a, Side::b}) {
      const std::string name = side == Side::a ? "side-a" : "side-b";
      const std::string text =
          fmt::format("linux /{0}/vmlinuz\noptions quiet godwit.side={1}\n", name, side_name(side));
      disk.put(kEntries / (name + ".entry"), text);
      if (side == Side::a) disk.put(kEntries / "side-a.conf", "sort-key 00-godwit\nversion 1\n" + text);
    }
    return;
  }
  const BootWords words = with_state({{"serial", "7"}}, BootState{}, counter_of(loader));
  if (loader == Loader::grub) {
    disk.put(kBoot, *print_grub_block(words));
    disk.untearable.insert(kBoot.string());
  } else {
    const Bytes copy = *print_uboot({.words = words, .flag = 254}, 512, format_of(loader));
    disk.put(kBoot, copy + copy);
  }
}

Result<Side> pick_side(Loader loader, FakeDisk& disk, BootSwitch& boot_switch) {
  if (loader == Loader::systemd_boot) return FakeSystemdBoot(disk, kEntries).pick();
  if (loader == Loader::uboot_bootcount) return FakeBootCount(disk, kBoot).pick();
  return FakeBootLoader(boot_switch).pick();
}

struct Goal {
  std::size_t image = 0;
  bool is_abandoned = false;  // taken back once it is installed, before the restart
  bool is_unhealthy = false;  // it comes up, and its health check says no
  [[nodiscard]] bool is_wanted() const { return !is_abandoned && !is_unhealthy; }
};

Goal wanted(std::size_t image) { return {.image = image, .is_abandoned = false, .is_unhealthy = false}; }
Goal abandoned(std::size_t image) { return {.image = image, .is_abandoned = true, .is_unhealthy = false}; }
Goal unhealthy(std::size_t image) { return {.image = image, .is_abandoned = false, .is_unhealthy = true}; }

/// One device, its operator's goals, and what must hold. A broken promise is a sentence in `broken`.
class Device {
 public:
  Device(Loader loader, std::vector<Goal> goals, int attempts)
      : loader_(loader), goals_(std::move(goals)), attempts_(attempts) {
    Bytes a = images()[0].bytes;
    a.resize(kPartition, '\0');
    disk.put(kSideA, std::move(a));
    disk.put(kSideB, Bytes(kPartition, 'x'));
    put_boot_state(loader, disk);
  }

  /// Until all goals have ended. `loss` is what each cut does.
  void live(Loss loss, std::uint64_t seed) {
    for (int start = 0; start < kMostStarts && broken.empty(); ++start) {
      try {
        if (boot()) run();
        if (goal_ == goals_.size() || !broken.empty()) break;
      } catch (const PowerCut&) {
        disk.is_loader = false;
        ++cuts_taken;
      }
      disk.lose_power(loss, seed + static_cast<std::uint64_t>(start));
      check_medium();
    }
    if (broken.empty() && goal_ != goals_.size()) broken = "the updates do not end";
    if (broken.empty()) check_end();
  }

  FakeDisk disk;
  std::string broken;
  int cuts_taken = 0;
  /// Around an install that is taken back at once. Of its mark: a lost one is what is wanted then. Of the first of two
  /// copies while it is taken back: the sync of the second, on the same partition, covers both, and no draw so far tore
  /// both.
  std::set<int> spared_syncs;

 private:
  void expect(bool holds, const std::string& words) {
    if (!holds && broken.empty()) broken = words;
  }
  const Bytes& bytes_on(Side side) const { return disk.durable(side == Side::a ? kSideA : kSideB); }
  std::optional<std::size_t> image_on(Side side) const {
    for (std::size_t i = 0; i < images().size(); ++i)
      if (bytes_on(side).starts_with(images()[i].bytes)) return i;
    return std::nullopt;
  }

  /// True when a program runs afterwards, false when the started side died and a new start is due.
  bool boot() {
    const auto boot_switch = switch_of(loader_, disk);
    disk.is_loader = true;
    const auto side = pick_side(loader_, disk, *boot_switch);
    disk.is_loader = false;
    if (!side) {
      expect(false, "the device does not start: " + side.error().message);
      return false;
    }
    const auto image = image_on(*side);
    expect(image.has_value(), fmt::format("side {} was booted and holds no whole image", side_name(*side)));
    if (!image) return false;
    expect(image != taken_back_, "an update that was taken back was booted");
    if (!images()[*image].is_good) return false;
    running_ = *side;
    if (confirmed_) {
      expect(boot_switch->read()->good == *confirmed_, "a confirmed side is not the good one after a restart");
    }
    return true;
  }

  void run() {
    const auto boot_switch = switch_of(loader_, disk);
    Slots slots(disk, *boot_switch,
                {.sides = {kSideA, kSideB},
                 .running = running_,
                 .contents = kContents,
                 .attempts = attempts_,
                 .writer = kWriter});
    while (goal_ < goals_.size() && broken.empty()) {
      const TestImage& wanted = images()[goals_[goal_].image];
      const auto answer = ask(slots, wanted);
      if (!answer) return expect(false, "a question failed: " + answer.error().message);
      if (conclude(*answer)) return;
    }
  }

  Result<Answer> ask(Slots& slots, const TestImage& wanted) {
    const auto before = static_cast<std::size_t>(disk.syncs());
    if (ask_ == Ask::install) {
      auto answer = slots.install(
          wanted.image,
          [&]() -> Result<std::unique_ptr<ImageSource>> { return std::make_unique<BytesSource>(wanted.bytes); },
          nullptr, {});
      if (goals_[goal_].is_abandoned) spare_syncs(before, 0);
      return answer;
    }
    if (ask_ == Ask::restore) {
      auto answer = slots.restore(wanted.image);
      if (!goals_[goal_].is_wanted()) spare_syncs(before, 1);
      return answer;
    }
    return slots.apply(wanted.image, [this]() -> Result<void> {
      if (goals_[goal_].is_unhealthy) return fail(Code::process_failed, "it stays cold");
      return {};
    });
  }

  static bool is_of_boot(const std::string& place) {
    return place == kBoot.string() || place.starts_with(kEntries.string());
  }
  /// The syncs of the boot state since `begin`, the last `but` of them left out, need not be missed.
  void spare_syncs(std::size_t begin, std::size_t but) {
    std::vector<int> found;
    for (std::size_t i = begin; i < static_cast<std::size_t>(disk.syncs()); ++i)
      if (is_of_boot(disk.sync_places()[i])) found.push_back(static_cast<int>(i));
    found.resize(found.size() - std::min(found.size(), but));
    spared_syncs.insert(found.begin(), found.end());
  }

  /// What the agent would do with the answer; true: restart the device.
  bool conclude(const Answer& answer) {
    using Kind = Answer::Kind;
    if (ask_ == Ask::install) {
      expect(answer.kind == Kind::done || answer.kind == Kind::restart, "install: " + answer.details);
      if (goals_[goal_].is_abandoned) {
        ask_ = Ask::restore;
        return false;
      }
      ask_ = Ask::apply;
      confirmed_.reset();
      taken_back_.reset();
      if (answer.kind == Kind::restart) marked_ = other(running_);
      return answer.kind == Kind::restart;
    }
    if (ask_ == Ask::apply && answer.kind == Kind::done) {
      confirmed_ = running_;
      end_goal(true);
      return false;
    }
    if (ask_ == Ask::apply) {
      const bool is_unhealthy = answer.kind == Kind::unhealthy && goals_[goal_].is_unhealthy;
      expect((answer.kind == Kind::fell_back && marked_) || is_unhealthy, "apply: " + answer.details);
      ask_ = Ask::restore;
      return false;
    }
    if (answer.kind == Kind::restart) {
      taken_back_ = goals_[goal_].image;
      return true;
    }
    expect(answer.kind == Kind::done, "restore: " + answer.details);
    end_goal(false);
    return false;
  }

  void end_goal(bool has_succeeded) {
    expect(has_succeeded == (images()[goals_[goal_].image].is_good && goals_[goal_].is_wanted()),
           "the update did not end as its image deserves");
    taken_back_ = goals_[goal_].is_wanted() ? std::nullopt : std::optional(goals_[goal_].image);
    ask_ = Ask::install;
    marked_.reset();
    ++goal_;
  }

  /// What must be true of the medium at any moment without power.
  void check_medium() {
    const auto boot_switch = switch_of(loader_, disk);
    const auto state = boot_switch->read();
    if (!state) return expect(false, "no boot state is whole: " + state.error().message);
    const auto contents = load_contents(disk, kContents);
    if (!contents) return expect(false, "contents.json cannot be read: " + contents.error().message);
    for (const Side side : {Side::a, Side::b}) {
      const auto& held = contents->of(side);
      expect(!held || sha256(bytes_on(side).substr(0, held->image.size)) == held->image.sha256,
             fmt::format("contents.json claims of side {} what is not there", side_name(side)));
    }
    if (state->trial && state->attempts_left > 0)
      expect(contents->of(*state->trial).has_value(), "a side is to be tried of which nothing is known");
    if (marked_)
      expect(state->trial == *marked_ || state->failed == *marked_ || state->good == *marked_,
             "the mark of an installed side is lost");
    if (confirmed_) expect(state->good == *confirmed_, "the confirmation of a side is lost");
    for (const auto& side : {kSideA, kSideB})
      expect(disk.most_unsynced(side) <= kWriter.window, "more than a window was not synced");
  }

  void check_end() {
    std::size_t last_good = 0;
    for (const Goal& goal : goals_)
      if (images()[goal.image].is_good && goal.is_wanted()) last_good = goal.image;
    const auto boot_switch = switch_of(loader_, disk);
    const auto state = boot_switch->read();
    expect(state && image_on(state->good) == last_good, "the last good image is not what the device ends with");
    expect(loader_ == Loader::grub || loader_ == Loader::systemd_boot ||
               disk.durable(kBoot).find(std::string_view("serial=7\0", 9)) != Bytes::npos,
           "a word of somebody else is lost");
  }

  Loader loader_;
  std::vector<Goal> goals_;
  int attempts_;
  std::size_t goal_ = 0;
  Ask ask_ = Ask::install;
  Side running_ = Side::a;
  std::optional<Side> confirmed_{};
  std::optional<Side> marked_{};             // by an install that has ended
  std::optional<std::size_t> taken_back_{};  // the image of the last goal, which somebody did not want any more
};

/// v2 is taken back, another one comes to B, one that dies and one that is not healthy to A, then v3; and so on, until
/// v3 comes, which A still holds.
const std::vector<Goal> kLife{abandoned(1), wanted(4),    wanted(2), unhealthy(1),
                              wanted(3),    abandoned(4), wanted(1), wanted(3)};
const std::vector<Goal> kShortLife{abandoned(1), wanted(4), wanted(2)};

struct Variant {
  Loss loss;
  std::uint64_t seed;
};
std::vector<Variant> variants(int random) {
  std::vector<Variant> all{{Loss::all, 0}, {Loss::nothing, 0}};
  for (int i = 1; i <= random; ++i) all.push_back({Loss::random, static_cast<std::uint64_t>(i) * 1000});
  return all;
}

int operations_of(Loader loader, const std::vector<Goal>& goals, int attempts) {
  Device device(loader, goals, attempts);
  device.live(Loss::all, 0);
  EXPECT_EQ(device.broken, "") << "undisturbed";
  EXPECT_EQ(device.cuts_taken, 0);
  return device.disk.operations();
}

std::string run(Loader loader, const std::vector<Goal>& goals, std::set<int> cuts, Variant variant, int missing_sync) {
  Device device(loader, goals, static_cast<int>(cuts.size()) + 1);
  device.disk.cuts = std::move(cuts);
  device.disk.missing_sync = missing_sync;
  device.live(variant.loss, variant.seed);
  return device.broken;
}

TEST(SlotsCut, a_cut_at_any_operation_leaves_a_device_that_boots_and_finishes) {
  int points = 0;
  for (const Loader loader : kLoaders) {
    const int operations = operations_of(loader, kLife, kLeastAttempts);
    for (int cut = 0; cut < operations; ++cut)
      for (const Variant variant : variants(3)) {
        ++points;
        ASSERT_EQ(run(loader, kLife, {cut}, variant, -1), "")
            << "loader " << static_cast<int>(loader) << ", cut at operation " << cut << ", loss "
            << static_cast<int>(variant.loss) << " " << variant.seed;
      }
  }
  std::cout << "slots: " << points << " cut points ran\n";
  EXPECT_GT(points, 2000);
}

TEST(SlotsCut, a_second_cut_during_the_recovery_changes_nothing_of_that) {
  constexpr int kReach = 12;  // operations after the first cut: from the next start to the mark of the side
  int points = 0;
  for (const Loader loader : kLoaders) {
    const int operations = operations_of(loader, kShortLife, kLeastAttempts + 1);
    for (int cut = 0; cut < operations; ++cut)
      for (int second = cut + 1; second <= cut + kReach; ++second)
        for (const Variant variant :
             {Variant{Loss::all, 0}, Variant{Loss::random, static_cast<std::uint64_t>(second)}}) {
          ++points;
          ASSERT_EQ(run(loader, kShortLife, {cut, second}, variant, -1), "")
              << "loader " << static_cast<int>(loader) << ", cuts at operations " << cut << " and " << second
              << ", loss " << static_cast<int>(variant.loss) << " " << variant.seed;
        }
  }
  std::cout << "slots: " << points << " pairs of cut points ran\n";
  EXPECT_GT(points, 4000);
}

/// True when some cut shows that the sync is missing.
bool is_noticed(Loader loader, int missing, const FakeDisk& whole) {
  const auto is_broken_between = [&](int first, int end, int draws) {
    for (int cut = first; cut < end; ++cut)
      for (const Variant variant : variants(draws))
        if (!run(loader, kLife, {cut}, variant, missing).empty()) return true;
    return false;
  };
  // Soon after the sync at first, then anywhere.
  constexpr int kSoon = 5;
  const int begin = std::max(0, whole.sync_operations()[static_cast<std::size_t>(missing)] - 1);
  const int end = std::min(whole.operations(), begin + kSoon);
  return is_broken_between(begin, end, 10) || is_broken_between(0, whole.operations(), 10);
}

TEST(SlotsCut, every_sync_that_is_taken_away_is_noticed) {
  int taken = 0;
  for (const Loader loader : kLoaders) {
    Device whole(loader, kLife, kLeastAttempts);
    whole.live(Loss::all, 0);
    ASSERT_EQ(whole.broken, "");
    for (int missing = 0; missing < whole.disk.syncs(); ++missing, ++taken) {
      if (whole.spared_syncs.contains(missing)) continue;
      EXPECT_TRUE(is_noticed(loader, missing, whole.disk))
          << "loader " << static_cast<int>(loader) << ": nobody notices that sync " << missing << " of "
          << whole.disk.syncs() << ", of " << whole.disk.sync_places()[static_cast<std::size_t>(missing)]
          << ", is missing";
    }
  }
  std::cout << "slots: " << taken << " syncs were taken away\n";
  EXPECT_GT(taken, 30);
}

}  // namespace
}  // namespace godwit::slots
