// What goes to the hub and when: durable reports in order, then the acknowledgement of the goal, then a notice about
// something else, then progress (latest wins, at most one a second). One request is under way at a time, so nothing
// overtakes. Belongs to the deciding thread; never blocks on the network.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/base/log.hpp"
#include "core/base/random.hpp"
#include "core/twin/dialect.hpp"
#include "device/agent/outbox.hpp"
#include "device/agent/record.hpp"

namespace godwit::agent {

/// The way to the hub, implemented by the link; a request is answered by Reporter::on_answer(), or dropped with the
/// connection.
class PatchSender {
 public:
  virtual ~PatchSender() = default;
  /// Sends a reported patch; `token` comes back with the answer.
  virtual void send_patch(std::uint64_t token, std::string patch) = 0;
};

class Reporter {
 public:
  Reporter(Outbox& outbox, PatchSender& sender, const Clock& clock, Random& random, Log& log)
      : outbox_(outbox), sender_(sender), clock_(clock), random_(random), log_(log) {}

  /// Queues the report durably. A report that cannot be written (disk full) is logged and tried again by tick().
  void report(const Record& record, bool is_final);
  void progress(const twin::Progress& progress);
  void clear_progress() { progress_.reset(); }
  void acknowledge(std::string patch);
  /// One patch that must arrive; the newest counts. The caller keeps it over a restart; `taken` is called when the hub
  /// has it, or will never take it.
  void notify(std::string patch);
  void set_notice_taken(std::function<void()> taken) { notice_taken_ = std::move(taken); }

  void on_online();
  void on_offline();
  /// `status`: of the hub; 0: no answer came in time.
  void on_answer(std::uint64_t token, int status);
  void tick();
  /// When tick() has something to do, on the monotonic clock; nullopt: only after an event.
  [[nodiscard]] std::optional<Duration> deadline() const;

 private:
  enum class Kind : std::uint8_t { report, acknowledgement, notice, progress };
  struct UnderWay {
    std::uint64_t token;
    Kind kind;
    std::uint64_t number;
    std::string patch;  // of an acknowledgement or a notice
  };

  void put(const Record& record, bool is_final);
  void send_next();
  void send(Kind kind, std::uint64_t number, std::string patch);
  void settle(const UnderWay& request, int status);

  Outbox& outbox_;
  PatchSender& sender_;
  const Clock& clock_;
  Random& random_;
  Log& log_;

  bool is_online_ = false;
  std::optional<UnderWay> under_way_;
  std::uint64_t next_token_ = 1;
  std::optional<twin::Progress> progress_;
  std::optional<std::string> acknowledgement_;
  std::optional<std::string> notice_;  // stays until it was taken
  std::function<void()> notice_taken_{};
  struct Unwritten {
    Record record;
    bool is_final;
  };
  std::optional<Unwritten> unwritten_;
  Duration write_again_at_{};
  Duration next_progress_at_{};
  Duration quiet_until_{};      // the hub asked for patience (429, 5xx)
  std::uint32_t refusals_ = 0;  // in a row
};

}  // namespace godwit::agent
