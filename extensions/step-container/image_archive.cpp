#include "image_archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"

namespace godwit::step_container {
namespace {

constexpr std::size_t kPartLimit = 1024 * 1024;
constexpr ByteCount kPartsLimit = 16 * 1024 * 1024;
constexpr std::size_t kEntryLimit = 20'000;
constexpr std::size_t kBlock = 256 * 1024;
constexpr int kIndexDepth = 3;
constexpr const char* kHint = "; it must be an OCI archive or a docker archive of one image (podman save)";

struct CloseArchive {
  void operator()(archive* a) const { ::archive_read_free(a); }
};
using Reader = std::unique_ptr<archive, CloseArchive>;

tl::unexpected<Error> bad(std::string_view what) { return fail(Code::bad_packet, fmt::format("{}{}", what, kHint)); }

tl::unexpected<Error> unreadable(archive* reader) {
  const char* said = ::archive_error_string(reader);
  return bad(fmt::format("the image archive cannot be read: {}", said == nullptr ? "?" : said));
}

Result<Reader> new_reader() {
  Reader reader(::archive_read_new());
  if (!reader) return fail(Code::internal, "libarchive gives no reader");
  if (::archive_read_support_format_tar(reader.get()) != ARCHIVE_OK ||
      ::archive_read_support_filter_gzip(reader.get()) != ARCHIVE_OK)
    return fail(Code::unsupported, "libarchive was built without tar or gzip");
  return reader;
}

/// What may tell something of an image: the two indexes, and blobs that are small enough to be JSON.
using Parts = std::map<std::string, std::string, std::less<>>;

bool is_wanted(std::string_view name, ByteCount size) {
  return size <= kPartLimit && !name.empty() && (name.ends_with(".json") || name.starts_with("blobs/sha256/"));
}

Result<std::string> content(archive* reader, std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t done = 0; done < size;) {
    const la_ssize_t got = ::archive_read_data(reader, text.data() + done, size - done);
    if (got < 0) return unreadable(reader);
    if (got == 0) return bad("a part of the image archive is shorter than its header says");
    done += static_cast<std::size_t>(got);
  }
  return text;
}

/// One pass over the archive, which may be large and packed.
Result<Parts> parts_of(archive* reader, const std::function<bool()>& is_cancelled) {
  Parts parts;
  ByteCount sum = 0;
  for (std::size_t count = 0;; ++count) {
    if (is_cancelled && is_cancelled()) return fail(Code::cancelled, "cancelled while reading the image archive");
    if (count > kEntryLimit) return bad(fmt::format("the image archive has more than {} entries", kEntryLimit));
    archive_entry* entry = nullptr;
    const int status = ::archive_read_next_header(reader, &entry);
    if (status == ARCHIVE_EOF) return parts;
    if (status != ARCHIVE_OK) return unreadable(reader);
    const char* path = ::archive_entry_pathname(entry);
    std::string_view name = path == nullptr ? std::string_view{} : path;
    while (name.starts_with("./")) name.remove_prefix(2);
    const auto size = static_cast<ByteCount>(std::max<la_int64_t>(::archive_entry_size(entry), 0));
    const bool is_file = ::archive_entry_filetype(entry) == AE_IFREG && ::archive_entry_hardlink(entry) == nullptr;
    if (!is_file || !is_wanted(name, size)) continue;
    sum += size;
    if (sum > kPartsLimit)
      return bad(fmt::format("the small parts of the image archive have more than {}", readable_size(kPartsLimit)));
    std::string key(name);  // the name is gone once the content is read
    GODWIT_TRY(parts[std::move(key)], content(reader, static_cast<std::size_t>(size)));
  }
}

/// "sha256:<64 digits>" becomes the digits.
std::optional<std::string> hex_of(std::string_view digest) {
  constexpr std::string_view kPrefix = "sha256:";
  if (!digest.starts_with(kPrefix)) return std::nullopt;
  digest.remove_prefix(kPrefix.size());
  return is_image_id(digest) ? std::optional<std::string>(digest) : std::nullopt;
}

Result<std::string> read_blob(const PartReader& read, const std::string& hex) {
  GODWIT_TRY(std::string text, read("blobs/sha256/" + hex));
  if (hex_encode(sha256(text)) != hex) return bad(fmt::format("the part {} of the image archive is damaged", hex));
  return text;
}

/// An OCI descriptor of an index, as far as it matters here.
struct Descriptor {
  std::string hex{};
  bool is_index = false;
};

/// The one that this machine takes; what says nothing of its platform fits every machine.
Result<Descriptor> choose(const json::Object& index, std::string_view architecture) {
  GODWIT_TRY(const json::Array* list, json::array(index, "manifests", "the image index"));
  std::vector<Descriptor> fitting;
  for (const json::Value& value : *list) {
    if (!value.is_object()) return bad("the image index holds something that is no object");
    const json::Object& one = value.get_object();
    if (const json::Object* platform = json::object_or_null(one, "platform"); platform != nullptr) {
      const auto wanted = json::text_or_nothing(*platform, "architecture");
      if (wanted && (list->size() > 1 || *wanted == "unknown") && *wanted != architecture) continue;
    }
    const auto hex = hex_of(json::text_or_nothing(one, "digest").value_or(""));
    if (!hex) return bad("the image index names a part without a sha256 digest");
    const std::string type = json::text_or_nothing(one, "mediaType").value_or("");
    fitting.push_back(
        {.hex = *hex, .is_index = type.ends_with(".image.index.v1+json") || type.ends_with(".manifest.list.v2+json")});
  }
  if (fitting.size() != 1)
    return bad(fmt::format("the archive holds {} images for {}, not one", fitting.size(), architecture));
  return fitting.front();
}

/// OCI image specification 1.0, config.md: rootfs.diff_ids.
Result<std::vector<std::string>> layers_of(const json::Object& config) {
  GODWIT_TRY(const json::Object* root, json::object(config, "rootfs", "the image's configuration"));
  GODWIT_TRY(const json::Array* list, json::array(*root, "diff_ids", "the image's configuration"));
  if (list->size() > kLayerLimit) return bad(fmt::format("the image has more than {} layers", kLayerLimit));
  std::vector<std::string> layers;
  for (const json::Value& value : *list) {
    const auto hex = hex_of(value.is_string() ? std::string_view(value.get_string()) : std::string_view{});
    if (!hex) return bad("the image's configuration names a layer without a sha256 digest");
    layers.push_back(*hex);
  }
  return layers;
}

Result<ImageInfo> of_config(std::string_view text) {
  GODWIT_TRY(const json::Object config, json::parse_object(text, {.bytes = kPartLimit}));
  ImageInfo info{.id = hex_encode(sha256(text))};
  GODWIT_TRY(info.os, json::text(config, "os", "the image's configuration"));
  GODWIT_TRY(info.architecture, json::text(config, "architecture", "the image's configuration"));
  GODWIT_TRY(info.layers, layers_of(config));
  return info;
}

Result<ImageInfo> oci_image(const PartReader& read, std::string_view index_text, std::string_view architecture) {
  std::string text(index_text);
  for (int depth = 0; depth < kIndexDepth; ++depth) {
    GODWIT_TRY(const json::Object index, json::parse_object(text, {.bytes = kPartLimit}));
    GODWIT_TRY(const Descriptor chosen, choose(index, architecture));
    GODWIT_TRY(text, read_blob(read, chosen.hex));
    if (chosen.is_index) continue;
    GODWIT_TRY(const json::Object manifest, json::parse_object(text, {.bytes = kPartLimit}));
    GODWIT_TRY(const json::Object* config, json::object(manifest, "config", "the image manifest"));
    const auto hex = hex_of(json::text_or_nothing(*config, "digest").value_or(""));
    if (!hex) return bad("the image manifest names no configuration");
    GODWIT_TRY(const std::string config_text, read_blob(read, *hex));
    return of_config(config_text);
  }
  return bad("the image index leads to too many others");
}

Result<ImageInfo> docker_image(const PartReader& read, std::string_view manifest_text) {
  GODWIT_TRY(const json::Value manifest, json::parse(manifest_text, {.bytes = kPartLimit}));
  if (!manifest.is_array() || manifest.get_array().size() != 1 || !manifest.get_array()[0].is_object())
    return bad("manifest.json does not list exactly one image");
  GODWIT_TRY(const std::string name, json::text(manifest.get_array()[0].get_object(), "Config", "manifest.json"));
  GODWIT_TRY(const std::string config, read(name));
  return of_config(config);
}

/// A cause in any words is a bad archive, unless it lies elsewhere.
Result<ImageInfo> worded(Result<ImageInfo> found) {
  if (found) return found;
  const Code code = found.error().code;
  if (code == Code::cancelled || code == Code::io_failed || code == Code::bad_packet || code == Code::internal)
    return found;
  return bad(found.error().message);
}

PartReader reader_of(const Parts& parts) {
  return [&parts](const std::string& name) -> Result<std::string> {
    const auto found = parts.find(name);
    if (found != parts.end()) return found->second;
    return fail(Code::not_found,
                fmt::format("the image archive has no {}, or it is larger than {}", name, readable_size(kPartLimit)));
  };
}

}  // namespace

