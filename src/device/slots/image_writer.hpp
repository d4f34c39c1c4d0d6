// Brings an image onto a partition: streamed, blocks that are equal already are not written, never more than a window
// of unsynced bytes, and read back from the medium. Knows no sides and no boot loader. Blocking; one thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "device/slots/disk.hpp"
#include "device/slots/image_source.hpp"
#include "device/slots/verity.hpp"

namespace godwit::slots {

struct Image {
  ByteCount size = 0;  // unpacked: 1 byte or more
  Bytes sha256;        // 32 bytes, of the unpacked image
  std::optional<Verity> verity{};
  std::map<std::string, Bytes> pairs{};  // files that come with it: by the name of their pair the SHA-256 of each
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
/// arrived is found equal. Written again is one chunk; a medium that forgets what it took costs a window at most.
/// Errors: size_mismatch (the source has more or fewer bytes), digest_mismatch (a block is not what `hashes` say; it
/// was not written), io_failed, disk_full, cancelled.
[[nodiscard]] Result<Written> write_image(DiskFile& target, ImageSource& source, const Image& image,
                                          const BlockHashes* hashes, const WriterOptions& options, const Watch& watch);

/// Reads the image back with the cache dropped, and checks its dm-verity tree where it has one. Errors:
/// digest_mismatch, refused (the tree's superblock), io_failed, cancelled.
[[nodiscard]] Result<void> verify_image(DiskFile& target, const Image& image, const WriterOptions& options,
                                        const Watch& watch);

/// SHA-256 of the first `size` bytes as the medium has them; `also` sees them in order. Errors: size_mismatch (the
/// target is shorter), io_failed, cancelled.
[[nodiscard]] Result<Bytes> digest_of(
    DiskFile& target, ByteCount size, const WriterOptions& options, const Watch& watch,
    const std::function<void(std::string_view)>& also = [](std::string_view) {});

/// Errors: invalid_argument when the list does not fit the image.
[[nodiscard]] Result<void> check_hashes(const BlockHashes& hashes, const Image& image, const WriterOptions& options);

}  // namespace godwit::slots
