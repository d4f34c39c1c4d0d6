// One device for the cut tests: its disk forgets, its boot loader is a model beside the real formats, its operator has
// goals, and what must hold is looked at after each loss of power. For tests; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "device/slots/slots.hpp"
#include "device/slots/testing/fake_disk.hpp"

namespace godwit::slots::testing {

enum class Loader : std::uint8_t { grub, uboot_plain, uboot_redundant, uboot_bootcount, systemd_boot };
inline constexpr auto kLoaders = std::to_array<Loader>(
    {Loader::grub, Loader::uboot_plain, Loader::uboot_redundant, Loader::uboot_bootcount, Loader::systemd_boot});

/// One of the devices that are cut.
struct Build {
  Loader loader = Loader::grub;
  bool has_pairs = false;  // a partition and a file for each side: "firmware" and "kernel"
  friend std::ostream& operator<<(std::ostream& out, const Build& build) {
    return out << "loader " << static_cast<int>(build.loader) << (build.has_pairs ? " with pairs" : "");
  }
};

struct Goal {
  std::size_t image = 0;      // 0 to 4; 2 is one that dies, 4 brings no firmware
  bool is_abandoned = false;  // taken back once it is installed, before the restart
  bool is_unhealthy = false;  // it comes up, and its health check says no
  [[nodiscard]] bool is_wanted() const { return !is_abandoned && !is_unhealthy; }
};

class CutDevice {
 public:
  CutDevice(Build build, std::vector<Goal> goals, int attempts);

  /// Until all goals have ended. `loss` is what each cut does. `before_start` sees the device before each start, and
  /// ends this life where it says false.
  void live(Loss loss, std::uint64_t seed, const std::function<bool(const CutDevice&)>& before_start);
  /// Everything that the rest of a life depends on is the same, as long as no restart loses anything.
  [[nodiscard]] bool is_where(const CutDevice& other) const;

  FakeDisk disk{};
  std::string broken{};  // the first promise that did not hold, as a sentence
  int cuts_taken = 0;
  bool left_unsynced = false;  // when it went off the last time
  /// Around an install that is taken back at once. Of its mark: a lost one is what is wanted then. Of the first of two
  /// copies while it is taken back: the sync of the second, on the same partition, covers both, and no draw so far tore
  /// both. Of the early sync of a new file's name: without it work is done again, which pairs_test.cpp notices.
  std::set<int> spared_syncs{};

 private:
  void expect(bool holds, const std::string& words);
  [[nodiscard]] const Bytes& bytes_on(Side side) const;
  [[nodiscard]] std::optional<std::size_t> image_on(Side side) const;
  /// What the medium has in both places of a side.
  [[nodiscard]] std::array<Bytes, 2> pairs_on(Side side) const;
  /// That a side which was started has the pairs of its image, or those of the side that it came from.
  void check_pairs(Side side, std::size_t image, const BootState& state);
  /// True when a program runs afterwards, false when the started side died and a new start is due.
  [[nodiscard]] bool boot();
  void run();
  [[nodiscard]] Result<Answer> ask(Slots& slots);
  /// The syncs of the boot state since `begin`, the last `but` of them left out, need not be missed.
  void spare_syncs(std::size_t begin, std::size_t but);
  /// In an install that has begun with the sync `begin`.
  void spare_early_names(std::size_t begin);
  /// What the agent would do with the answer; true: restart the device.
  [[nodiscard]] bool conclude(const Answer& answer);
  void end_goal(bool has_succeeded);
  /// What must be true of the medium at any moment without power.
  void check_medium();
  void check_end();

  Build build_;
  std::vector<Goal> goals_;
  int attempts_;
  int start_ = 0;
  std::size_t goal_ = 0;
  Ask ask_ = Ask::install;
  Side running_ = Side::a;
  std::array<Bytes, 2> running_pairs_{};  // as they were when it started
  std::optional<Side> confirmed_{};
  std::optional<Side> marked_{};             // by an install that has ended
  std::optional<std::size_t> taken_back_{};  // the image of the last goal, which somebody did not want any more
};

}  // namespace godwit::slots::testing
