#include "load_marks.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/base/json.hpp"

namespace godwit::step_container {
namespace {

constexpr ByteCount kMarkLimit = 64 * 1024;  // kLayerLimit names of 64 digits, and some words

}  // namespace

Result<void> LoadMarks::begin(const ImageInfo& image) const {
  json::Array layers;
  for (const std::string& layer : image.layers) layers.emplace_back(layer);
  GODWIT_TRY_VOID(make_folders(folder_, 0755));
  return write_file_durably(folder_ / image.id, json::print(json::Object{{"boot", boot_}, {"layers", layers}}), 0644);
}

Result<void> LoadMarks::end(const std::string& image_id) const { return remove_file_durably(folder_ / image_id); }

LoadMark LoadMarks::read(const std::string& image_id) const {
  constexpr std::string_view kWhere = "the mark of a load";
  LoadMark mark{.image_id = image_id, .was_cut = true};
  const auto text = read_file(folder_ / image_id, kMarkLimit);
  if (!text) return mark;
  const auto object = json::parse_object(*text, {.bytes = kMarkLimit});
  if (!object) return mark;
  mark.was_cut = boot_.empty() || json::text_or_nothing(*object, "boot") != boot_;
  const auto layers = json::array(*object, "layers", kWhere);
  if (!layers) return mark;
  for (const json::Value& layer : **layers)
    if (layer.is_string()) mark.layers.emplace_back(layer.get_string());
  return mark;
}

std::vector<LoadMark> LoadMarks::all() const {
  std::vector<LoadMark> found;
  std::error_code problem;
  for (auto entry = std::filesystem::directory_iterator(folder_, problem);
       !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    if (is_image_id(name)) found.push_back(read(name));
  }
  return found;
}

}  // namespace godwit::step_container
