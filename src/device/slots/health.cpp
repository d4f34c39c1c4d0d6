#include "device/slots/health.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "core/base/command.hpp"
#include "core/base/text.hpp"

namespace godwit::slots {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);
constexpr ByteCount kPanicLogLimit = 4ULL * 1024 * 1024;
constexpr std::size_t kPanicWordsLimit = 256;

}  // namespace

Result<void> wait_until_healthy(const SlotsConfig& config, const HealthWatch& watch) {
  if (config.health_command.empty()) return {};
  const auto end = std::chrono::steady_clock::now() + config.health_time;
  for (;;) {
    const auto left = std::chrono::duration_cast<Duration>(end - std::chrono::steady_clock::now());
    const auto said = run_command(config.health_command, "", {.time = std::max(left, Duration(1)), .output = 8192});
    if (!said) return tl::unexpected<Error>{said.error()};
    if (said->ok()) return {};
    const std::string_view output = trimmed(said->output);
    const std::string reason =
        fmt::format("{} {}{}{}", config.health_command.front(), said->in_words(), output.empty() ? "" : ": ",
                    output.substr(output.size() > 512 ? output.size() - 512 : 0));
    watch.on_no(reason);
    const auto again = std::chrono::steady_clock::now() + config.health_pause;
    if (again >= end) return fail(Code::timed_out, reason);
    while (std::chrono::steady_clock::now() < again) {
      if (watch.is_cancelled()) return fail(Code::cancelled, "cancelled during the health check");
      std::this_thread::sleep_for(kPoll);
    }
  }
}

std::string panic_words(const SlotsConfig& config) {
  if (config.panic_log.empty()) return "";
  const auto log = read_file(config.panic_log, kPanicLogLimit);
  if (!log) return "";
  constexpr std::string_view kMark = "Kernel panic - not syncing: ";
  const auto at = log->rfind(kMark);
  if (at == Bytes::npos) return "";
  std::string line = log->substr(at, std::min(log->find('\n', at) - at, kPanicWordsLimit));
  std::replace_if(
      line.begin(), line.end(), [](char byte) { return byte < ' ' || byte > '~'; }, '?');
  return fmt::format("; the kernel's last words: {}", line);
}

void forget_panic(const SlotsConfig& config) {
  if (config.panic_log.empty()) return;
  std::error_code ignored;  // an old reason is told of a new trial at worst
  std::filesystem::remove(config.panic_log, ignored);
}

}  // namespace godwit::slots
