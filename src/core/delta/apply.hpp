// Makes the target from the source and a delta: forward through the delta and the target, reading the source where the
// groups ask for it, in about 8 MiB of memory whatever the sizes. One thread per call; no state is kept.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/delta/format.hpp"

namespace godwit::delta {

/// Fills all of `into` with the bytes at `offset`, or fails.
using ReadAt = std::function<Result<void>(ByteCount offset, std::span<char> into)>;
/// `bytes` belong at `offset` of the target. Offsets only rise; a damaged group is left out.
using WriteAt = std::function<Result<void>(ByteCount offset, std::string_view bytes)>;

/// A reader of a file or block device; `fd` must outlive it. A read beyond the end is size_mismatch.
[[nodiscard]] ReadAt reader_of(int fd, std::string name);

struct TargetRange {
  ByteCount offset = 0;
  ByteCount length = 0;
  friend bool operator==(const TargetRange&, const TargetRange&) = default;
};

struct ApplyOptions {
  /// What the caller knows about the target; a delta that makes something else is refused before the first group.
  std::optional<ByteCount> expected_size{};
  Bytes expected_sha256{};  // empty: not known
  /// Bytes of the target that an earlier run may have written, and how to read them back. Whole groups among them are
  /// hashed and, if right, not made again: a cut costs at most the group it fell into.
  ByteCount begun = 0;
  ReadAt read_back{};
  std::function<bool()> is_cancelled{};
  std::function<void(ByteCount done)> on_progress{};
};

struct Applied {
  Header header{};
  std::uint64_t groups_made = 0;
  std::uint64_t groups_found = 0;  // were there already
  /// What the source could not give, in order, neighbours joined: fetch these ranges of the full file and write them.
  /// Empty: the target is whole, and its SHA-256 is that of the header.
  std::vector<TargetRange> damaged{};
};

/// Reads `delta` (of `delta_size` bytes) front to back. Every group is checked before it is decoded, against damage of
/// the delta, and after, against a source that is not what it was: only the latter is a damaged range. Errors: as
/// parse_header() and parse_record_start(), size_mismatch (the delta or the target is of another size than said),
/// digest_mismatch (the delta is damaged, or makes another target than expected), cancelled, what `write` says.
[[nodiscard]] Result<Applied> apply(const ReadAt& delta, ByteCount delta_size, const ReadAt& source,
                                    const WriteAt& write, const ApplyOptions& options);

/// What a delta consists of, for people.
struct GroupInfo {
  std::uint64_t group = 0;
  ByteCount length = 0;
  Record record{};
};
/// Reads header and records, checks them and their frames, and makes nothing. Errors: as apply().
[[nodiscard]] Result<Header> survey(const ReadAt& delta, ByteCount delta_size,
                                    const std::function<void(const GroupInfo&)>& on_group);

}  // namespace godwit::delta
