#include "core/chunks/frame.hpp"

#include <fmt/format.h>
#include <zstd.h>

namespace godwit::chunks {

Packer::Packer(int level) : context_(ZSTD_createCCtx()), level_(level) {
  GODWIT_CHECK(context_ != nullptr && level >= kLevelMin && level <= kLevelMax);
}

Packer::~Packer() { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(context_)); }

Bytes Packer::pack(std::string_view content) {
  GODWIT_CHECK(!content.empty() && content.size() <= kChunkSizeMax);
  Bytes frame(ZSTD_compressBound(content.size()), '\0');
  const std::size_t size = ZSTD_compressCCtx(static_cast<ZSTD_CCtx*>(context_), frame.data(), frame.size(),
                                             content.data(), content.size(), level_);
  GODWIT_CHECK(ZSTD_isError(size) == 0);  // the room is enough for any content
  frame.resize(size);
  return frame;
}

Result<Bytes> unpack(const Chunk& chunk, std::uint32_t length, std::string_view frame) {
  if (frame.size() != chunk.stored || sha256(frame) != chunk.stored_sha256)
    return fail(Code::digest_mismatch, "its bytes are not what the index says; they were not unpacked");
  Bytes content(length, '\0');
  const std::size_t size = ZSTD_decompress(content.data(), content.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0 || size != length || sha256(content) != chunk.sha256)
    return fail(Code::digest_mismatch, "what comes out of it is not what the index says");
  return content;
}

}  // namespace godwit::chunks
