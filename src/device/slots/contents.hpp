// What the two sides are known to hold: contents.json on the data partition, so that either side's programs read it.
// "Known" is a promise: an entry is written after the image was read back from the medium, and removed, durably, before
// the first byte of that side, or of its half of a pair, is touched again. Values, and two blocking functions; one
// thread.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "device/slots/disk.hpp"
#include "device/slots/image_writer.hpp"
#include "device/slots/side.hpp"

namespace godwit::slots {

inline constexpr std::size_t kLastWords = 1024;

/// What lies in the place of a pair.
struct PairContent {
  ByteCount size = 0;  // from its beginning
  Bytes sha256;
  friend bool operator==(const PairContent&, const PairContent&) = default;
};
using PairContents = std::map<std::string, PairContent>;  // by the names of the pairs

struct Held {
  Image image;
  int attempts = 0;          // that the side got when it was marked to be tried: 1..9
  std::string last_words{};  // why its trial was given up, as its guard saw it; at most kLastWords bytes
  PairContents pairs{};      // of every pair of the device, also of those that came from the other side
  friend bool operator==(const Held&, const Held&) = default;
};

struct Contents {
  std::array<std::optional<Held>, 2> sides{};  // A, B
  [[nodiscard]] std::optional<Held>& of(Side side) { return sides[index_of(side)]; }
  [[nodiscard]] const std::optional<Held>& of(Side side) const { return sides[index_of(side)]; }
  friend bool operator==(const Contents&, const Contents&) = default;
};

/// Members that it does not know are skipped: a newer agent may have written them. Errors: refused.
[[nodiscard]] Result<Contents> parse_contents(std::string_view text);
[[nodiscard]] std::string print_contents(const Contents& contents);

/// A file that is not there: nothing is known. Errors: refused (it is damaged), io_failed.
[[nodiscard]] Result<Contents> load_contents(Disk& disk, const Path& file);
/// Durable at return; writes nothing when the file says it already.
[[nodiscard]] Result<void> store_contents(Disk& disk, const Path& file, const Contents& contents);

}  // namespace godwit::slots
