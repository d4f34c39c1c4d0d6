#include "server/service/import/request.hpp"

#include <fmt/format.h>

#include "core/base/file.hpp"
#include "core/manifest/import_manifest.hpp"
#include "core/model/text.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kUrlLimit = 4096;
constexpr std::size_t kFriendlyNameLimit = 512;
constexpr std::size_t kFilesLimit = 50;  // ten files with four related ones each

tl::unexpected<Error> bad(std::string message) { return fail(Code::invalid_argument, std::move(message)); }

Result<std::string> read_url(const json::Object& object, const std::string& where) {
  auto url = json::text(object, "url", where);
  if (!url) return bad(url.error().message);
  if (url->size() > kUrlLimit) return bad(fmt::format("{}.url has more than {} bytes", where, kUrlLimit));
  if (!url->starts_with("https://") && !url->starts_with("http://"))
    return bad(where + ".url must begin with https:// or http://");
  return url;
}

Result<std::map<std::string, std::string>> read_files(const json::Object& item, const std::string& where) {
  std::map<std::string, std::string> files;
  const json::Value* value = json::find(item, "files");
  if (value == nullptr || value->is_null()) return files;
  const auto* array = value->if_array();
  if (array == nullptr || array->size() > kFilesLimit)
    return bad(fmt::format("{}.files must be an array of at most {} entries", where, kFilesLimit));
  for (std::size_t i = 0; i < array->size(); ++i) {
    const std::string place = fmt::format("{}.files[{}]", where, i);
    const auto* file = (*array)[i].if_object();
    if (file == nullptr) return bad(place + " is not an object");
    auto name = json::text(*file, "filename", place);
    if (!name) return bad(name.error().message);
    if (!is_plain_file_name(*name)) return bad(place + ".filename is not a plain file name");
    GODWIT_TRY(auto url, read_url(*file, place));
    if (!files.emplace(*std::move(name), std::move(url)).second) return bad(place + ".filename is there twice");
  }
  return files;
}

Result<UrlItem> read_url_item(const json::Object& item, const json::Object& manifest, const std::string& where) {
  const std::string place = where + ".importManifest";
  UrlItem read;
  GODWIT_TRY(read.url, read_url(manifest, place));
  const auto size = json::integer_or_nothing(manifest, "sizeInBytes");
  if (!size || *size < 1) return bad(place + ".sizeInBytes must be a number of at least 1");
  if (static_cast<ByteCount>(*size) > manifest::kImportManifestLimit)
    return bad(fmt::format("{}.sizeInBytes is {}, allowed are {}", place, *size, manifest::kImportManifestLimit));
  read.size = static_cast<ByteCount>(*size);
  const json::Object* hashes = json::object_or_null(manifest, "hashes");
  const auto text = hashes != nullptr ? json::text_or_nothing(*hashes, "sha256") : std::nullopt;
  if (!text) return bad(place + ".hashes.sha256 is missing");
  auto digest = base64_decode(*text);
  if (!digest || digest->size() != 32) return bad(place + ".hashes.sha256 is not the base64 of 32 bytes");
  read.sha256 = *std::move(digest);
  GODWIT_TRY(read.files, read_files(item, where));
  return read;
}

Result<ImportItem> read_item(const json::Value& value, const std::string& where) {
  const auto* item = value.if_object();
  if (item == nullptr) return bad(where + " is not an object");
  std::string friendly_name;
  if (const json::Value* name = json::find(*item, "friendlyName"); name != nullptr && !name->is_null()) {
    const auto* text = name->if_string();
    if (text == nullptr || text->empty() || count_characters({text->data(), text->size()}) > kFriendlyNameLimit)
      return bad(fmt::format("{}.friendlyName must be a text of 1 to {} characters", where, kFriendlyNameLimit));
    friendly_name = {text->data(), text->size()};
  }
  const json::Value* manifest = json::find(*item, "importManifest");
  if (manifest == nullptr) return bad(where + ".importManifest is missing");
  if (const auto* text = manifest->if_string())
    return ImportItem{DirectItem{.manifest = {text->data(), text->size()}, .friendly_name = std::move(friendly_name)}};
  const auto* object = manifest->if_object();
  if (object == nullptr)
    return bad(where + ".importManifest must be an object with url, sizeInBytes and hashes, or the text of a manifest");
  GODWIT_TRY(auto read, read_url_item(*item, *object, where));
  read.friendly_name = std::move(friendly_name);
  return ImportItem{std::move(read)};
}

json::Object to_json(const DirectItem& item) { return {{"importManifest", item.manifest}}; }

json::Object to_json(const UrlItem& item) {
  json::Array files;
  for (const auto& [name, url] : item.files) files.emplace_back(json::Object{{"filename", name}, {"url", url}});
  return {{"importManifest", json::Object{{"url", item.url},
                                          {"sizeInBytes", item.size},
                                          {"hashes", json::Object{{"sha256", base64_encode(item.sha256)}}}}},
          {"files", std::move(files)}};
}

}  // namespace

const std::string& friendly_name_of(const ImportItem& item) {
  return std::visit([](const auto& one) -> const std::string& { return one.friendly_name; }, item);
}

Result<std::vector<ImportItem>> parse_import_request(std::string_view body) {
  GODWIT_TRY(const auto value, json::parse(body, {.bytes = kRequestLimit, .depth = 16}));
  const auto* array = value.if_array();
  if (array == nullptr) return bad("the body must be an array of updates to import");
  if (array->empty() || array->size() > kImportItemsLimit)
    return bad(fmt::format("the body has {} updates, allowed are 1 to {}", array->size(), kImportItemsLimit));
  std::vector<ImportItem> items;
  for (std::size_t i = 0; i < array->size(); ++i) {
    GODWIT_TRY(auto item, read_item((*array)[i], fmt::format("[{}]", i)));
    items.push_back(std::move(item));
  }
  return items;
}

std::string print_import_request(const std::vector<ImportItem>& items) {
  json::Array array;
  for (const ImportItem& item : items) {
    json::Object object = std::visit([](const auto& one) { return to_json(one); }, item);
    if (const std::string& name = friendly_name_of(item); !name.empty()) object["friendlyName"] = name;
    array.emplace_back(std::move(object));
  }
  return json::print(json::Value(std::move(array)));
}

}  // namespace godwit::service
