// Any bytes as an index, and as a frame of its first chunk: read within limits; what comes out is what the index says.
#include <cstddef>
#include <cstdint>

#include "core/chunks/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  const Bytes bytes(reinterpret_cast<const char*>(data), size);
  if (const auto index = chunks::Index::parse(bytes)) {
    const auto& layout = index->layout();
    Bytes again = print_header(layout);
    ByteCount length = 0;
    for (std::uint32_t i = 0; i < layout.count(); ++i) {
      again += print_chunk(index->chunk(i));
      length += layout.length_of(i);
    }
    GODWIT_CHECK(again == bytes && length == layout.image_size);
  }
  // The hash of the frame always fits, so that zstd sees the bytes.
  const chunks::Chunk chunk{.offset = 0,
                            .stored = static_cast<std::uint32_t>(size),
                            .stored_sha256 = sha256(bytes),
                            .sha256 = Bytes(32, '\0')};
  GODWIT_CHECK(!chunks::unpack(chunk, chunks::kChunkSizeMin, bytes));
  return 0;
}
