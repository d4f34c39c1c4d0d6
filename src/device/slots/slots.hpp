// The room's door: an image's way onto the other side, one question at a time, by the table in life.hpp. Each call
// looks at the disk first, so that it may be asked again after a cut at any point. Blocking; one thread, and one
// process at a time (the installer runs one act at a time).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "device/slots/boot_switch.hpp"
#include "device/slots/disk.hpp"
#include "device/slots/image_source.hpp"
#include "device/slots/image_writer.hpp"
#include "device/slots/life.hpp"
#include "device/slots/pairs.hpp"

namespace godwit::slots {

struct Places {
  std::array<Path, 2> sides;  // partition (or file) of A and of B
  Side running = Side::a;     // what was really booted
  Path contents;              // contents.json on the data partition
  int attempts = 3;           // boots that a new side gets: kLeastAttempts..kMostAttempts
  WriterOptions writer{};
  std::vector<Pair> pairs{};  // that switch together with the side
  [[nodiscard]] const Path& of(Side side) const { return sides[index_of(side)]; }
};

struct Answer {
  enum class Kind : std::uint8_t {
    done,
    restart,     // the device has to be restarted before the next question
    not_there,   // apply came, but no side holds the image
    not_tried,   // the restart came, and the boot loader has not tried the side
    fell_back,   // it was tried and given up
    blocked,     // the running side is itself on trial with another image
    unhealthy,   // the health check said no
    unfinished,  // install: more of the image has to come before it is asked again
  };
  Kind kind = Kind::done;
  std::string details{};  // a sentence
  Written written{};      // of install
};

class Slots {
 public:
  /// Brings bytes of the image onto `target`; false: more of it has to come. `running`: the side that runs.
  struct Filled {
    bool is_whole = true;
    Written written{};
  };
  using Fill = std::function<Result<Filled>(DiskFile& target, const Path& running)>;
  using OpenSource = slots::OpenSource;
  /// Nothing when healthy, else why not. Asked on a side that is on trial, once for each call of apply().
  using HealthCheck = std::function<Result<void>()>;

  Slots(Disk& disk, BootSwitch& boot, Places places) : disk_(disk), boot_(boot), places_(std::move(places)) {}

  /// Errors: as BootSwitch::read() and load_contents().
  [[nodiscard]] Result<Facts> look();
  [[nodiscard]] Result<Stage> stage(const Image& image);
  /// Is there room for it on the other side, and a place for each of its pairs? Changes nothing, and needs nothing of
  /// the image. Errors: too_large, refused, io_failed.
  [[nodiscard]] Result<void> check_places(const Image& image);

  /// Brings `image` onto the other side, `pairs` and copies of the running side's other pairs into its places, and
  /// marks it to be tried; nothing of the running side is ever written. `pairs` has what `image` names. Answers done,
  /// restart or blocked. Errors: too_large (it does not fit) and those of PairTransfer::check(), before anything has
  /// changed; those of write_image() and verify_image(); the other side is then not bootable.
  [[nodiscard]] Result<Answer> install(const Image& image, const OpenSource& open, const BlockHashes* hashes,
                                       const Watch& watch, const PairSources& pairs = {});
  /// As above, with `fill` as the way of the bytes; answers unfinished where it says so. The other side is then not
  /// bootable, and stays so until a later call finds it whole.
  [[nodiscard]] Result<Answer> install(const Image& image, const Fill& fill, const Watch& watch,
                                       const PairSources& pairs = {});
  /// After the restart: asks the health check and makes the running side the good one. Answers done, restart,
  /// not_there, not_tried, fell_back, blocked or unhealthy.
  [[nodiscard]] Result<Answer> apply(const Image& image, const HealthCheck& is_healthy);
  /// Takes back what was not confirmed. Answers done, or restart when the running side is the one on trial.
  [[nodiscard]] Result<Answer> restore(const Image& image);

  // For an image that another program writes (by_others.cpp): free_other(), then that program, then take_over(); after
  // the restart settle(), or take_back(). The same table.

  /// Takes the other side out of the boot loader's choice, and what is claimed of it, and copies the running side's
  /// pairs into its places: it, and they, may then be written. Answers done or blocked. Errors: as PairTransfer's.
  [[nodiscard]] Result<Answer> free_other();
  /// Reads the other side and its pairs from the medium, records what they hold and marks it to be tried. `size` 0: the
  /// whole partition. `sha256`: what the first `size` bytes must have; empty: whatever they have. Answers restart,
  /// blocked, or not_there (it was not freed before). Errors: digest_mismatch, too_large, io_failed; it is then not
  /// bootable.
  [[nodiscard]] Result<Answer> take_over(ByteCount size, const Bytes& sha256, const Watch& watch);
  /// What became of the side that was tried last: confirms it where it runs and is healthy. Answers as apply(), and
  /// done where nothing is on trial.
  [[nodiscard]] Result<Answer> settle(const HealthCheck& is_healthy);
  /// Ends what was not confirmed. Answers as restore().
  [[nodiscard]] Result<Answer> take_back();

 private:
  [[nodiscard]] Result<void> close(const Facts& facts);
  [[nodiscard]] Result<void> read_back(const Facts& facts, const Image& image, PairTransfer& pairs, const Watch& watch);
  /// Fills `pairs` where it is empty, and checks that all of them fit.
  [[nodiscard]] Result<void> plan_pairs(std::optional<PairTransfer>& pairs, const Facts& facts,
                                        const PairSources& sources, const Watch& watch);
  [[nodiscard]] Result<Image> read_other(Side side, ByteCount size, const Watch& watch);
  [[nodiscard]] Result<void> record(const Facts& facts, const Image& image, PairContents pairs);
  [[nodiscard]] Result<void> mark_try(const Facts& facts);
  [[nodiscard]] Result<void> confirm(const Facts& facts);
  [[nodiscard]] Result<void> give_back(const Facts& facts);
  [[nodiscard]] Result<std::unique_ptr<DiskFile>> open_side(Side side, const Image& image);
  [[nodiscard]] Answer answer(Act act, const Facts& facts) const;

  Disk& disk_;
  BootSwitch& boot_;
  Places places_;
};

}  // namespace godwit::slots
