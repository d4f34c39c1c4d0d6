#include "device/extension/ranges.hpp"

namespace godwit::extension {

ByteCount sum_of(const std::vector<FileRange>& ranges) {
  ByteCount sum = 0;
  for (const FileRange& range : ranges) sum += range.length;
  return sum;
}

json::Array ranges_to_json(const std::vector<FileRange>& ranges) {
  json::Array list;
  for (const FileRange& range : ranges)
    list.emplace_back(json::Object{{"offset", range.offset}, {"length", range.length}});
  return list;
}

std::vector<FileRange> ranges_from_answer(const json::Object& answer, ByteCount size) {
  const auto* list = json::find(answer, "ranges");
  if (list == nullptr || !list->is_array() || list->get_array().size() > kFileRangesMax) return {};
  std::vector<FileRange> ranges;
  ByteCount end = 0;
  for (const json::Value& value : list->get_array()) {
    if (!value.is_object()) return {};
    const auto offset = json::integer_or_nothing(value.get_object(), "offset");
    const auto length = json::integer_or_nothing(value.get_object(), "length");
    if (!offset || !length || *offset < 0 || *length <= 0) return {};
    const FileRange range{.offset = static_cast<ByteCount>(*offset), .length = static_cast<ByteCount>(*length)};
    if (range.offset < end || range.offset > size || range.length > size - range.offset) return {};
    end = range.offset + range.length;
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace godwit::extension
