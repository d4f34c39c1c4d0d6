// Places that switch together with the side, such as a kernel that the boot loader reads from a partition or file of
// its own: whether what an update brings for them fits, how it comes onto the side that does not run, what lies there
// then. A pair that the update does not name gets what the running side has, so that the sides never mix versions
// unnoticed. The running side's places are only read. Knows no boot loader. Blocking; one thread.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "device/slots/contents.hpp"
#include "device/slots/disk.hpp"
#include "device/slots/image_source.hpp"
#include "device/slots/image_writer.hpp"
#include "device/slots/side.hpp"

namespace godwit::slots {

struct Pair {
  std::string name;
  std::array<Path, 2> places;  // of A and of B
  /// Files of a mounted file system, as partitions written in place: nothing starts from them meanwhile.
  bool is_file = false;
  [[nodiscard]] const Path& of(Side side) const { return places[index_of(side)]; }
};

/// By the names of pairs: what an update brings for them.
using PairSources = std::map<std::string, OpenSource>;

/// Errors: refused (`name` is no pair of this device).
[[nodiscard]] Result<void> check_name(const std::vector<Pair>& pairs, const std::string& name);

/// One way of all pairs onto the side that does not run: check(), then write(), then read_back().
class PairTransfer {
 public:
  /// `known`: what the running side is recorded to hold; it tells how much of a partition is in use.
  PairTransfer(Disk& disk, const std::vector<Pair>& pairs, Side target, PairContents known, WriterOptions options,
               const Watch& watch)
      : disk_(disk),
        pairs_(pairs),
        target_(target),
        known_(std::move(known)),
        options_(options),
        watch_{.is_cancelled = watch.is_cancelled} {}

  /// Unpacks each source once, for its size and hash; changes nothing. Errors: refused (a name that is no pair of this
  /// device; nothing to copy), too_large, invalid_argument (an empty file, or a damaged stream), io_failed, cancelled.
  [[nodiscard]] Result<void> check(const PairSources& sources);
  /// May be repeated after a cut at any point: what arrived is found equal. Errors: as write_image().
  [[nodiscard]] Result<Written> write();
  /// Compares what the medium has. Errors: as verify_image().
  [[nodiscard]] Result<PairContents> read_back();

 private:
  struct Job {
    const Pair* pair = nullptr;
    OpenSource open;
    Image content{};  // that is to lie in the place
  };
  [[nodiscard]] Result<Job> plan(const Pair& pair, const OpenSource* brought);
  [[nodiscard]] Result<ByteCount> copied_size(const Pair& pair, DiskFile& file);
  [[nodiscard]] Result<void> check_fit(Job& job);
  [[nodiscard]] Result<void> check_rooms();
  [[nodiscard]] Result<Written> write_place(const Job& job);
  [[nodiscard]] Result<void> verify_place(const Job& job);

  Disk& disk_;
  const std::vector<Pair>& pairs_;
  Side target_;
  PairContents known_;
  WriterOptions options_;
  Watch watch_;  // without progress: that is the image's
  std::vector<Job> jobs_{};
};

/// What lies in the places of a side, read from the medium after another program has written them.
[[nodiscard]] Result<PairContents> read_pairs(Disk& disk, const std::vector<Pair>& pairs, Side side,
                                              const WriterOptions& options, const Watch& watch);

}  // namespace godwit::slots
