#include "image_store.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"

namespace godwit::step_container {
namespace {

constexpr std::size_t kTarLimit = 512 * 1024;  // kLayerLimit layers, twice
constexpr const char* kTypes = "application/vnd.oci.image.";

json::Object descriptor(std::string_view type, const std::string& hex, std::size_t size) {
  return {{"mediaType", fmt::format("{}{}", kTypes, type)}, {"digest", "sha256:" + hex}, {"size", size}};
}

struct CloseWriter {
  void operator()(archive* a) const { ::archive_write_free(a); }
};
struct FreeEntry {
  void operator()(archive_entry* e) const { ::archive_entry_free(e); }
};

/// A tar in memory, of small files.
class Tar {
 public:
  Tar() : writer_(::archive_write_new()), bytes_(kTarLimit, '\0') {
    is_sound_ = writer_ != nullptr && ::archive_write_set_format_ustar(writer_.get()) == ARCHIVE_OK &&
                ::archive_write_open_memory(writer_.get(), bytes_.data(), bytes_.size(), &used_) == ARCHIVE_OK;
  }

  void add(const std::string& name, std::string_view text) {
    const std::unique_ptr<archive_entry, FreeEntry> entry(::archive_entry_new());
    ::archive_entry_set_pathname(entry.get(), name.c_str());
    ::archive_entry_set_filetype(entry.get(), AE_IFREG);
    ::archive_entry_set_perm(entry.get(), 0644);
    ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(text.size()));
    is_sound_ = is_sound_ && ::archive_write_header(writer_.get(), entry.get()) == ARCHIVE_OK &&
                ::archive_write_data(writer_.get(), text.data(), text.size()) == static_cast<la_ssize_t>(text.size());
  }

  /// As a blob of an OCI image layout; gives what names it.
  json::Object add_blob(std::string_view type, const json::Object& content) {
    const std::string text = json::print(content);
    const std::string hex = hex_encode(sha256(text));
    add("blobs/sha256/" + hex, text);
    return descriptor(type, hex, text.size());
  }

  Result<std::string> end() {
    if (!is_sound_ || ::archive_write_close(writer_.get()) != ARCHIVE_OK)
      return fail(Code::internal, "libarchive does not write a small tar");
    bytes_.resize(used_);
    return std::move(bytes_);
  }

 private:
  std::unique_ptr<archive, CloseWriter> writer_;
  std::string bytes_;
  std::size_t used_ = 0;
  bool is_sound_ = false;
};

}  // namespace

Result<HollowImage> make_hollow_image(const std::vector<std::string>& layers, std::size_t count) {
  json::Array diff_ids;
  json::Array descriptors;
  for (std::size_t i = 0; i < count; ++i) {
    diff_ids.emplace_back("sha256:" + layers[i]);
    descriptors.emplace_back(descriptor("layer.v1.tar", layers[i], 1));
  }
  const json::Object config{{"os", "linux"},
                            {"architecture", own_architecture()},
                            {"config", json::Object{}},
                            {"rootfs", json::Object{{"type", "layers"}, {"diff_ids", diff_ids}}}};
  Tar tar;
  const json::Object manifest{{"schemaVersion", 2},
                              {"mediaType", fmt::format("{}manifest.v1+json", kTypes)},
                              {"config", tar.add_blob("config.v1+json", config)},
                              {"layers", descriptors}};
  json::Array manifests;
  manifests.emplace_back(tar.add_blob("manifest.v1+json", manifest));
  tar.add("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  tar.add("index.json", json::print(json::Object{{"schemaVersion", 2}, {"manifests", manifests}}));
  HollowImage image{.id = hex_encode(sha256(json::print(config)))};
  GODWIT_TRY(image.archive, tar.end());
  return image;
}

Result<void> ImageStore::load(const Path& archive) const {
  GODWIT_TRY_VOID(remove_tree(scratch_));
  GODWIT_TRY_VOID(make_folders(scratch_, 0700));
  auto loaded = podman_.load(archive, scratch_);
  if (auto removed = remove_tree(scratch_); loaded && !removed) return removed;
  return loaded;
}

/// As many of them as podman has, from the lowest on.
Result<void> ImageStore::remove_layers(const LoadMark& mark) const {
  for (std::size_t count = mark.layers.size(); count > 0; --count) {
    GODWIT_TRY(const HollowImage image, make_hollow_image(mark.layers, count));
    GODWIT_TRY_VOID(write_file_durably(hollow_, image.archive));
    const auto loaded = load(hollow_);
    if (loaded) return podman_.remove_image(image.id);
    if (loaded.error().code == Code::cancelled) return loaded;
  }
  return {};
}

Result<void> ImageStore::tidy_up_after(const LoadMark& mark) const {
  podman_.forget_image(mark.image_id, "");
  GODWIT_TRY_VOID(remove_layers(mark));
  GODWIT_TRY(const bool is_used, podman_.has_image(mark.image_id));
  if (!is_used) return marks_.end(mark.image_id);
  if (!mark.was_cut) return seal(mark.image_id);
  host_.warning(
      fmt::format("the image {} was being loaded when the device lost its power, and is in use", mark.image_id));
  return {};
}

Result<void> ImageStore::tidy_up(std::string_view to_come) const {
  for (const LoadMark& mark : marks_.all())
    if (mark.was_cut || mark.image_id != to_come) GODWIT_TRY_VOID(tidy_up_after(mark));
  GODWIT_TRY_VOID(remove_tree(scratch_));
  return remove_file_durably(hollow_);
}

Result<void> ImageStore::take_in(const ImageInfo& image, const Path& archive) const {
  GODWIT_TRY_VOID(tidy_up(image.id));
  GODWIT_TRY_VOID(marks_.begin(image));
  return load(archive);
}

Result<void> ImageStore::seal(const std::string& image_id) const {
  ::sync();  // podman does not
  return marks_.end(image_id);
}

}  // namespace godwit::step_container
