// The acts of one workflow, written down before and after each, so that an act that ended is never run again and one
// that was cut off is known. One file per workflow, JSON lines, appended and synced; it outlives the work folder.
// Blocking; one thread.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "device/installer/messages.hpp"

namespace godwit::installer {

struct ActKey {
  std::uint32_t attempt = 1;
  std::uint32_t step = 0;
  Verb verb = Verb::install;
  friend auto operator<=>(const ActKey&, const ActKey&) = default;
};

/// The session of processes that an act ran in; `boot` tells whether the number can still mean the same.
struct ActSession {
  pid_t session = 0;
  std::string boot{};
};

class Journal {
 public:
  /// Opens or makes the journal of `workflow`. Bytes of a line that was cut off by a power cut are dropped.
  /// Errors: conflict (the file belongs to another manifest), bad_json (damaged: the sentence names file and line),
  /// io_failed, disk_full.
  [[nodiscard]] static Result<Journal> open(const Path& folder, const std::string& workflow,
                                            const std::string& manifest_sha256);
  /// Opens one that is there, whatever manifest it belongs to. Errors: as open(), not_found.
  [[nodiscard]] static Result<Journal> read(const Path& file);

  /// What an act that ended gave.
  [[nodiscard]] std::optional<ActOutcome> finished(const ActKey& act) const;
  /// The same for somebody who asks in `boot`: a restart that the act asked for and that has happened since, by
  /// whatever cause, is asked for no more. A side of an image on trial has its attempts counted: each restart costs
  /// one.
  [[nodiscard]] std::optional<ActOutcome> finished(const ActKey& act, std::string_view boot) const;
  /// Acts that began and were never written down as ended, with their sessions.
  [[nodiscard]] std::map<ActKey, ActSession> unfinished() const;
  /// An act of this attempt ended with a result code that asks for a restart of the device.
  [[nodiscard]] bool wants_restart(std::uint32_t attempt) const;
  /// ActOutcome::own_work of the step; `boot` is the present one.
  [[nodiscard]] std::int32_t own_work(std::uint32_t attempt, std::uint32_t step, std::string_view boot) const;
  [[nodiscard]] bool is_cancelled(std::uint32_t attempt) const { return cancelled_.contains(attempt); }

  // Each is on disk when it returns. Errors: io_failed, disk_full, too_large.
  [[nodiscard]] Result<void> write_started(const ActKey& act, const ActSession& session);
  [[nodiscard]] Result<void> write_finished(const ActKey& act, const ActOutcome& outcome);
  [[nodiscard]] Result<void> write_cancelled(std::uint32_t attempt);
  /// The work folder was lost: what the steps prepared in it is gone, so their downloads count no more.
  [[nodiscard]] Result<void> write_emptied();

 private:
  /// An act of an earlier boot that ended and asked for a restart of device or agent.
  [[nodiscard]] bool has_had_its_restart(const ActKey& act, std::string_view boot) const;
  [[nodiscard]] Result<void> append(const json::Object& line);
  [[nodiscard]] Result<void> take(const json::Object& line);
  [[nodiscard]] Result<void> take_header(const json::Object& line);
  Path file_;
  std::string manifest_sha256_;
  std::map<ActKey, ActSession> started_;
  std::map<ActKey, ActOutcome> finished_;
  std::set<std::uint32_t> cancelled_;
};

/// What an earlier life of the installer left running: kills the processes of acts that began in this boot and did not
/// end. How many.
int end_leftovers(const Path& folder);

/// Keeps the `count` journals that were written last; never that of `workflow`.
void forget_old_journals(const Path& folder, const std::string& workflow, std::size_t count);

}  // namespace godwit::installer
