// The part of an import that makes deltas against what devices have installed, before the manifests are signed.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/delta/make.hpp"
#include "core/delta/mapped_file.hpp"
#include "server/service/import/importer_run.hpp"

namespace godwit::service {
namespace {

constexpr std::string_view kHandler = "microsoft/delta:1";
constexpr std::size_t kRelatedFilesMax = 4;  // what a manifest allows for one file, those of its author included
constexpr int kNice = 19;
constexpr std::size_t kChunk = 1024 * 1024;

/// The payload of an installed version that the new file most likely grew out of: of the same name.
const manifest::File* ancestor_of(const manifest::File& file, const manifest::ImportManifest& installed) {
  const auto found = std::ranges::find(installed.files, file.file_name, &manifest::File::file_name);
  return found == installed.files.end() ? nullptr : &*found;
}

bool has_delta_from(const manifest::File& file, const std::string& source_hash) {
  return std::ranges::any_of(file.related_files, [&](const manifest::FileBase& one) {
    return json::text_or_nothing(one.properties, "microsoft.sourceFileHash") == source_hash;
  });
}

}  // namespace

DeltaCounts Importer::deltas() const {
  const std::lock_guard lock(scans_mutex_);
  return deltas_;
}

void Importer::note_deltas(const DeltaCounts& counts) {
  const std::lock_guard lock(scans_mutex_);
  deltas_.made += counts.made;
  deltas_.dropped += counts.dropped;
  deltas_.saved_bytes += counts.saved_bytes;
}

/// Versions of this update that devices have, those of most devices first.
Result<std::vector<UpdateId>> Importer::Run::installed_versions(const UpdateId& id) {
  std::map<UpdateId, std::uint64_t> devices;
  GODWIT_TRY_VOID(importer_.store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto counts, records.fleet().counts(std::nullopt, std::nullopt));
    for (const auto& count : counts)
      if (count.installed && count.installed->provider == id.provider && count.installed->name == id.name)
        devices[*count.installed] += count.devices;
    return {};
  }));
  std::vector<std::pair<std::uint64_t, UpdateId>> ordered;
  for (const auto& [version, number] : devices)
    if (number > 0 && version != id) ordered.emplace_back(number, version);
  std::ranges::stable_sort(ordered, std::greater{}, [](const auto& entry) { return entry.first; });
  std::vector<UpdateId> versions;
  for (const auto& [number, version] : ordered)
    if (versions.size() < importer_.options_.deltas.versions) versions.push_back(version);
  return versions;
}

/// Makes the delta into `fd`; nothing: it is not worth it, or takes too long. Runs at the lowest priority.
Result<std::optional<Importer::Run::MadeDelta>> Importer::Run::make_delta(const Bytes& source, const Bytes& target,
                                                                          int fd) {
  GODWIT_TRY(const UniqueFd old_fd, importer_.blobs_.open(source));
  GODWIT_TRY(const UniqueFd new_fd, importer_.blobs_.open(target));
  GODWIT_TRY(const auto old_file, delta::MappedFile::of(old_fd.get(), "the installed version"));
  GODWIT_TRY(const auto new_file, delta::MappedFile::of(new_fd.get(), "the new version"));
  const DeltaOptions& options = importer_.options_.deltas;
  const ByteCount worth = new_file.bytes().size() / 100 * (100 - options.least_saving_percent);
  const auto deadline = std::chrono::steady_clock::now() + options.time_limit;
  MadeDelta made;
  bool is_worth_it = true;
  Sha256 hash;
  const auto append = [&](std::string_view bytes) -> Result<void> {
    made.size += bytes.size();
    is_worth_it = made.size <= worth && std::chrono::steady_clock::now() < deadline;
    if (!is_worth_it) return fail(Code::too_large, "not worth it");
    if (importer_.is_stopping()) return fail(Code::cancelled, "the service stops");
    hash.update(bytes);
    return write_all(fd, bytes);
  };
  Result<delta::Header> outcome = fail(Code::internal, "not run");
  std::thread([&] {
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
    outcome = delta::make(old_file.bytes(), new_file.bytes(), append, {.level = options.level});
  }).join();
  if (!is_worth_it) return std::optional<MadeDelta>{};
  if (!outcome) return tl::unexpected<Error>{outcome.error()};
  made.sha256 = hash.finish();
  return std::optional{made};
}

