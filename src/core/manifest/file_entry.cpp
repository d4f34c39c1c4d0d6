#include "core/manifest/file_entry.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "core/base/file.hpp"
#include "core/base/text.hpp"
#include "core/model/text.hpp"

namespace godwit::manifest {
namespace {

constexpr std::size_t kAlgorithmsLimit = 2;
constexpr std::size_t kRelatedProperties = 5;
constexpr std::size_t kCompatibilityLimit = 10;

struct Algorithm {
  std::string_view name;
  std::size_t bytes;
};
constexpr auto kAlgorithms =
    std::to_array<Algorithm>({{"sha1", 20}, {"sha224", 28}, {"sha256", 32}, {"sha384", 48}, {"sha512", 64}});

Result<std::map<std::string, std::string>> read_hashes(const json::Object& object, std::string_view where) {
  GODWIT_TRY(const json::Object* given, json::object(object, "hashes", where));
  if (given->size() > kAlgorithmsLimit)
    return bad(fmt::format("{}.hashes has {} entries, allowed are {}", where, given->size(), kAlgorithmsLimit));
  std::map<std::string, std::string> hashes;
  for (const auto& member : *given) {
    const std::string_view name = member.key();
    const auto algorithm =
        std::find_if(kAlgorithms.begin(), kAlgorithms.end(), [&](const Algorithm& a) { return a.name == name; });
    if (algorithm == kAlgorithms.end())
      return bad(fmt::format("{}.hashes: algorithm '{}' is not known", where, name.substr(0, 32)));
    const auto* text = member.value().if_string();
    const auto bytes = text != nullptr ? base64_decode(*text) : Result<Bytes>(bad("not a string"));
    if (!bytes || bytes->size() != algorithm->bytes)
      return bad(fmt::format("{}.hashes.{} is not base64 of {} bytes", where, name, algorithm->bytes));
    hashes.emplace(name, base64_encode(*bytes));
  }
  if (!hashes.contains("sha256")) return bad(fmt::format("{}.hashes has no sha256", where));
  return hashes;
}

}  // namespace

tl::unexpected<Error> bad(std::string message) { return fail(Code::bad_manifest, std::move(message)); }

tl::unexpected<Error> as_bad_manifest(Error error) {
  if (error.code != Code::unsupported && error.code != Code::too_large) error.code = Code::bad_manifest;
  return tl::unexpected<Error>{std::move(error)};
}

Bytes FileBase::sha256() const {
  const auto text = hashes.find("sha256");
  GODWIT_CHECK(text != hashes.end());
  auto bytes = base64_decode(text->second);
  GODWIT_CHECK(bytes && bytes->size() == 32);
  return *std::move(bytes);
}

Result<void> check_handler(std::string_view handler, std::string_view where) {
  const auto colon = handler.rfind(':');
  const auto slash = handler.find('/', 1);
  const std::string_view digits = colon == std::string_view::npos ? std::string_view{} : handler.substr(colon + 1);
  const bool printable = std::all_of(handler.begin(), handler.end(), [](char c) { return c > ' ' && c < 0x7F; });
  const bool ok = handler.size() >= 5 && handler.size() <= 32 && printable && !digits.empty() && digits.size() <= 5 &&
                  std::all_of(digits.begin(), digits.end(), is_ascii_digit) && slash != std::string_view::npos &&
                  slash + 1 < colon;
  if (!ok)
    return bad(fmt::format(
        "{} is not of the form provider/name:version with 5 to 32 characters, e.g. microsoft/script:1", where));
  return {};
}

Result<std::string> read_text(const json::Object& object, std::string_view key, std::string_view where, std::size_t min,
                              std::size_t max) {
  GODWIT_TRY(std::string text, json::text(object, key, where));
  const std::size_t size = count_characters(text);
  if (size < min || size > max)
    return bad(fmt::format("{}{}{} has {} characters, allowed are {} to {}", where, where.empty() ? "" : ".", key, size,
                           min, max));
  return text;
}

Result<const json::Array*> read_array(const json::Object& object, std::string_view key, std::string_view where,
                                      std::size_t min, std::size_t max) {
  GODWIT_TRY(const json::Array* array, json::array(object, key, where));
  if (array->size() < min || array->size() > max)
    return bad(fmt::format("{}{}{} has {} entries, allowed are {} to {}", where, where.empty() ? "" : ".", key,
                           array->size(), min, max));
  return array;
}

Result<FileBase> read_file_base(const json::Object& object, std::string_view name_key, std::string_view where) {
  FileBase file;
  GODWIT_TRY(file.file_name, json::text(object, name_key, where));
  if (!is_plain_file_name(file.file_name))
    return bad(fmt::format("{}.{} is not a plain file name of 1 to 255 bytes", where, name_key));
  GODWIT_TRY(const std::int64_t size, json::integer(object, "sizeInBytes", where));
  if (size < 1 || static_cast<ByteCount>(size) > kFileSizeLimit)
    return bad(fmt::format("{}.sizeInBytes is {}, allowed are 1 to {}", where, size, kFileSizeLimit));
  file.size = static_cast<ByteCount>(size);
  GODWIT_TRY(file.hashes, read_hashes(object, where));
  return file;
}

Result<json::Object> read_related_properties(const json::Object& object, std::string_view where) {
  GODWIT_TRY(const json::Object* properties, json::object(object, "properties", where));
  if (properties->empty() || properties->size() > kRelatedProperties)
    return bad(fmt::format("{}.properties has {} entries, allowed are 1 to {}", where, properties->size(),
                           kRelatedProperties));
  for (const auto& member : *properties) {
    const std::string_view name = member.key();
    const auto* text = member.value().if_string();
    if (name.empty() || count_characters(name) > 64)
      return bad(fmt::format("{}.properties has a name that is not 1 to 64 characters long", where));
    if (text == nullptr) return bad(fmt::format("{}.properties.{} is not a string", where, name));
    if (text->empty() || count_characters(*text) > 256)
      return bad(fmt::format("{}.properties.{} is not 1 to 256 characters long", where, name));
  }
  return *properties;
}

Result<std::string> read_download_handler(const json::Object& object, std::string_view where) {
  const json::Value* value = json::find(object, "downloadHandler");
  if (value == nullptr || value->is_null()) return std::string{};
  GODWIT_TRY(const json::Object* handler, json::object(object, "downloadHandler", where));
  const std::string place = fmt::format("{}.downloadHandler", where);
  GODWIT_TRY(std::string id, json::text(*handler, "id", place));
  GODWIT_TRY_VOID(check_handler(id, place + ".id"));
  return id;
}

Result<std::vector<CompatibilitySet>> read_compatibility(const json::Object& object) {
  GODWIT_TRY(const json::Array* array, read_array(object, "compatibility", "", 1, kCompatibilityLimit));
  std::vector<CompatibilitySet> sets;
  for (std::size_t i = 0; i < array->size(); ++i) {
    GODWIT_TRY(CompatibilitySet set, compatibility_set_from_json((*array)[i], fmt::format("compatibility[{}]", i)));
    sets.push_back(std::move(set));
  }
  return sets;
}

Result<void> FileNames::add(std::string_view name, std::string_view where) {
  if (!lower_.insert(lower_case(name)).second)
    return bad(
        fmt::format("{}: the file name '{}' is there already (upper and lower case count as equal)", where, name));
  return {};
}

json::Object file_base_to_json(const FileBase& file, std::string_view name_key) {
  json::Object hashes;
  if (const auto found = file.hashes.find("sha256"); found != file.hashes.end()) hashes["sha256"] = found->second;
  for (const auto& [algorithm, text] : file.hashes) hashes[algorithm] = text;
  json::Object object;
  object[name_key] = file.file_name;
  object["sizeInBytes"] = file.size;
  object["hashes"] = std::move(hashes);
  if (!file.properties.empty()) object["properties"] = file.properties;
  return object;
}

}  // namespace godwit::manifest
