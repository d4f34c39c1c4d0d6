// Any bytes as an image archive: what is told of it is an id that podman could have, or a sentence.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/bytes.hpp"
#include "image_archive.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  using namespace godwit::step_container;
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto image = read_image_in_memory(bytes, "amd64");
  if (!image) {
    GODWIT_CHECK(image.error().code == Code::bad_packet && !image.error().message.empty());
    return 0;
  }
  const auto raw = hex_decode(image->id);
  GODWIT_CHECK(raw && raw->size() == 32 && hex_encode(*raw) == image->id);
  return 0;
}
