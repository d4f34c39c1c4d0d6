// Which way leads to the hub: MQTT on its own port, or MQTT in a WebSocket on the port of HTTPS, where a network lets
// only that out. Pure; one owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace godwit::agent {

enum class Way : std::uint8_t { mqtt, websocket };
[[nodiscard]] constexpr std::string_view name_of(Way way) { return way == Way::mqtt ? "mqtt" : "websocket"; }
[[nodiscard]] constexpr Way other_than(Way way) { return way == Way::mqtt ? Way::websocket : Way::mqtt; }

/// Tries the way that worked last. The other one comes into question where nothing has worked yet, or after the known
/// one failed several times in a row: a hub that restarts is not a blocked port, and its fleet must not change over.
class WayChoice {
 public:
  static constexpr std::uint32_t kFailuresToDoubt = 3;

  /// `fixed`: the only way there is; nullopt: whichever works. `known`: what worked before, if known.
  WayChoice(std::optional<Way> fixed, std::optional<Way> known) : fixed_(fixed), known_(known) {}

  [[nodiscard]] Way first() const { return fixed_ ? *fixed_ : known_.value_or(Way::mqtt); }
  /// What to try at once after first() failed; nullopt: wait and try first() again.
  [[nodiscard]] std::optional<Way> second() const {
    if (fixed_ || (known_ && failures_ < kFailuresToDoubt)) return std::nullopt;
    return other_than(first());
  }
  /// first() did not lead to the hub.
  void failed() { failures_ = failures_ < kFailuresToDoubt ? failures_ + 1 : failures_; }
  /// The hub answered by this way. True when that is news worth keeping.
  [[nodiscard]] bool worked(Way way) {
    failures_ = 0;
    if (fixed_ || known_ == way) return false;
    known_ = way;
    return true;
  }

 private:
  std::optional<Way> fixed_;
  std::optional<Way> known_;
  std::uint32_t failures_ = 0;
};

}  // namespace godwit::agent
