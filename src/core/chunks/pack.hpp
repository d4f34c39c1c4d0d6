// Makes the stored file and the index of an image, several chunks at a time. Blocking; the callbacks run on the calling
// thread, in order.
#pragma once

#include <functional>

#include "core/chunks/frame.hpp"

namespace godwit::chunks {

struct PackOptions {
  std::uint32_t chunk_size = 256 * 1024;  // a power of two, kChunkSizeMin to kChunkSizeMax
  int level = kLevelDefault;
  unsigned jobs = 1;  // threads, 1 to 64; each takes some 100 MB at the highest levels, 10 at the default
};
/// The next frame of the stored file.
using Append = std::function<Result<void>(std::string_view frame)>;

/// Gives the index of `image`, whose stored file is what `append` got. Errors: invalid_argument (the image is empty, or
/// an option is out of range), too_large (more than kChunkCountMax chunks), what `append` says.
[[nodiscard]] Result<Bytes> pack(std::string_view image, const Append& append, const PackOptions& options);

}  // namespace godwit::chunks
