// Reports that must arrive: numbered files in a folder, written durably, sent in order, removed when the hub has said
// 204. Blocking; belongs to the deciding thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"

namespace godwit::agent {

struct OutboxEntry {
  std::uint64_t number = 0;  // given by put()
  std::string workflow_id{};
  std::uint32_t attempt = 0;
  bool is_final = false;
  std::string patch{};  // JSON text of a reported patch
};

class Outbox {
 public:
  struct Limits {
    std::size_t entries = 64;
    ByteCount entry_bytes = 64 * 1024;
  };

  /// Opens the folder, makes it if need be. Files that cannot be read are removed and logged. Errors: io_failed.
  [[nodiscard]] static Result<Outbox> open(const Path& folder, Log& log) { return open(folder, log, Limits{}); }
  [[nodiscard]] static Result<Outbox> open(const Path& folder, Log& log, Limits limits);

  /// Adds an entry behind all others. One that says the same (workflow, attempt, is_final) is replaced. Above the limit
  /// the oldest entry that is not final goes, of the same workflow first; a final one goes only when a later attempt of
  /// its workflow has ended. Errors: too_many (nothing may go), too_large, disk_full, io_failed; the folder is then as
  /// before.
  [[nodiscard]] Result<void> put(OutboxEntry entry);
  /// The oldest entry, null when there is none.
  [[nodiscard]] const OutboxEntry* front() const { return entries_.empty() ? nullptr : &entries_.front(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// Removes the entry with this number; one that is gone is success.
  [[nodiscard]] Result<void> remove(std::uint64_t number);

 private:
  Outbox(Path folder, Limits limits) : folder_(std::move(folder)), limits_(limits) {}
  [[nodiscard]] Path path_of(std::uint64_t number) const;
  [[nodiscard]] std::optional<std::uint64_t> superfluous(const OutboxEntry& incoming) const;

  Path folder_;
  Limits limits_;
  std::deque<OutboxEntry> entries_;  // by number
  std::uint64_t next_number_ = 1;
};

/// How many reports wait in the folder of an agent that may be running.
[[nodiscard]] std::size_t count_reports(const Path& folder);

}  // namespace godwit::agent
