#include "image_step.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "core/chunks/index.hpp"
#include "core/model/outcome.hpp"
#include "device/slots/chunk_writer.hpp"
#include "device/slots/health.hpp"
#include "device/slots/layout.hpp"
#include "device/slots/slots.hpp"
#include "godwit/author.hpp"
#include "image_properties.hpp"

namespace godwit::step_image {
namespace {

using slots::Answer;

constexpr ByteCount kBlockHashesLimit = 64ULL * 1024 * 1024;
constexpr ByteCount kFloorLimit = 256;

/// What one call works with: the device's slots, opened, and what the manifest wants.
struct Scene {
  ImageProperties properties;
  slots::Device device;
};

/// What makes the pairs of this update the same as others: the hashes of their files in the signed manifest.
Result<void> name_pairs(Scene& scene, const godwit_step& step) {
  for (const auto& [pair, name] : scene.properties.pairs) {
    const godwit_file* file = author::file_named(step, name);
    if (file == nullptr)
      return fail(Code::bad_manifest,
                  fmt::format("handlerProperties: pairs.{}: the step has no file '{}'", pair, name));
    const bool is_told = file->size >= offsetof(godwit_file, sha256) + sizeof(file->sha256);
    auto digest = hex_decode(is_told ? author::view(file->sha256) : "");
    if (!digest || digest->size() != 32)
      return fail(Code::unsupported,
                  "the installer of this device does not tell the hashes of files, which pairs need: update it first");
    scene.properties.image.pairs[pair] = *std::move(digest);
  }
  return {};
}

Result<void> open(Scene& scene, const Path& slots_file, const godwit_step& step) {
  GODWIT_TRY(scene.properties, parse_properties(author::view(step.handler_properties_json)));
  GODWIT_TRY_VOID(name_pairs(scene, step));
  GODWIT_TRY_VOID(slots::open_device(scene.device, slots_file));
  return make_folders(scene.device.config.data);
}

Outcome failed(const Error& error) {
  if (error.code == Code::cancelled)
    return {.result_code = result::cancelled, .extended_code = 0, .details = error.message};
  std::uint32_t code = erc::handler_refused;
  if (error.code == Code::digest_mismatch) code = erc::hash_mismatch;
  if (error.code == Code::disk_full) code = erc::disk_full;
  return {.result_code = result::failure, .extended_code = code, .details = error.message};
}

Outcome refused(const std::string& details, std::uint32_t code = erc::handler_refused) {
  return {.result_code = result::failure, .extended_code = code, .details = details};
}

Result<Path> file_of(const godwit_step& step, const std::string& name) {
  const godwit_file* file = author::file_named(step, name);
  if (file == nullptr) return fail(Code::bad_manifest, fmt::format("the step has no file named '{}'", name));
  if (file->path.size == 0) return fail(Code::not_found, fmt::format("the file '{}' is not here yet", name));
  return Path(author::str(file->path));
}

Path floor_file(const Scene& scene) { return scene.device.config.data / "version-floor"; }

/// The oldest version that this device still takes; nothing: any.
Result<std::optional<Version>> read_floor(const Scene& scene) {
  const auto text = read_file(floor_file(scene), kFloorLimit);
  if (!text && text.error().code == Code::not_found) return std::optional<Version>{};
  if (!text) return tl::unexpected<Error>{text.error()};
  auto version = Version::parse(trimmed(*text));
  if (!version)
    return fail(Code::refused,
                fmt::format("{} holds no version; write the oldest one that this device may take into it",
                            floor_file(scene).string()));
  return std::optional<Version>{*std::move(version)};
}

/// Called whenever the image is found confirmed, so that a cut after the confirmation loses nothing.
Result<void> raise_floor(const Scene& scene) {
  const auto& wanted = scene.properties.version_floor;
  if (!wanted) return {};
  GODWIT_TRY(const auto floor, read_floor(scene));
  if (floor && !(*floor < *wanted)) return {};
  return write_file_durably(floor_file(scene), wanted->str() + "\n");
}

/// A signed manifest of last year is still signed: whoever replays it must not bring back what was mended since.
Result<void> check_floor(const Scene& scene, const godwit_step& step) {
  GODWIT_TRY(const auto id, json::parse_object(author::view(step.update_id_json)));
  GODWIT_TRY(const std::string text, json::text(id, "version", "update id"));
  GODWIT_TRY(const Version version, Version::parse(text));
  if (scene.properties.version_floor && version < *scene.properties.version_floor)
    return fail(Code::bad_manifest,
                fmt::format("handlerProperties: versionFloor {} is above the update's own version {}",
                            scene.properties.version_floor->str(), version.str()));
  GODWIT_TRY(const auto floor, read_floor(scene));
  if (floor && version < *floor)
    return fail(Code::refused,
                fmt::format("version {} is older than {}, the oldest that this device takes since a newer "
                            "image was confirmed; import what should run under a newer version",
                            version.str(), floor->str()));
  return {};
}

/// Asked before anything is downloaded. An earlier step of the update may still change what is found here.
Result<void> check_early(slots::Slots& slots, const Scene& scene, const godwit_step& step) {
  if (step.step_index != 0) return {};
  GODWIT_TRY_VOID(check_floor(scene, step));
  return slots.check_places(scene.properties.image);
}

Outcome is_installed(slots::Slots& slots, const Scene& scene, const godwit_step& step) {
  const auto stage = slots.stage(scene.properties.image);
  if (!stage) return failed(stage.error());
  if (*stage == slots::Stage::good) {
    if (const auto raised = raise_floor(scene); !raised) return failed(raised.error());
    return {.result_code = result::is_installed};
  }
  if (*stage == slots::Stage::open || *stage == slots::Stage::closed)
    if (const auto fits = check_early(slots, scene, step); !fits) return failed(fits.error());
  return {.result_code = result::not_installed,
          .extended_code = 0,
          .details = fmt::format("side {} runs; the image is in the stage '{}'",
                                 slots::side_name(scene.device.places.running), slots::stage_name(*stage))};
}

/// The files of the pairs that come along, which are here whole.
Result<slots::PairSources> pair_sources(const Scene& scene, const godwit_step& step) {
  slots::PairSources sources;
  for (const auto& [pair, name] : scene.properties.pairs) {
    GODWIT_TRY(const Path file, file_of(step, name));
    sources[pair] = [file, packed = compression_of(name)] { return slots::open_image(file, packed); };
  }
  return sources;
}

/// From the file that is here whole.
Result<Answer> install_whole(slots::Slots& slots, const Scene& scene, const godwit_step& step,
                             const slots::Watch& watch) {
  const ImageProperties& wanted = scene.properties;
  GODWIT_TRY(const Path file, file_of(step, wanted.image_file));
  slots::BlockHashes hashes{.block_size = wanted.block_size, .digests = {}};
  if (!wanted.block_hashes_file.empty()) {
    GODWIT_TRY(const Path list, file_of(step, wanted.block_hashes_file));
    GODWIT_TRY(hashes.digests, read_file(list, kBlockHashesLimit));
  }
  GODWIT_TRY(const slots::PairSources pairs, pair_sources(scene, step));
  return slots.install(
      wanted.image, [&] { return slots::open_image(file, wanted.compression); },
      wanted.block_hashes_file.empty() ? nullptr : &hashes, watch, pairs);
}

Result<chunks::Index> read_index(const Scene& scene, const godwit_step& step) {
  const ImageProperties& wanted = scene.properties;
  GODWIT_TRY(const Path file, file_of(step, wanted.index_file));
  GODWIT_TRY(Bytes bytes, read_file(file, chunks::kIndexSizeMax));
  GODWIT_TRY(auto index, chunks::Index::parse(std::move(bytes)));
  const godwit_file* image = author::file_named(step, wanted.image_file);
  if (image == nullptr)
    return fail(Code::bad_manifest, fmt::format("the step has no file named '{}'", wanted.image_file));
  const chunks::Layout& layout = index.layout();
  if (layout.image_size != wanted.image.size || layout.image_sha256 != wanted.image.sha256 ||
      layout.stored_size != image->byte_count)
    return fail(Code::bad_manifest,
                fmt::format("the index '{}' belongs to another image than imageSize, imageSha256 and the size of '{}' "
                            "say; take the three files and values that one run of godwit image pack gave",
                            wanted.index_file, wanted.image_file));
  return index;
}

slots::ArrivedPieces pieces_of(const godwit_file& file) {
  slots::ArrivedPieces arrived;
  if (file.size < offsetof(godwit_file, piece_count) + sizeof(file.piece_count)) return arrived;
  arrived.file = author::str(file.pieces_path);
  for (std::size_t i = 0; i < file.piece_count; ++i)
    arrived.ranges.push_back({.offset = file.pieces[i].offset, .length = file.pieces[i].length});
  return arrived;
}

/// One round of an image that comes in pieces; `missing` is to be fetched before the next.
Result<Answer> install_round(slots::Slots& slots, Scene& scene, const godwit_step& step, const slots::Watch& watch,
                             std::vector<slots::StoredRange>& missing) {
  GODWIT_TRY(const chunks::Index index, read_index(scene, step));
  const slots::ArrivedPieces arrived = pieces_of(*author::file_named(step, scene.properties.image_file));
  bool is_whole = false;
  slots::ChunkWriter writer(scene.device.disk, index, Path(author::str(step.work_dir)) / "image-progress.json");
  const auto fill = [&](slots::DiskFile& target, const Path& running) -> Result<slots::Slots::Filled> {
    GODWIT_TRY(const auto alike, scene.device.disk.open(running, slots::OpenMode::read));
    GODWIT_TRY(missing, writer.round(target, alike.get(), &arrived, scene.device.places.writer, watch));
    is_whole = missing.empty();
    return slots::Slots::Filled{.is_whole = is_whole, .written = writer.written()};
  };
  GODWIT_TRY(const slots::PairSources pairs, pair_sources(scene, step));
  auto answer = slots.install(scene.properties.image, fill, watch, pairs);
  // Every chunk was right when it was looked at, and the whole is not: somebody else has written there.
  if (is_whole && !answer && answer.error().code == Code::digest_mismatch) GODWIT_TRY_VOID(writer.forget());
  return answer;
}

/// Asks for the pieces and tells how far it is.
Outcome wants_pieces(const Scene& scene, const author::Host& host, const std::vector<slots::StoredRange>& missing) {
  json::Array ranges;
  for (const slots::StoredRange& range : missing)
    ranges.emplace_back(json::Object{{"offset", range.offset}, {"length", range.length}});
  host.answer(json::print(json::Object{{"file", scene.properties.image_file}, {"ranges", std::move(ranges)}}));
  return {.result_code = result::install_wants_pieces};
}

Outcome install(slots::Slots& slots, Scene& scene, const author::Host& host, const godwit_step& step) {
  if (const auto allowed = check_floor(scene, step); !allowed) return failed(allowed.error());
  slots::forget_panic(scene.device.config);
  const slots::Watch watch{.on_progress = [&](ByteCount done, ByteCount total) { host.progress(done, total); },
                           .is_cancelled = [&] { return host.is_cancelled(); }};
  std::vector<slots::StoredRange> missing;
  const auto answer = scene.properties.index_file.empty() ? install_whole(slots, scene, step, watch)
                                                          : install_round(slots, scene, step, watch, missing);
  if (!answer) return failed(answer.error());
  if (answer->kind == Answer::Kind::blocked) return refused(answer->details);
  if (answer->kind == Answer::Kind::unfinished) return wants_pieces(scene, host, missing);
  host.info(fmt::format("image: {} written, {} equal already", readable_size(answer->written.written),
                        readable_size(answer->written.skipped)));
  if (answer->kind == Answer::Kind::restart)
    return {.result_code = result::install_reboot, .extended_code = 0, .details = answer->details};
  return {.result_code = result::install_ok};
}

Outcome apply(slots::Slots& slots, const Scene& scene, const author::Host& host) {
  const slots::HealthWatch watch{.on_no = [&](const std::string& why) { host.info("image: not healthy yet: " + why); },
                                 .is_cancelled = [&] { return host.is_cancelled(); }};
  const auto answer =
      slots.apply(scene.properties.image, [&] { return slots::wait_until_healthy(scene.device.config, watch); });
  if (!answer) return failed(answer.error());
  switch (answer->kind) {
    case Answer::Kind::done:
      if (const auto raised = raise_floor(scene); !raised) return failed(raised.error());
      return {.result_code = result::apply_ok};
    case Answer::Kind::not_tried: return refused(answer->details, erc::not_in_place_after_restart);
    case Answer::Kind::fell_back:
      return refused(answer->details + slots::panic_words(scene.device.config), erc::not_in_place_after_restart);
    default: return refused(answer->details);
  }
}

Outcome restore(slots::Slots& slots, const Scene& scene) {
  const auto answer = slots.restore(scene.properties.image);
  if (!answer) return failed(answer.error());
  if (answer->kind == Answer::Kind::blocked) return refused(answer->details);
  // 1105: what ran before comes back with a restart.
  if (answer->kind == Answer::Kind::restart)
    return {.result_code = 1105, .extended_code = 0, .details = answer->details};
  return {.result_code = result::restore_ok};
}

}  // namespace

Outcome act(Verb verb, const Path& slots_file, const author::Host& host, const godwit_step& step) {
  Scene scene;
  if (const auto opened = open(scene, slots_file, step); !opened) return failed(opened.error());
  slots::Slots slots(scene.device.disk, *scene.device.boot, scene.device.places);
  switch (verb) {
    case Verb::is_installed: return is_installed(slots, scene, step);
    case Verb::install: return install(slots, scene, host, step);
    case Verb::apply: return apply(slots, scene, host);
    case Verb::restore: return restore(slots, scene);
  }
  return {};
}

}  // namespace godwit::step_image
