#include "device/slots/chunk_writer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/json.hpp"
#include "core/chunks/frame.hpp"
#include "device/slots/difference_writer.hpp"

namespace godwit::slots {
namespace {

constexpr ByteCount kProgressLimit = 256 * 1024;

/// Which index a progress belongs to.
std::string name_of(const chunks::Index& index) { return hex_encode(sha256(print_header(index.layout()))); }

}  // namespace

Result<std::vector<StoredRange>> ChunkWriter::round(DiskFile& target, DiskFile* alike, const ArrivedPieces* arrived,
                                                    const WriterOptions& writer, const Watch& watch) {
  const Turn turn{.target = target, .alike = alike, .writer = writer, .watch = watch};
  GODWIT_TRY(Progress progress, load());
  const auto asked = ranges_of(progress.missing);
  if (!asked.empty() && (arrived == nullptr || arrived->ranges != asked)) return asked;
  if (!asked.empty()) {
    GODWIT_TRY_VOID(take(turn, progress, *arrived));
    progress.missing.clear();
  }
  GODWIT_TRY_VOID(look_further(turn, progress));
  GODWIT_TRY_VOID(store(progress));
  return ranges_of(progress.missing);
}

Result<void> ChunkWriter::forget() {
  GODWIT_TRY_VOID(disk_.remove(progress_file_));
  return disk_.sync_folder(progress_file_.parent_path());
}

/// Each piece is checked before it is unpacked, and what comes out before it is written.
Result<void> ChunkWriter::take(const Turn& turn, const Progress& progress, const ArrivedPieces& arrived) {
  const chunks::Layout& layout = index_.layout();
  GODWIT_TRY(const auto pieces, disk_.open(arrived.file, OpenMode::read));
  DifferenceWriter writer(turn.target, turn.writer);
  Bytes frame;
  Bytes present;
  ByteCount at = 0;
  for (const Run& run : progress.missing)
    for (std::uint32_t number = run.first; number < run.first + run.count; ++number) {
      if (turn.watch.is_cancelled()) return cancelled();
      const chunks::Chunk chunk = index_.chunk(number);
      frame.resize(chunk.stored);
      GODWIT_TRY(const std::size_t got, pieces->read_at(at, frame));
      at += got;
      const auto content = chunks::unpack(chunk, layout.length_of(number), std::string_view(frame).substr(0, got));
      if (!content)
        return fail(content.error().code,
                    fmt::format("chunk {} of the image as it came: {}", number, content.error().message));
      present.resize(content->size());
      const ByteCount offset = layout.offset_of(number);
      GODWIT_TRY(const std::size_t there, turn.target.read_at(offset, present));
      GODWIT_TRY_VOID(writer.put(offset, *content, std::string_view(present).substr(0, there)));
      turn.watch.on_progress(offset + content->size(), layout.image_size);
    }
  written_.written += writer.written();
  return writer.sync();
}

/// Until enough is missing, or the end. What the running side can give is copied on the way.
Result<void> ChunkWriter::look_further(const Turn& turn, Progress& progress) {
  const chunks::Layout& layout = index_.layout();
  GODWIT_TRY_VOID(turn.target.drop_cache());  // what is compared is the medium's, not what a failed sync left in memory
  DifferenceWriter writer(turn.target, turn.writer);
  Bytes present;
  Bytes other;
  ByteCount missing = 0;
  for (; progress.looked_at < layout.count(); ++progress.looked_at) {
    if (missing >= options_.at_a_time || progress.missing.size() > options_.most_ranges) break;
    if (turn.watch.is_cancelled()) return cancelled();
    const std::uint32_t number = progress.looked_at;
    const chunks::Chunk chunk = index_.chunk(number);
    const ByteCount offset = layout.offset_of(number);
    const std::uint32_t length = layout.length_of(number);
    present.resize(length);
    GODWIT_TRY(const std::size_t there, turn.target.read_at(offset, present));
    turn.watch.on_progress(offset, layout.image_size);
    if (there == length && sha256(present) == chunk.sha256) {
      written_.skipped += length;
      continue;
    }
    if (turn.alike != nullptr) {
      other.resize(length);
      GODWIT_TRY(const std::size_t got, turn.alike->read_at(offset, other));
      if (got == length && sha256(other) == chunk.sha256) {
        GODWIT_TRY_VOID(writer.put(offset, other, std::string_view(present).substr(0, there)));
        continue;
      }
    }
    missing += chunk.stored;
    if (!progress.missing.empty() && progress.missing.back().first + progress.missing.back().count == number)
      ++progress.missing.back().count;
    else
      progress.missing.push_back({.first = number, .count = 1});
  }
  written_.written += writer.written();
  return writer.sync();
}

std::vector<StoredRange> ChunkWriter::ranges_of(const std::vector<Run>& missing) const {
  std::vector<StoredRange> ranges;
  for (const Run& run : missing) {
    const chunks::Chunk first = index_.chunk(run.first);
    const chunks::Chunk last = index_.chunk(run.first + run.count - 1);
    ranges.push_back({.offset = first.offset, .length = last.offset + last.stored - first.offset});
  }
  return ranges;
}

Result<ChunkWriter::Progress> ChunkWriter::load() const {
  const auto text = read_whole(disk_, progress_file_, kProgressLimit);
  if (!text && text.error().code == Code::not_found) return Progress{};
  if (!text) return tl::unexpected<Error>{text.error()};
  const auto root = json::parse_object(*text, {.bytes = kProgressLimit, .depth = 4});
  if (!root || json::text_or_nothing(*root, "index") != name_of(index_)) return Progress{};
  const std::int64_t count = index_.layout().count();
  const auto looked_at = json::integer_or_nothing(*root, "lookedAt");
  const auto* missing = json::find(*root, "missing");
  if (!looked_at || *looked_at < 0 || *looked_at > count || missing == nullptr || !missing->is_array())
    return Progress{};
  Progress progress{.looked_at = static_cast<std::uint32_t>(*looked_at)};
  std::int64_t end = 0;
  for (const json::Value& value : missing->get_array()) {
    if (!value.is_object()) return Progress{};
    const auto first = json::integer_or_nothing(value.get_object(), "first");
    const auto length = json::integer_or_nothing(value.get_object(), "count");
    if (!first || !length || *first < end || *first >= *looked_at || *length < 1 || *length > *looked_at - *first)
      return Progress{};
    end = *first + *length;
    progress.missing.push_back({static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*length)});
  }
  return progress;
}

Result<void> ChunkWriter::store(const Progress& progress) {
  json::Array missing;
  for (const Run& run : progress.missing)
    missing.emplace_back(json::Object{{"first", run.first}, {"count", run.count}});
  return replace_durably(
      disk_, progress_file_,
      json::print(
          json::Object{{"index", name_of(index_)}, {"lookedAt", progress.looked_at}, {"missing", std::move(missing)}}) +
          "\n");
}

}  // namespace godwit::slots
