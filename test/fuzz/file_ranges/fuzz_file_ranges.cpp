// Any answer of a download handler: the pieces that the agent would fetch rise, do not overlap and lie inside the file,
// and are the same when they are handed back.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "device/agent/maker.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  using namespace godwit::agent;
  ByteCount file_size = 0;
  if (size < sizeof file_size) return 0;
  std::memcpy(&file_size, data, sizeof file_size);
  const std::string_view text{reinterpret_cast<const char*>(data) + sizeof file_size, size - sizeof file_size};
  const auto answer = json::parse_object(text, {.bytes = 1 << 16, .depth = 8});
  if (!answer) return 0;
  const auto ranges = ranges_from_answer(*answer, file_size);
  GODWIT_CHECK(ranges.size() <= extension::kFileRangesMax);
  ByteCount end = 0;
  for (const FileRange& range : ranges) {
    GODWIT_CHECK(range.length > 0 && range.offset >= end && range.offset <= file_size);
    GODWIT_CHECK(range.length <= file_size - range.offset);
    end = range.offset + range.length;
  }
  const auto again = ranges_from_answer(json::Object{{"ranges", ranges_to_json(ranges)}}, file_size);
  GODWIT_CHECK(again.size() == ranges.size());
  for (std::size_t i = 0; i < ranges.size(); ++i)
    GODWIT_CHECK(again[i].offset == ranges[i].offset && again[i].length == ranges[i].length);
  return 0;
}
