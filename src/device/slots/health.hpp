// How the side on trial does: the health command of slots.toml, and what a kernel that panicked left behind. Blocking;
// one thread.
#pragma once

#include <functional>
#include <string>

#include "device/slots/layout.hpp"

namespace godwit::slots {

struct HealthWatch {
  std::function<void(const std::string& why)> on_no = [](const std::string&) {};  // after each no
  std::function<bool()> is_cancelled = [] { return false; };
};

/// Errors: timed_out with the last no, cancelled, or why the command could not be asked. No command: healthy.
[[nodiscard]] Result<void> wait_until_healthy(const SlotsConfig& config, const HealthWatch& watch);

/// "; the kernel's last words: ..." from the end of its log; "" where nobody kept one.
[[nodiscard]] std::string panic_words(const SlotsConfig& config);
/// Before an image is installed: what the log says is of another trial.
void forget_panic(const SlotsConfig& config);

}  // namespace godwit::slots