bool is_image_id(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

Result<ImageInfo> image_in(const PartReader& read, std::string_view architecture) {
  auto index = read("index.json");
  if (index) return worded(oci_image(read, *index, architecture));
  if (index.error().code != Code::not_found) return worded(tl::unexpected<Error>{std::move(index).error()});
  const auto manifest = read("manifest.json");
  if (manifest) return worded(docker_image(read, *manifest));
  if (manifest.error().code != Code::not_found) return worded(tl::unexpected<Error>{manifest.error()});
  return bad("the file holds neither index.json nor manifest.json");
}

Result<ImageInfo> read_image(const Path& archive, std::string_view architecture,
                             const std::function<bool()>& is_cancelled) {
  GODWIT_TRY(const UniqueFd fd, open_file(archive, O_RDONLY | O_NOFOLLOW));
  GODWIT_TRY(const Reader reader, new_reader());
  if (::archive_read_open_fd(reader.get(), fd.get(), kBlock) != ARCHIVE_OK) return unreadable(reader.get());
  GODWIT_TRY(const Parts parts, parts_of(reader.get(), is_cancelled));
  return image_in(reader_of(parts), architecture);
}

Result<ImageInfo> read_image_in_memory(std::string_view archive, std::string_view architecture) {
  GODWIT_TRY(const Reader reader, new_reader());
  if (::archive_read_open_memory(reader.get(), archive.data(), archive.size()) != ARCHIVE_OK)
    return unreadable(reader.get());
  GODWIT_TRY(const Parts parts, parts_of(reader.get(), {}));
  return image_in(reader_of(parts), architecture);
}

std::string own_architecture() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown";
  const std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine.starts_with("armv")) return "arm";
  if (machine.size() == 4 && machine.starts_with('i') && machine.ends_with("86")) return "386";
  return std::string(machine);
}

bool runs_on(std::string_view image, std::string_view machine) {
  return image == machine || (image == "386" && machine == "amd64") || (image == "arm" && machine == "arm64");
}

}  // namespace godwit::step_container
