// The deciding part of the agent: an event meets the table, the next state goes into the journal, then the effect goes
// to the worker. Nothing here waits for the network, the installer or a download. Belongs to the deciding thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/base/log.hpp"
#include "device/agent/history.hpp"
#include "device/agent/inbox.hpp"
#include "device/agent/journal.hpp"
#include "device/agent/links.hpp"
#include "device/agent/record.hpp"
#include "device/agent/reporter.hpp"
#include "device/agent/worker.hpp"

namespace godwit::agent {

class Executor {
 public:
  struct Ports {
    Journal& journal;
    EffectQueue& effects;
    Reporter& reporter;
    History& history;
    Links& links;  // what the worker reads
    const Clock& clock;
    Log& log;
    std::string boot = {};  // the kernel's id of the present boot; "" if it has none: then no restart is noticed
  };
  explicit Executor(Ports ports) : ports_(std::move(ports)) {}

  /// Takes up the record that the journal holds: the event woke_up.
  void start(Record record);
  void handle(const Input& input);
  /// Somebody on the device wants the update that runs to end. Errors: conflict (none runs, or it is ending already).
  [[nodiscard]] Result<void> cancel();
  /// The update that ended is tried again: what is in place is left alone, a component that came back is taken up.
  /// Errors: conflict (there is none, or one runs).
  [[nodiscard]] Result<void> retry();
  /// Why nothing moves, as the effect that runs has told; "" if it has not.
  [[nodiscard]] const std::string& waiting_for() const { return waiting_for_; }
  /// Does what is due by the clock.
  void tick();
  /// When tick() has something to do, on the monotonic clock.
  [[nodiscard]] std::optional<Duration> deadline() const;
  [[nodiscard]] const Record& record() const { return record_; }
  /// The update goes on once this process has been started anew.
  [[nodiscard]] bool wants_restart() const { return wants_restart_; }

 private:
  void on_desired(const SessionDesired& message);
  void on_effect_ended(const EffectEnded& ended);
  void on_progress(const EffectProgress& progress);
  void note_headway(const twin::Progress& progress);
  void consider_goal();
  void take_new_means(Record changed);
  void work_off();
  [[nodiscard]] bool take(const Incident& incident);
  void carry_out(const Row& row);
  void start_effect(Effect effect);
  void report_end();
  void show_phase();

  Ports ports_;
  Record record_;
  std::deque<Incident> waiting_;
  std::optional<twin::DesiredUpdate> newest_goal_;  // not yet dealt with completely
  bool is_goal_waiting_ = false;                    // the end of the present run was asked for because of it
  std::uint64_t running_epoch_ = 0;                 // 0: no effect runs that somebody waits for
  std::uint64_t next_epoch_ = 1;
  Duration save_again_at_{};
  bool wants_restart_ = false;
  std::string waiting_for_;
};

}  // namespace godwit::agent
