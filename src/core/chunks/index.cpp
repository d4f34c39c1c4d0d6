#include "core/chunks/index.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/little_endian.hpp"

namespace godwit::chunks {
namespace {

constexpr std::string_view kMagic = "GWCHUNK\n";
constexpr std::size_t kShaSize = 32;
constexpr std::size_t kPaddingAt = 68;

tl::unexpected<Error> wrong(std::string_view what) {
  return fail(Code::invalid_argument, fmt::format("chunk index: {}", what));
}

Result<Layout> parse_layout(std::string_view head) {
  if (head.size() < kHeaderSize || !head.starts_with(kMagic))
    return fail(Code::unsupported, "chunk index: the file is not an index; godwit image pack makes one");
  if (const auto version = little_endian<std::uint16_t>(head.substr(8)); version != kFormatVersion)
    return fail(Code::unsupported,
                fmt::format("chunk index: it has format version {}, this program reads {}", version, kFormatVersion));
  Layout layout{.chunk_size = little_endian<std::uint32_t>(head.substr(12)),
                .image_size = little_endian<ByteCount>(head.substr(16)),
                .image_sha256 = Bytes(head.substr(32, kShaSize)),
                .stored_size = little_endian<ByteCount>(head.substr(24))};
  if (const auto fits = check_chunk_size(layout.chunk_size); !fits) return wrong(fits.error().message);
  if (layout.image_size == 0 || layout.image_size > ByteCount{kChunkCountMax} * layout.chunk_size)
    return wrong(
        fmt::format("an image of {} bytes is empty, or has more than {} chunks", layout.image_size, kChunkCountMax));
  if (little_endian<std::uint32_t>(head.substr(64)) != layout.count())
    return wrong("the number of chunks does not fit the image's size");
  const std::string_view unused = head.substr(kPaddingAt, kHeaderSize - kPaddingAt);
  if (head.substr(10, 2) != std::string_view("\0\0", 2) ||
      !std::ranges::all_of(unused, [](char c) { return c == '\0'; }))
    return wrong("a byte that must be zero is not");
  return layout;
}

Chunk parse_chunk(std::string_view record) {
  return {.offset = little_endian<ByteCount>(record),
          .stored = little_endian<std::uint32_t>(record.substr(8)),
          .stored_sha256 = Bytes(record.substr(12, kShaSize)),
          .sha256 = Bytes(record.substr(12 + kShaSize, kShaSize))};
}

}  // namespace

Result<void> check_chunk_size(std::uint32_t size) {
  const bool is_power = (size & (size - 1)) == 0;
  if (size >= kChunkSizeMin && size <= kChunkSizeMax && is_power) return {};
  return fail(Code::invalid_argument, fmt::format("chunks of {} bytes: they must be a power of two from {} to {}", size,
                                                  kChunkSizeMin, kChunkSizeMax));
}

std::uint32_t Layout::count() const { return static_cast<std::uint32_t>((image_size + chunk_size - 1) / chunk_size); }

std::uint32_t Layout::length_of(std::uint32_t chunk) const {
  return static_cast<std::uint32_t>(std::min<ByteCount>(chunk_size, image_size - offset_of(chunk)));
}

Result<Index> Index::parse(Bytes bytes) {
  GODWIT_TRY(Layout layout, parse_layout(bytes));
  const ByteCount size = kHeaderSize + ByteCount{layout.count()} * kRecordSize;
  if (bytes.size() != size)
    return wrong(fmt::format("it has {} bytes; {} chunks need {}", bytes.size(), layout.count(), size));
  Index index(std::move(layout), std::move(bytes));
  ByteCount end = 0;
  for (std::uint32_t i = 0; i < index.layout_.count(); ++i) {
    const auto record = std::string_view(index.bytes_).substr(kHeaderSize + std::size_t{i} * kRecordSize, 12);
    const auto stored = little_endian<std::uint32_t>(record.substr(8));
    if (little_endian<ByteCount>(record) != end)
      return wrong(fmt::format("chunk {} does not begin where the one before it ends", i));
    if (stored == 0 || stored > index.layout_.chunk_size + kFrameSlack)
      return wrong(fmt::format("chunk {} has a frame of {} bytes", i, stored));
    end += stored;
  }
  if (end != index.layout_.stored_size)
    return wrong(fmt::format("the chunks fill {} bytes, the stored file has {}", end, index.layout_.stored_size));
  return index;
}

Chunk Index::chunk(std::uint32_t chunk) const {
  GODWIT_CHECK(chunk < layout_.count());
  return parse_chunk(std::string_view(bytes_).substr(kHeaderSize + std::size_t{chunk} * kRecordSize, kRecordSize));
}

Bytes print_header(const Layout& layout) {
  Bytes out(kMagic);
  append_little_endian(out, kFormatVersion);
  append_little_endian(out, std::uint16_t{0});
  append_little_endian(out, layout.chunk_size);
  append_little_endian(out, layout.image_size);
  append_little_endian(out, layout.stored_size);
  out += layout.image_sha256;
  append_little_endian(out, layout.count());
  out.resize(kHeaderSize, '\0');
  return out;
}

Bytes print_chunk(const Chunk& chunk) {
  Bytes out;
  append_little_endian(out, chunk.offset);
  append_little_endian(out, chunk.stored);
  return out + chunk.stored_sha256 + chunk.sha256;
}

}  // namespace godwit::chunks
