// Brings an image onto a partition: streamed, blocks that are equal already are not written, never more than a window
// of unsynced bytes, and read back from the medium. Knows no sides and no boot loader. Blocking; one thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "device/slots/disk.hpp"
#include "device/slots/image_source.hpp"

namespace godwit::slots {

struct Image {
  ByteCount size = 0;  // unpacked: 1 byte or more
  Bytes sha256;        // 32 bytes, of the unpacked image
  friend bool operator==(const Image&, const Image&) = default;
};

/// The SHA-256 of each block of the image, so that a wrong block is found before it is written.
struct BlockHashes {
  std::size_t block_size = 0;  // bytes: a multiple of 4096 up to WriterOptions::chunk
  Bytes digests;               // 32 bytes for each block, in order; the last block may be shorter
};

struct WriterOptions {
  std::size_t chunk = 1024 * 1024;        // bytes read and compared at a time: a multiple of `grain`
  std::size_t grain = 4096;               // what is compared and written is aligned to this
  ByteCount window = 8ULL * 1024 * 1024;  // most bytes written and not yet synced
};

struct Watch {
  std::function<void(ByteCount done, ByteCount total)> on_progress = [](ByteCount, ByteCount) {};
  std::function<bool()> is_cancelled = [] { return false; };
};

struct Written {
  ByteCount written = 0;  // bytes that differed
  ByteCount skipped = 0;  // bytes that were there already
};

/// Writes the image from `source` to the start of `target` and syncs it. May be repeated after a cut at any point: what
/// arrived is found equal, at most one window is written again. Errors: size_mismatch (the source has more or fewer
/// bytes), digest_mismatch (a block is not what `hashes` say; it was not written), io_failed, disk_full, cancelled.
[[nodiscard]] Result<Written> write_image(DiskFile& target, ImageSource& source, const Image& image,
                                          const BlockHashes* hashes, const WriterOptions& options, const Watch& watch);

/// Reads the image back with the cache dropped. Errors: digest_mismatch, io_failed, cancelled.
[[nodiscard]] Result<void> verify_image(DiskFile& target, const Image& image, const WriterOptions& options,
                                        const Watch& watch);

/// Errors: invalid_argument when the list does not fit the image.
[[nodiscard]] Result<void> check_hashes(const BlockHashes& hashes, const Image& image, const WriterOptions& options);

}  // namespace godwit::slots
