// The delta file: one header, then one record for each group of the target, in the target's order. Written down in
// docs/reference/formats/delta.md. Parsing and printing only; values, safe from any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace godwit::delta {

inline constexpr std::uint16_t kFormatVersion = 1;
inline constexpr std::size_t kHeaderSize = 128;
inline constexpr std::size_t kRecordSize = 60;  // of a group, without its windows and its frame
inline constexpr std::size_t kWindowSize = 12;
inline constexpr std::size_t kCheckSize = 16;  // the first bytes of a SHA-256, against damage on the way

// Limits of the format; whatever a delta says beyond them is refused before memory is taken.
inline constexpr ByteCount kGroupSizeMin = 4 * 1024;
inline constexpr ByteCount kGroupSizeMax = 1024 * 1024;
inline constexpr ByteCount kSourceBytesMax = 4 * 1024 * 1024;  // of all windows of one group
inline constexpr std::size_t kWindowCountMax = 1024;
inline constexpr ByteCount kFrameSizeMax = kGroupSizeMax + 16 * 1024;  // what zstd needs for a group it cannot shrink
inline constexpr ByteCount kImageSizeMax = ByteCount{1} << 40;         // 1 TiB, of source and of target
inline constexpr int kFrameWindowLog = 23;  // of a zstd frame: group and windows are within 8 MiB

struct Header {
  ByteCount source_size = 0;
  Bytes source_sha256{};  // 32 bytes, of the whole source
  ByteCount target_size = 0;
  Bytes target_sha256{};
  std::uint32_t group_size = kGroupSizeMax;  // every group but the last has this many bytes

  [[nodiscard]] std::uint64_t group_count() const { return (target_size + group_size - 1) / group_size; }
  [[nodiscard]] ByteCount group_offset(std::uint64_t group) const { return group * group_size; }
  /// `group` is below group_count().
  [[nodiscard]] ByteCount group_length(std::uint64_t group) const;
  friend bool operator==(const Header&, const Header&) = default;
};

/// A range of the source.
struct Window {
  ByteCount offset = 0;
  std::uint32_t length = 0;
  friend bool operator==(const Window&, const Window&) = default;
};

/// How a group comes to be. Numbers are stored.
enum class Kind : std::uint8_t {
  zeros = 0,  // nothing but zero bytes
  copy = 1,   // the windows, one after the other
  frame = 2,  // a zstd frame whose prefix is the windows, one after the other
};
[[nodiscard]] std::string_view kind_name(Kind kind);  // "zeros", "copy", "frame"

struct Record {
  Kind kind = Kind::zeros;
  std::vector<Window> windows{};
  std::uint32_t frame_size = 0;
  Bytes output_sha256{};  // 32 bytes, of the group
  Bytes check{};          // kCheckSize bytes, see check_of()
  [[nodiscard]] ByteCount source_bytes() const;
  friend bool operator==(const Record&, const Record&) = default;
};

[[nodiscard]] Bytes print_header(const Header& header);
/// `bytes`: kHeaderSize of them. Errors: unsupported (no delta, or another version of the format), digest_mismatch
/// (damaged), too_large, invalid_argument (a member breaks its rule).
[[nodiscard]] Result<Header> parse_header(std::string_view bytes);

/// The first part of a record tells how long the second, its windows, is.
struct RecordStart {
  Record record{};  // without windows
  std::size_t window_count = 0;
};
/// `bytes`: kRecordSize of them; `group` is below header.group_count(). Errors: invalid_argument, too_large.
[[nodiscard]] Result<RecordStart> parse_record_start(std::string_view bytes, const Header& header, std::uint64_t group);
/// `bytes`: window_count * kWindowSize of them. Errors: invalid_argument, too_large.
[[nodiscard]] Result<Record> parse_windows(RecordStart start, std::string_view bytes, const Header& header,
                                           std::uint64_t group);
/// The record with `frame` behind it; fills in the check.
[[nodiscard]] Bytes print_record(const Record& record, std::string_view frame);
/// What `record.check` must be.
[[nodiscard]] Bytes check_of(const Record& record, std::string_view frame);

}  // namespace godwit::delta