Result<void> Importer::Run::store_delta(const MadeDelta& made, int fd) {
  GODWIT_TRY(const auto present, importer_.blobs_.hold(made.sha256));
  if (present) return {};
  GODWIT_TRY(auto upload, importer_.blobs_.start(made.sha256, made.size));
  std::string chunk(kChunk, '\0');
  for (ByteCount at = 0; at < made.size;) {
    const ssize_t got = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(at));
    if (got <= 0) return fail(Code::io_failed, "the delta that was made cannot be read back");
    GODWIT_TRY_VOID(upload->write({chunk.data(), static_cast<std::size_t>(got)}));
    at += static_cast<ByteCount>(got);
  }
  GODWIT_TRY(added_[made.sha256], upload->finish());
  return {};
}

Result<void> Importer::Run::add_delta(manifest::File& file, const manifest::File& source) {
  const auto source_size = importer_.blobs_.size_of(source.sha256());
  if (!source_size || !*source_size || source.sha256() == file.sha256()) return {};
  const std::string source_hash = base64_encode(source.sha256());
  if (has_delta_from(file, source_hash)) return {};
  if (std::max(file.size, **source_size) > importer_.options_.deltas.largest_file) return {};
  // Without a name: a kill leaves nothing behind.
  const UniqueFd scratch(::open(importer_.options_.deltas.folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!scratch) return tl::unexpected<Error>{error_from_errno("make a file for a delta", errno)};
  GODWIT_TRY(const auto made, make_delta(source.sha256(), file.sha256(), scratch.get()));
  if (!made) {
    ++delta_counts_.dropped;
    return {};
  }
  GODWIT_TRY_VOID(store_delta(*made, scratch.get()));
  manifest::FileBase related;
  related.file_name = fmt::format("{}.delta", hex_encode(made->sha256).substr(0, 32));
  related.size = made->size;
  related.hashes["sha256"] = base64_encode(made->sha256);
  related.properties = {{"microsoft.sourceFileHash", source_hash}, {"microsoft.sourceFileHashAlgorithm", "sha256"}};
  auto scan = scan_file(related);
  if (!scan) return fail(scan.error().code, "it was not scanned: " + scan.error().message);
  scans_.emplace(made->sha256, *std::move(scan));
  file.related_files.push_back(std::move(related));
  ++delta_counts_.made;
  delta_counts_.saved_bytes += file.size - made->size;
  importer_.log_.info(
      "import.delta",
      {{"operation", operation_.id}, {"file", file.file_name}, {"bytes", made->size}, {"of", file.size}});
  return {};
}

/// Files that name microsoft/delta:1 get deltas from what devices have. Nothing of this may fail an import, but a stop.
Imported<void> Importer::Run::make_deltas() {
  if (importer_.options_.deltas.versions == 0) return {};
  for (PlannedUpdate& update : updates_) {
    const bool wants_any = std::ranges::any_of(
        update.manifest.files, [](const manifest::File& file) { return file.download_handler == kHandler; });
    if (!wants_any) continue;
    const auto versions = installed_versions(update.manifest.update_id);
    if (!versions) return internal_failure(versions.error());
    for (const UpdateId& version : *versions)
      if (auto made = make_deltas_from(update, version); !made) {
        if (made.error().code == Code::cancelled) {
          was_cancelled_ = true;
          return internal_failure(made.error());
        }
        importer_.log_.warning(
            "import.no_delta",
            {{"operation", operation_.id}, {"from", version.str()}, {"reason", made.error().message}});
      }
    if (delta_counts_.made > 0) update.text = manifest::print_import_manifest(update.manifest);
  }
  importer_.note_deltas(delta_counts_);
  return {};
}

Result<void> Importer::Run::make_deltas_from(PlannedUpdate& update, const UpdateId& version) {
  std::optional<store::UpdateRecord> installed;
  GODWIT_TRY_VOID(importer_.store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(installed, records.catalog().find_update(version));
    return {};
  }));
  if (!installed) return {};  // deleted since
  GODWIT_TRY(const auto old, manifest::parse_import_manifest(installed->import_manifest));
  for (manifest::File& file : update.manifest.files) {
    if (file.download_handler != kHandler || file.related_files.size() >= kRelatedFilesMax) continue;
    if (const auto* source = ancestor_of(file, old)) GODWIT_TRY_VOID(add_delta(file, *source));
  }
  return {};
}

}  // namespace godwit::service
