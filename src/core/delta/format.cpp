#include "core/delta/format.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/little_endian.hpp"

namespace godwit::delta {
namespace {

constexpr std::string_view kMagic = "GWDELTA\n";
constexpr std::size_t kShaSize = 32;

/// Takes little-endian numbers and pieces from the front; whoever calls it has counted the bytes.
class Taker {
 public:
  explicit Taker(std::string_view bytes) : left_(bytes) {}
  template <class Number>
  Number number() {
    const auto value = little_endian<Number>(left_);
    left_.remove_prefix(sizeof value);
    return value;
  }
  Bytes piece(std::size_t size) {
    Bytes bytes(left_.substr(0, size));
    left_.remove_prefix(size);
    return bytes;
  }

 private:
  std::string_view left_;
};

Bytes print_start(const Record& record) {
  Bytes out;
  out += static_cast<char>(record.kind);
  out += '\0';
  append_little_endian(out, static_cast<std::uint16_t>(record.windows.size()));
  append_little_endian(out, std::uint32_t{0});
  append_little_endian(out, record.frame_size);
  out += record.output_sha256;
  return out;
}

Bytes print_windows(const Record& record) {
  Bytes out;
  for (const Window& window : record.windows) {
    append_little_endian(out, window.offset);
    append_little_endian(out, window.length);
  }
  return out;
}

tl::unexpected<Error> bad_group(Code code, std::uint64_t group, std::string_view what) {
  return fail(code, fmt::format("group {} of the delta {}", group, what));
}

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::zeros: return "zeros";
    case Kind::copy: return "copy";
    case Kind::frame: return "frame";
  }
  return "?";
}

ByteCount Header::group_length(std::uint64_t group) const {
  return std::min<ByteCount>(group_size, target_size - group_offset(group));
}

ByteCount Record::source_bytes() const {
  ByteCount sum = 0;
  for (const Window& window : windows) sum += window.length;
  return sum;
}

Bytes print_header(const Header& header) {
  Bytes out(kMagic);
  append_little_endian(out, kFormatVersion);
  append_little_endian(out, std::uint16_t{0});
  append_little_endian(out, header.group_size);
  append_little_endian(out, header.source_size);
  append_little_endian(out, header.target_size);
  out += header.source_sha256;
  out += header.target_sha256;
  out += sha256(out).substr(0, kCheckSize);
  out.resize(kHeaderSize, '\0');
  return out;
}

Result<Header> parse_header(std::string_view bytes) {
  if (bytes.size() != kHeaderSize || !bytes.starts_with(kMagic))
    return fail(Code::unsupported, "this is no Godwit delta: it does not begin as one");
  Taker taker(bytes.substr(kMagic.size()));
  const auto version = taker.number<std::uint16_t>();
  if (version != kFormatVersion)
    return fail(Code::unsupported,
                fmt::format("the delta has format version {}, this program knows version {}", version, kFormatVersion));
  const auto flags = taker.number<std::uint16_t>();
  Header header;
  header.group_size = taker.number<std::uint32_t>();
  header.source_size = taker.number<std::uint64_t>();
  header.target_size = taker.number<std::uint64_t>();
  header.source_sha256 = taker.piece(kShaSize);
  header.target_sha256 = taker.piece(kShaSize);
  if (print_header(header) != bytes) {
    if (flags != 0) return fail(Code::unsupported, "the delta has flags that this program does not know");
    return fail(Code::digest_mismatch, "the header of the delta is damaged: its check does not fit");
  }
  if (header.group_size < kGroupSizeMin || header.group_size > kGroupSizeMax)
    return fail(Code::invalid_argument, fmt::format("the delta's group size is {}; it must be {} to {}",
                                                    header.group_size, kGroupSizeMin, kGroupSizeMax));
  if (header.source_size > kImageSizeMax || header.target_size > kImageSizeMax)
    return fail(Code::too_large, fmt::format("the delta is for {} bytes from {}; at most {} are allowed",
                                             header.target_size, header.source_size, kImageSizeMax));
  return header;
}

