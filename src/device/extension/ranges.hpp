// Pieces of a file, as hosts and extensions ask for them: godwit_range of common.h as values. Pure; safe from any
// thread.
#pragma once

#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"

namespace godwit::extension {

struct FileRange {
  ByteCount offset = 0;
  ByteCount length = 0;
  friend bool operator==(const FileRange&, const FileRange&) = default;
};
inline constexpr std::size_t kFileRangesMax = 4096;           // GODWIT_RANGES_MAX
inline constexpr ByteCount kPiecesMax = 64ULL * 1024 * 1024;  // GODWIT_PIECES_MAX

[[nodiscard]] ByteCount sum_of(const std::vector<FileRange>& ranges);
[[nodiscard]] json::Array ranges_to_json(const std::vector<FileRange>& ranges);
/// {"ranges":[{"offset","length"}]} of an answer. Empty unless they rise, do not overlap, lie inside `size` bytes and
/// are at most kFileRangesMax: an answer that breaks a rule asks for nothing.
[[nodiscard]] std::vector<FileRange> ranges_from_answer(const json::Object& answer, ByteCount size);

}  // namespace godwit::extension
