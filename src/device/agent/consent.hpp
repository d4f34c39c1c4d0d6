// Who is asked before the device is changed or restarted: a pause that somebody on the device has set, and the
// operator's own command (a window, a user's dialogue, a load check). The answer is now, later or no; the reason is
// kept for people. Blocking; belongs to the worker thread, the pause file aside, which any process may replace.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/command.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "device/agent/pauses.hpp"
#include "device/agent/record.hpp"

namespace godwit::agent {

/// Updates wait, until a time or until somebody says so.
struct Pause {
  std::optional<WallTime> until{};
  std::string reason{};  // at most 256 bytes
};
/// nullopt: none, or it is over. A file that cannot be read counts as a pause: somebody wanted one.
[[nodiscard]] std::optional<Pause> read_pause(const Path& file, WallTime now);
[[nodiscard]] Result<void> write_pause(const Path& file, const Pause& pause);
[[nodiscard]] Result<void> remove_pause(const Path& file);

struct ConsentAnswer {
  enum class Kind : std::uint8_t { now, later, no };
  Kind kind = Kind::now;
  Duration wait{};  // of later
  std::string reason{};
};
/// Reads the first line of what a consent command printed: "now", "later SECONDS [reason]" or "no [reason]"; SECONDS is
/// 1..86400. Errors: invalid_argument with the line.
[[nodiscard]] Result<ConsentAnswer> parse_consent(std::string_view output);

enum class ConsentFor : std::uint8_t { install, reboot };

class Consent {
 public:
  virtual ~Consent() = default;
  /// False: nobody has to be asked now.
  [[nodiscard]] virtual bool is_needed() const = 0;
  /// Waits until the answer is now or no, or until `stop`. Every `later` is told to `waiting` with its reason.
  using Waiting = std::function<void(const std::string& reason)>;
  [[nodiscard]] virtual ConsentAnswer wait(ConsentFor what, const Record& record, const std::stop_token& stop,
                                           const Waiting& waiting) = 0;
};

class DeviceConsent final : public Consent {
 public:
  struct Settings {
    Path pause_file;
    std::vector<std::string> command{};  // empty: none
    Duration command_time = std::chrono::minutes(1);
  };
  DeviceConsent(Settings settings, const Clock& clock, Pauses& pauses, Log& log)
      : settings_(std::move(settings)), clock_(clock), pauses_(pauses), log_(log) {}

  [[nodiscard]] bool is_needed() const override;
  [[nodiscard]] ConsentAnswer wait(ConsentFor what, const Record& record, const std::stop_token& stop,
                                   const Waiting& waiting) override;

 private:
  [[nodiscard]] ConsentAnswer ask(ConsentFor what, const Record& record, const std::stop_token& stop) const;

  Settings settings_;
  const Clock& clock_;
  Pauses& pauses_;
  Log& log_;
};

/// What a consent command reads: {"question":"install"|"reboot","workflowId","updateId","step","steps","attempt",
/// "restart":"none"|"agent"|"device"}.
[[nodiscard]] json::Object consent_question(ConsentFor what, const Record& record);

}  // namespace godwit::agent
