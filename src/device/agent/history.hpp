// What was done on this device: one entry for each run of an update that ended, newest last, in a file that a power cut
// leaves as it was or as it should be. Blocking; add() belongs to the deciding thread, read_history() to anybody.
#pragma once

#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "device/agent/record.hpp"

namespace godwit::agent {

inline constexpr std::size_t kHistoryLimit = 100;  // entries; the oldest go first
inline constexpr ByteCount kHistoryBytes = 1024 * 1024;

/// Entries as JSON objects: {"time","state","workflowId","attempt","updateId","resultCode","extendedResultCodes",
/// "resultDetails","steps":[{"path","handler","resultCode","extendedResultCode","resultDetails"}]}.
/// Errors: io_failed; bad_json for a file that somebody changed.
[[nodiscard]] Result<json::Array> read_history(const Path& file);

/// A table for people.
[[nodiscard]] std::string history_text(const json::Array& entries);

class History {
 public:
  virtual ~History() = default;
  /// Writes down the end of this run, unless it is written down already.
  virtual void add(const Record& record) = 0;
};

class FileHistory final : public History {
 public:
  FileHistory(Path file, const Clock& clock, Log& log) : file_(std::move(file)), clock_(clock), log_(log) {}
  /// A file that cannot be written is logged, no more: the report to the service is what counts.
  void add(const Record& record) override;

 private:
  Path file_;
  const Clock& clock_;
  Log& log_;
};

}  // namespace godwit::agent
