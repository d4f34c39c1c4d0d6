// image pack: an image in chunks with its index, for devices that fetch only what they lack; no service is asked.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "core/base/text.hpp"
#include "core/chunks/pack.hpp"
#include "core/delta/mapped_file.hpp"
#include "tools/cli/app.hpp"
#include "tools/cli/new_file.hpp"

namespace godwit::cli {
namespace {

struct PackFlags {
  std::string image{};
  std::string folder{};
  std::uint32_t chunk_kib = 256;
  int level = chunks::kLevelDefault;
  unsigned jobs = 0;
};

struct PackedPaths {
  Path stored;
  Path index;
};

PackedPaths paths_for(const PackFlags& flags) {
  const Path image = flags.image;
  Path stored = (flags.folder.empty() ? image.parent_path() : Path(flags.folder)) / image.filename();
  stored += ".zst";
  Path index = stored;
  index += ".index";
  return {.stored = std::move(stored), .index = std::move(index)};
}

json::Object properties_of(const PackedPaths& paths, const chunks::Layout& layout) {
  return {{"imageFile", paths.stored.filename().string()},    {"compression", "zstd"},
          {"imageSize", std::to_string(layout.image_size)},   {"imageSha256", hex_encode(layout.image_sha256)},
          {"streamedFile", paths.stored.filename().string()}, {"indexFile", paths.index.filename().string()}};
}

Result<int> pack_image(Context& context, const PackFlags& flags) {
  const PackedPaths paths = paths_for(flags);
  if (!flags.folder.empty()) GODWIT_TRY_VOID(make_folders(flags.folder, 0755));
  GODWIT_TRY(const auto image, delta::MappedFile::open(flags.image));
  GODWIT_TRY(auto stored, NewFile::begin(paths.stored.string()));
  const int fd = stored.fd();
  const unsigned jobs = flags.jobs > 0 ? flags.jobs : std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
  GODWIT_TRY(Bytes index, chunks::pack(image.bytes(), [fd](std::string_view frame) { return write_all(fd, frame); },
                                       {.chunk_size = flags.chunk_kib * 1024, .level = flags.level, .jobs = jobs}));
  GODWIT_TRY_VOID(stored.keep());
  GODWIT_TRY_VOID(write_file_durably(paths.index, index, 0644));
  const ByteCount index_size = index.size();
  GODWIT_TRY(const auto parsed, chunks::Index::parse(std::move(index)));
  const chunks::Layout& layout = parsed.layout();
  const json::Object properties = properties_of(paths, layout);
  if (context.wants_json()) {
    context.show_json(json::Object{{"imageFile", paths.stored.string()},
                                   {"indexFile", paths.index.string()},
                                   {"sizeInBytes", layout.stored_size},
                                   {"indexSizeInBytes", index_size},
                                   {"chunks", layout.count()},
                                   {"handlerProperties", properties}});
    return exit_code::ok;
  }
  fmt::print(
      "wrote {}: {} for an image of {} ({:.1f} %), and {}: {} chunks in {}\n"
      "as a step: --step handler=godwit/image:1 properties='{}' --file path={} --file path={}\n",
      paths.stored.string(), readable_size(layout.stored_size), readable_size(layout.image_size),
      100.0 * static_cast<double>(layout.stored_size) / static_cast<double>(layout.image_size), paths.index.string(),
      layout.count(), readable_size(index_size), json::print(properties), paths.stored.string(), paths.index.string());
  return exit_code::ok;
}

}  // namespace

void add_image_commands(CLI::App& root, Context& context) {
  auto* group = root.add_subcommand("image", "Prepare images of whole systems, on this machine");
  group->require_subcommand(1);
  auto* sub = group->add_subcommand(
      "pack", "Pack an image so that devices stream it: IMAGE.zst, an ordinary zstd file, and IMAGE.zst.index");
  auto flags = std::make_shared<PackFlags>();
  sub->add_option("image", flags->image, "The image as it lies on a partition")->required();
  sub->add_option("--folder", flags->folder, "Where to write, made if missing. Without it: beside the image");
  sub->add_option("--chunk-size", flags->chunk_kib, "KiB that are fetched and compared at once: a power of two")
      ->check(CLI::Range(chunks::kChunkSizeMin / 1024, chunks::kChunkSizeMax / 1024))
      ->capture_default_str();
  sub->add_option("--level", flags->level, "Effort of the compression; higher is smaller and slower")
      ->check(CLI::Range(chunks::kLevelMin, chunks::kLevelMax))
      ->capture_default_str();
  sub->add_option("--jobs", flags->jobs, "Threads. Without it: one for each processor")->check(CLI::Range(1, 64));
  sub->callback([&context, flags] { context.action = [flags](Context& c) { return pack_image(c, *flags); }; });
}

}  // namespace godwit::cli
