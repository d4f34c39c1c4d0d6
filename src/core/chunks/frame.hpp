// One chunk of an image: packed, and unpacked under the index's eyes. Stateless but for zstd's working memory; an
// object belongs to one thread.
#pragma once

#include "core/chunks/index.hpp"

namespace godwit::chunks {

inline constexpr int kLevelDefault = 19;
inline constexpr int kLevelMin = 1;
inline constexpr int kLevelMax = 22;

class Packer {
 public:
  /// `level`: kLevelMin to kLevelMax.
  explicit Packer(int level);
  ~Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;
  /// The frame of `content`, a chunk: 1 to kChunkSizeMax bytes.
  [[nodiscard]] Bytes pack(std::string_view content);

 private:
  void* context_;
  int level_;
};

/// The content of a chunk of `length` bytes from its frame. Nothing is unpacked that is not what the index says.
/// Errors: digest_mismatch (the frame, or what comes out of it, is not what `chunk` says).
[[nodiscard]] Result<Bytes> unpack(const Chunk& chunk, std::uint32_t length, std::string_view frame);

}  // namespace godwit::chunks
