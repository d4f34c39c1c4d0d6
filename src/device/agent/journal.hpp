// The journal: one file with one record, replaced durably before each effect. A file that cannot be read never stops
// the agent: it is moved aside, the agent starts idle, and the twin offers the goal again. Blocking; belongs to the
// deciding thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "device/agent/record.hpp"

namespace godwit::agent {

inline constexpr int kJournalVersion = 1;
inline constexpr ByteCount kJournalLimit = 4 * 1024 * 1024;

[[nodiscard]] std::string print_record(const Record& record);
/// Errors: bad_json, too_large, invalid_argument (a value that no agent writes), unsupported (another version).
[[nodiscard]] Result<Record> parse_record(std::string_view text);

/// Where a record is kept; a port so that tests can cut the power at it.
class Journal {
 public:
  virtual ~Journal() = default;
  /// After return the record is on disk. Errors: disk_full, io_failed; the old record is then still there.
  [[nodiscard]] virtual Result<void> save(const Record& record) = 0;
};

class FileJournal final : public Journal {
 public:
  explicit FileJournal(Path file) : file_(std::move(file)) {}

  struct Loaded {
    Record record{};
    std::string problem{};  // why an old file was moved aside; "" when all is well
  };
  /// Errors: io_failed only (e.g. no right to read): then nothing may be decided.
  [[nodiscard]] Result<Loaded> load() const;
  [[nodiscard]] Result<void> save(const Record& record) override;
  [[nodiscard]] Path path_aside() const;

 private:
  Path file_;
};

}  // namespace godwit::agent
