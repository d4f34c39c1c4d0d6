#include "image_properties.hpp"

#include <fmt/format.h>

#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "device/slots/layout.hpp"

namespace godwit::step_image {
namespace {

constexpr ByteCount kLargestImage = 1ULL << 42;  // 4 TiB

tl::unexpected<Error> wrong(std::string_view property, std::string_view must) {
  return fail(Code::bad_manifest, fmt::format("handlerProperties: {} must be {}", property, must));
}

/// A number, or its digits in a string: the tools of the original write every property as a string.
std::optional<ByteCount> number(const json::Object& object, std::string_view key) {
  if (const auto text = json::text_or_nothing(object, key)) return to_number<ByteCount>(*text);
  const auto value = json::integer_or_nothing(object, key);
  return value && *value >= 0 ? std::optional<ByteCount>(static_cast<ByteCount>(*value)) : std::nullopt;
}

Result<std::map<std::string, std::string>> pairs_in(const json::Object& object, const ImageProperties& of_image) {
  std::map<std::string, std::string> pairs;
  const json::Value* value = json::find(object, "pairs");
  if (value == nullptr) return pairs;
  if (!value->is_object() || value->get_object().size() > slots::kMostPairs)
    return wrong("pairs", fmt::format("an object of at most {} names of pairs with their files", slots::kMostPairs));
  for (const auto& [name, file] : value->get_object()) {
    if (const std::string why = slots::check_pair_name(name); !why.empty())
      return wrong("pairs", "an object of names of pairs with their files; " + why);
    const std::string file_name = file.is_string() ? std::string(file.get_string()) : "";
    if (!is_plain_file_name(file_name) || file_name == of_image.image_file || file_name == of_image.block_hashes_file ||
        file_name == of_image.index_file)
      return wrong(fmt::format("pairs.{}", std::string_view(name)), "the name of another of the step's files");
    pairs[std::string(name)] = file_name;
  }
  return pairs;
}

}  // namespace

slots::Compression compression_of(std::string_view file_name) {
  if (file_name.ends_with(".zst")) return slots::Compression::zstd;
  return file_name.ends_with(".gz") ? slots::Compression::gzip : slots::Compression::none;
}

Result<ImageProperties> parse_properties(std::string_view handler_properties_json) {
  const auto object = json::parse_object(handler_properties_json);
  if (!object) return fail(Code::bad_manifest, "handlerProperties: " + object.error().message);
  ImageProperties properties;
  properties.image_file = json::text_or_nothing(*object, "imageFile").value_or("");
  if (!is_plain_file_name(properties.image_file)) return wrong("imageFile", "the name of one of the step's files");
  const std::string word = json::text_or_nothing(*object, "compression").value_or("none");
  const auto compression = slots::parse_compression(word);
  if (!compression) return wrong("compression", "none, gzip or zstd");
  properties.compression = *compression;
  const auto size = number(*object, "imageSize");
  if (!size || *size == 0 || *size > kLargestImage) return wrong("imageSize", "the bytes of the unpacked image");
  properties.image.size = *size;
  auto digest = hex_decode(json::text_or_nothing(*object, "imageSha256").value_or(""));
  if (!digest || digest->size() != 32)
    return wrong("imageSha256", "64 hexadecimal digits: the hash of the unpacked image");
  properties.image.sha256 = *std::move(digest);
  if (const auto file = json::text_or_nothing(*object, "blockHashesFile")) {
    if (!is_plain_file_name(*file)) return wrong("blockHashesFile", "the name of one of the step's files");
    properties.block_hashes_file = *file;
  }
  if (object->contains("streamedFile") || object->contains("indexFile")) {
    properties.index_file = json::text_or_nothing(*object, "indexFile").value_or("");
    if (!is_plain_file_name(properties.index_file) || properties.index_file == properties.image_file)
      return wrong("indexFile", "the name of another of the step's files, as godwit image pack made it");
    if (json::text_or_nothing(*object, "streamedFile") != properties.image_file)
      return wrong("streamedFile", "the imageFile where there is an indexFile");
    if (properties.compression != slots::Compression::zstd)
      return wrong("compression", "zstd where there is an indexFile");
    if (!properties.block_hashes_file.empty())
      return wrong("blockHashesFile", "left out where there is an indexFile, which has the hashes");
  }
  if (object->contains("verityRootHash") || object->contains("verityHashOffset")) {
    const auto offset = number(*object, "verityHashOffset");
    auto root = hex_decode(json::text_or_nothing(*object, "verityRootHash").value_or(""));
    if (!root || root->size() != 32)
      return wrong("verityRootHash", "64 hexadecimal digits, as veritysetup printed them");
    if (!offset || *offset == 0 || *offset % 4096 != 0 || *offset >= properties.image.size)
      return wrong("verityHashOffset", "the byte of the image where its hashes begin, a multiple of 4096");
    properties.image.verity = slots::Verity{.root_hash = *std::move(root), .hash_offset = *offset};
  }
  if (object->contains("blockSize")) {
    const auto block = number(*object, "blockSize");
    if (!block || *block < 4096 || *block > 1024 * 1024 || (*block & (*block - 1)) != 0)
      return wrong("blockSize", "a power of two from 4096 to 1048576");
    properties.block_size = static_cast<std::size_t>(*block);
  }
  if (const auto floor = json::text_or_nothing(*object, "versionFloor")) {
    auto version = Version::parse(*floor);
    if (!version) return wrong("versionFloor", "a version such as 2.1.0");
    properties.version_floor = *std::move(version);
  }
  GODWIT_TRY(properties.pairs, pairs_in(*object, properties));
  return properties;
}

}  // namespace godwit::step_image
