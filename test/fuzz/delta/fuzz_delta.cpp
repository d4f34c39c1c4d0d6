// Any bytes as a delta, over a source of fixed content: read within limits, and what is written is what its hash says.
// With the checks of a real delta the fuzzer would stop at the first hash, so the harness mends them on the way.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/delta/apply.hpp"

namespace {

using namespace godwit;
using namespace godwit::delta;

/// The same bytes with a header and records whose checks fit, as far as they can be read.
Bytes mended(Bytes bytes) {
  if (bytes.size() < kHeaderSize) return bytes;
  Bytes head = sha256(std::string_view(bytes).substr(0, 96)).substr(0, kCheckSize);
  bytes.replace(96, kCheckSize, head);
  bytes.replace(112, 16, Bytes(16, '\0'));
  const auto header = parse_header(std::string_view(bytes).substr(0, kHeaderSize));
  if (!header) return bytes;
  std::size_t at = kHeaderSize;
  for (std::uint64_t group = 0; group < header->group_count() && at + kRecordSize <= bytes.size(); ++group) {
    auto start = parse_record_start(std::string_view(bytes).substr(at, kRecordSize), *header, group);
    if (!start) return bytes;
    const std::size_t windows = start->window_count * kWindowSize;
    if (at + kRecordSize + windows > bytes.size()) return bytes;
    const auto record =
        parse_windows(*std::move(start), std::string_view(bytes).substr(at + kRecordSize, windows), *header, group);
    if (!record || at + kRecordSize + windows + record->frame_size > bytes.size()) return bytes;
    const Bytes frame = bytes.substr(at + kRecordSize + windows, record->frame_size);
    bytes.replace(at + kRecordSize - kCheckSize, kCheckSize, check_of(*record, frame));
    at += kRecordSize + windows + record->frame_size;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = mended(Bytes(reinterpret_cast<const char*>(data), size));
  const auto read = [&bytes](ByteCount offset, std::span<char> into) -> Result<void> {
    GODWIT_CHECK(offset <= bytes.size() && into.size() <= bytes.size() - offset);
    std::memcpy(into.data(), bytes.data() + offset, into.size());
    return {};
  };
  ByteCount source_size = 0;
  if (bytes.size() >= kHeaderSize)
    if (const auto header = parse_header(std::string_view(bytes).substr(0, kHeaderSize)))
      source_size = header->source_size;
  ByteCount written = 0;
  const auto applied = apply(
      read, bytes.size(),
      [&](ByteCount offset, std::span<char> into) -> Result<void> {
        GODWIT_CHECK(offset <= source_size && into.size() <= source_size - offset);
        for (std::size_t i = 0; i < into.size(); ++i) into[i] = static_cast<char>((offset + i) * 31 >> 3U);
        return {};
      },
      [&](ByteCount offset, std::string_view piece) -> Result<void> {
        GODWIT_CHECK(offset >= written && piece.size() <= kGroupSizeMax);
        written = offset + piece.size();
        return {};
      },
      {});
  if (applied) GODWIT_CHECK(written <= applied->header.target_size);
  return 0;
}
