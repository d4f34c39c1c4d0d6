// Payloads by SHA-256: written once, fsynced, never half visible. disk/ is the first engine: blobs/ab/abcdef....
// Safe from any thread; an Upload belongs to one caller at a time.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::blobs {

/// A blob on its way in: to a temporary file, hashed while written. Destroying one of start() unfinished removes the
/// file; one of resume() leaves what it wrote for the next.
class Upload {
 public:
  virtual ~Upload() = default;
  /// Errors: too_large as soon as more than the announced size arrives, disk_full, io_failed; conflict when another
  /// resume() took over.
  [[nodiscard]] virtual Result<void> write(std::string_view bytes) = 0;
  /// Checks size and digest, fsyncs, renames, fsyncs the folder. Errors: size_mismatch, digest_mismatch (nothing is
  /// left then), disk_full, io_failed, conflict. Idempotent by content. Gives the blob's first BlobInfo::used.
  [[nodiscard]] virtual Result<WallTime> finish() = 0;
};

/// An upload that was begun and not finished.
struct PartialUpload {
  ByteCount size = 0;
  ByteCount received = 0;
  WallTime touched{};
};

struct BlobInfo {
  Bytes sha256{};
  ByteCount size = 0;
  WallTime used{};  // when it was written, or last asked for by hold(); of a quarantined one: when it was set aside
};

struct Usage {
  std::uint64_t blobs = 0;
  ByteCount bytes = 0;
  std::uint64_t partial_uploads = 0;
  ByteCount reserved = 0;  // announced by uploads that are under way or begun
  std::uint64_t quarantined = 0;
};

class Blobs {
 public:
  virtual ~Blobs() = default;
  /// Errors: disk_full, also when the quota is used up; io_failed.
  [[nodiscard]] virtual Result<std::unique_ptr<Upload>> start(const Bytes& sha256, ByteCount size) = 0;
  [[nodiscard]] virtual Result<std::optional<ByteCount>> size_of(const Bytes& sha256) = 0;  // nullopt: not here
  /// The same; what is here counts as used now, so that no sweep takes it from somebody who is about to refer to it.
  [[nodiscard]] virtual Result<std::optional<ByteCount>> hold(const Bytes& sha256) = 0;
  /// A descriptor for reading, at offset 0. Errors: not_found; unavailable when it is quarantined.
  [[nodiscard]] virtual Result<UniqueFd> open(const Bytes& sha256) = 0;
  [[nodiscard]] virtual Result<void> remove(const Bytes& sha256) = 0;  // not there = success
  /// Removes it unless it was used after `time`; nobody can hold() it in between. Gives whether it is gone.
  [[nodiscard]] virtual Result<bool> remove_unless_used_after(const Bytes& sha256, WallTime time) = 0;

  /// An upload that outlives its connection and this process. It continues at byte `first`, which must be what is here;
  /// 0 begins anew. Whoever wrote before is shut out. Reads what is here once, to hash it. Errors: conflict (another
  /// offset or size; the message says how much is here), disk_full, too_many (uploads begun), io_failed.
  [[nodiscard]] virtual Result<std::unique_ptr<Upload>> resume(const Bytes& sha256, ByteCount size,
                                                               ByteCount first) = 0;
  [[nodiscard]] virtual std::optional<PartialUpload> find_partial(const Bytes& sha256) = 0;
  [[nodiscard]] virtual Result<bool> drop_partial(const Bytes& sha256) = 0;  // false: there was none
  /// Drops those that nobody wrote to since `time`; gives how many.
  [[nodiscard]] virtual Result<std::size_t> expire_partials(WallTime time) = 0;

  /// Blobs in the order of their digests, after `after` ("" = from the start), about `limit`. Blocks; reads folders.
  [[nodiscard]] virtual Result<std::vector<BlobInfo>> list(const Bytes& after, std::size_t limit) = 0;
  /// Sets a damaged blob aside: it is not here any more, and open() says why. Writing it anew heals it.
  [[nodiscard]] virtual Result<void> quarantine(const Bytes& sha256) = 0;
  [[nodiscard]] virtual Result<std::vector<BlobInfo>> quarantined() = 0;
  [[nodiscard]] virtual Usage usage() = 0;
};

}  // namespace godwit::blobs
