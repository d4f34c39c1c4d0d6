// What the boot loader keeps about the two sides, and the small durable write that changes it. The loader's half is a
// script of a few lines: it boots `trial` while attempts are left and counts
// each one down before it boots; then it gives up and goes back to `good`.
// Implementations write through a Disk; blocking, one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "device/slots/side.hpp"
#include "device/slots/verity.hpp"

namespace godwit::slots {

/// A power cut on a side on trial costs the attempt of that start, and no loader can tell it from a side that died:
/// with one attempt a good image would be given up for it.
inline constexpr int kLeastAttempts = 2;
inline constexpr int kMostAttempts = 9;

struct BootState {
  Side good = Side::a;                            // boots whenever no trial is due
  std::optional<Side> trial;                      // boots while attempts are left
  int attempts_left = 0;                          // of the trial: 0..9
  std::optional<Side> failed;                     // a trial that the loader, or the health check, gave up
  std::array<std::optional<Verity>, 2> verity{};  // of A and B: what the loader hands to the kernel with that side
  [[nodiscard]] std::optional<Verity>& verity_of(Side side) { return verity[index_of(side)]; }
  [[nodiscard]] const std::optional<Verity>& verity_of(Side side) const { return verity[index_of(side)]; }
  friend bool operator==(const BootState&, const BootState&) = default;
};

/// One line for logs and details: "good=A try=B left=2".
[[nodiscard]] std::string in_words(const BootState& state);

class BootSwitch {
 public:
  BootSwitch() = default;
  BootSwitch(const BootSwitch&) = delete;
  BootSwitch& operator=(const BootSwitch&) = delete;
  virtual ~BootSwitch() = default;

  /// What the loader would read now. Errors: io_failed, not_found, refused (no copy is whole, or a word in it is none).
  [[nodiscard]] virtual Result<BootState> read() = 0;
  /// After return the loader reads `state`, whatever happens to the power; on failure or a cut the state before or
  /// `state`. Words of others in the same store stay as they are. Writes nothing where all copies say it already.
  [[nodiscard]] virtual Result<void> write(const BootState& state) = 0;
};

}  // namespace godwit::slots
