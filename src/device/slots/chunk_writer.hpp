// Brings an image onto a partition that comes in pieces: says which chunks of the stored file are missing, takes them,
// and goes on until none is. A chunk that lies on the target already, or at the same place of the running side, is not
// asked for. How far it is stands in a small file, so that a cut costs no chunk that was synced and none that was
// fetched. Knows no network and no boot loader. Blocking; one thread.
#pragma once

#include <optional>
#include <vector>

#include "core/chunks/index.hpp"
#include "device/slots/disk.hpp"
#include "device/slots/image_writer.hpp"

namespace godwit::slots {

/// Bytes of the stored file.
struct StoredRange {
  ByteCount offset = 0;
  ByteCount length = 0;
  friend bool operator==(const StoredRange&, const StoredRange&) = default;
};

/// What came: `ranges` of the stored file, one after the other in `file`.
struct ArrivedPieces {
  Path file;
  std::vector<StoredRange> ranges;
};

struct ChunkOptions {
  ByteCount at_a_time = 8ULL * 1024 * 1024;  // bytes of the stored file asked for at once, a chunk more at most
  std::size_t most_ranges = 1024;
};

class ChunkWriter {
 public:
  /// `progress_file` holds how far it is; one of another index, or a damaged one, counts as none.
  ChunkWriter(Disk& disk, const chunks::Index& index, Path progress_file, ChunkOptions options = {})
      : disk_(disk), index_(index), progress_file_(std::move(progress_file)), options_(options) {}

  /// One round: uses `arrived` if it is what was asked for last, then looks what else is missing. Gives the ranges to
  /// fetch before the next round; empty: the image is on the target, synced. The same ranges are asked for until they
  /// were used. `alike`: the running side, may be null. Errors: digest_mismatch (a piece is not what the index says; it
  /// was not written), io_failed, disk_full, cancelled.
  [[nodiscard]] Result<std::vector<StoredRange>> round(DiskFile& target, DiskFile* alike, const ArrivedPieces* arrived,
                                                       const WriterOptions& writer, const Watch& watch);
  /// What was read back was wrong: the next round believes nothing and looks at every chunk.
  [[nodiscard]] Result<void> forget();

  /// Of the rounds of this object.
  [[nodiscard]] const Written& written() const { return written_; }

 private:
  struct Run {  // chunks in a row
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  struct Progress {
    std::uint32_t looked_at = 0;  // chunks before this one are on the target, or among the missing
    std::vector<Run> missing{};   // asked for
  };
  struct Turn {
    DiskFile& target;
    DiskFile* alike;
    const WriterOptions& writer;
    const Watch& watch;
  };

  [[nodiscard]] Result<Progress> load() const;
  [[nodiscard]] Result<void> store(const Progress& progress);
  [[nodiscard]] Result<void> take(const Turn& turn, const Progress& progress, const ArrivedPieces& arrived);
  [[nodiscard]] Result<void> look_further(const Turn& turn, Progress& progress);
  [[nodiscard]] std::vector<StoredRange> ranges_of(const std::vector<Run>& missing) const;

  Disk& disk_;
  const chunks::Index& index_;
  Path progress_file_;
  ChunkOptions options_;
  Written written_{};
};

}  // namespace godwit::slots