Result<RecordStart> parse_record_start(std::string_view bytes, const Header& header, std::uint64_t group) {
  if (bytes.size() != kRecordSize) return bad_group(Code::invalid_argument, group, "is cut off");
  Taker taker(bytes);
  const auto kind = taker.number<std::uint8_t>();
  const auto unused = taker.number<std::uint8_t>();
  RecordStart start;
  start.window_count = taker.number<std::uint16_t>();
  const auto unused_too = taker.number<std::uint32_t>();
  start.record.frame_size = taker.number<std::uint32_t>();
  start.record.output_sha256 = taker.piece(kShaSize);
  start.record.check = taker.piece(kCheckSize);
  if (kind > static_cast<std::uint8_t>(Kind::frame))
    return bad_group(Code::invalid_argument, group, fmt::format("is of the unknown kind {}", kind));
  if (unused != 0 || unused_too != 0)
    return bad_group(Code::invalid_argument, group, "has bytes set that must be zero");
  start.record.kind = static_cast<Kind>(kind);
  if (start.window_count > kWindowCountMax)
    return bad_group(Code::too_large, group,
                     fmt::format("has {} windows; at most {} are allowed", start.window_count, kWindowCountMax));
  if (start.record.frame_size > kFrameSizeMax ||
      start.record.frame_size > header.group_length(group) + (kFrameSizeMax - kGroupSizeMax))
    return bad_group(Code::too_large, group,
                     fmt::format("has a frame of {} bytes for {} bytes of the target", start.record.frame_size,
                                 header.group_length(group)));
  if ((start.record.kind == Kind::frame) != (start.record.frame_size > 0))
    return bad_group(Code::invalid_argument, group,
                     start.record.frame_size > 0 ? "has a frame that its kind does not use" : "has no frame");
  if ((start.record.kind == Kind::zeros && start.window_count > 0) ||
      (start.record.kind == Kind::copy && start.window_count == 0))
    return bad_group(Code::invalid_argument, group,
                     fmt::format("is of kind {} with {} windows", kind_name(start.record.kind), start.window_count));
  return start;
}

Result<Record> parse_windows(RecordStart start, std::string_view bytes, const Header& header, std::uint64_t group) {
  if (bytes.size() != start.window_count * kWindowSize) return bad_group(Code::invalid_argument, group, "is cut off");
  Taker taker(bytes);
  Record record = std::move(start.record);
  record.windows.reserve(start.window_count);
  for (std::size_t i = 0; i < start.window_count; ++i) {
    const auto offset = taker.number<std::uint64_t>();
    const auto length = taker.number<std::uint32_t>();
    if (length == 0) return bad_group(Code::invalid_argument, group, "has an empty window");
    if (offset > header.source_size || length > header.source_size - offset)
      return bad_group(Code::invalid_argument, group,
                       fmt::format("reads {} bytes at {} of a source of {} bytes", length, offset, header.source_size));
    record.windows.push_back({.offset = offset, .length = length});
  }
  const ByteCount read = record.source_bytes();
  if (read > kSourceBytesMax)
    return bad_group(Code::too_large, group,
                     fmt::format("reads {} bytes of the source; at most {} are allowed", read, kSourceBytesMax));
  if (record.kind == Kind::copy && read != header.group_length(group))
    return bad_group(Code::size_mismatch, group,
                     fmt::format("copies {} bytes where {} belong", read, header.group_length(group)));
  return record;
}

Bytes check_of(const Record& record, std::string_view frame) {
  Sha256 hash;
  hash.update(print_start(record));
  hash.update(print_windows(record));
  hash.update(frame);
  return hash.finish().substr(0, kCheckSize);
}

Bytes print_record(const Record& record, std::string_view frame) {
  Bytes out = print_start(record);
  out += check_of(record, frame);
  out += print_windows(record);
  out += frame;
  return out;
}

}  // namespace godwit::delta
