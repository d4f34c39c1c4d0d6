// An image that can be fetched in pieces: cut into chunks of one size, each a zstd frame of its own, one behind the
// other in the stored file, and an index that says of each chunk where its frame lies, what the frame must be before it
// is unpacked and what must come out. The stored file by itself is an ordinary .zst file. The index is written down in
// docs/reference/formats/chunk-index.md. Values; safe from any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace godwit::chunks {

inline constexpr std::uint16_t kFormatVersion = 1;
inline constexpr std::size_t kHeaderSize = 96;
inline constexpr std::size_t kRecordSize = 76;

// Limits of the format; what an index says beyond them is refused.
inline constexpr std::uint32_t kChunkSizeMin = 4 * 1024;
inline constexpr std::uint32_t kChunkSizeMax = 1024 * 1024;
inline constexpr std::uint32_t kFrameSlack = 16 * 1024;  // what zstd needs beyond a chunk that it cannot shrink
inline constexpr std::uint32_t kChunkCountMax = 4 * 1024 * 1024;
inline constexpr ByteCount kIndexSizeMax = kHeaderSize + ByteCount{kChunkCountMax} * kRecordSize;

struct Chunk {
  ByteCount offset = 0;      // of its frame in the stored file
  std::uint32_t stored = 0;  // bytes of the frame
  Bytes stored_sha256{};     // 32 bytes, of the frame
  Bytes sha256{};            // 32 bytes, of what comes out
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

struct Layout {
  std::uint32_t chunk_size = 0;  // bytes of every chunk but the last: a power of two
  ByteCount image_size = 0;      // 1 or more
  Bytes image_sha256{};          // 32 bytes
  ByteCount stored_size = 0;     // of the stored file: the frames fill it
  [[nodiscard]] std::uint32_t count() const;
  [[nodiscard]] ByteCount offset_of(std::uint32_t chunk) const { return ByteCount{chunk} * chunk_size; }
  /// `chunk` is below count().
  [[nodiscard]] std::uint32_t length_of(std::uint32_t chunk) const;
  friend bool operator==(const Layout&, const Layout&) = default;
};

class Index {
 public:
  /// Keeps the bytes: 76 for each chunk. Errors: unsupported (no index, or another version), invalid_argument (a member
  /// breaks its rule; the message names it), too_large.
  [[nodiscard]] static Result<Index> parse(Bytes bytes);
  [[nodiscard]] const Layout& layout() const { return layout_; }
  /// `chunk` is below layout().count().
  [[nodiscard]] Chunk chunk(std::uint32_t chunk) const;

 private:
  Index(Layout layout, Bytes bytes) : layout_(std::move(layout)), bytes_(std::move(bytes)) {}
  Layout layout_;
  Bytes bytes_;
};

/// Errors: invalid_argument (no power of two from kChunkSizeMin to kChunkSizeMax).
[[nodiscard]] Result<void> check_chunk_size(std::uint32_t size);

/// The bytes of an index: print_header(), then print_chunk() of each in order.
[[nodiscard]] Bytes print_header(const Layout& layout);
[[nodiscard]] Bytes print_chunk(const Chunk& chunk);

}  // namespace godwit::chunks
