#include "server/service/import/importer_run.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace godwit::service {
namespace {

tl::unexpected<ImportFailure> file_failure(const Error& error, std::string_view file_name) {
  return import_failure(error.code, "CannotProcessUpdateFile", "ContentFileCannotDownload",
                        fmt::format("file '{}': {}", file_name, error.message));
}

tl::unexpected<ImportFailure> pass_on(ImportFailure failure) {
  return tl::unexpected<ImportFailure>{std::move(failure)};
}

/// Writes `text` unless it is there; gives its first stamp if it was written.
Result<std::optional<WallTime>> put_text(blobs::Blobs& blobs, const Bytes& digest, std::string_view text) {
  GODWIT_TRY(const auto present, blobs.hold(digest));
  if (present) return std::nullopt;
  GODWIT_TRY(auto upload, blobs.start(digest, text.size()));
  GODWIT_TRY_VOID(upload->write(text));
  GODWIT_TRY(const WallTime stamp, upload->finish());
  return std::optional{stamp};
}

}  // namespace

Imported<void> Importer::Run::import() {
  auto items = parse_import_request(operation_.request);
  if (!items) return internal_failure(std::move(items).error());
  items_ = *std::move(items);
  if (auto read = read_manifests(); !read) return read;
  describe_operation();
  if (auto saved = importer_.save(operation_); !saved) return internal_failure(std::move(saved).error());

  std::vector<std::size_t> order;
  Imported<void> checked;
  auto outcome = importer_.store_.read([&](store::Records& records) -> Result<void> {
    auto result = check_against_catalog(records.catalog(), updates_, importer_.options_.quotas);
    if (result)
      order = *std::move(result);
    else
      checked = pass_on(std::move(result).error());
    return {};
  });
  if (!outcome) return internal_failure(std::move(outcome).error());
  if (!checked) return checked;
  if (auto enough = check_storage(); !enough) return enough;
  if (auto fetched = fetch_files(); !fetched) return fetched;
  if (auto scanned = scan_files(); !scanned) return scanned;
  if (auto deltas = make_deltas(); !deltas) return deltas;
  if (auto made = build(order); !made) return made;
  return store_all();
}

Imported<std::string> Importer::Run::manifest_text(const ImportItem& item) {
  if (const auto* direct = std::get_if<DirectItem>(&item)) return direct->manifest;
  const auto& remote = std::get<UrlItem>(item);
  std::string text;
  auto fetched = importer_.fetcher_.fetch(
      remote.url, remote.size,
      [&text](std::string_view bytes) -> Result<void> {
        text += bytes;
        return {};
      },
      [this] { return importer_.is_stopping(); });
  if (!fetched) {
    was_cancelled_ = fetched.error().code == Code::cancelled;
    return import_failure(fetched.error().code, "CannotProcessImportManifest", "CannotDownload",
                          fetched.error().message);
  }
  if (sha256(text) != remote.sha256)
    return import_failure(
        Code::digest_mismatch, "CannotProcessImportManifest", "CannotDownload",
        fmt::format("the manifest at {} has SHA-256 {}, the request says {}", printable_url(remote.url),
                    base64_encode(sha256(text)), base64_encode(remote.sha256)));
  return text;
}

Imported<void> Importer::Run::read_manifests() {
  for (const ImportItem& item : items_) {
    auto text = manifest_text(item);
    if (!text) return pass_on(std::move(text).error());
    auto planned = plan_update(*std::move(text), friendly_name_of(item));
    if (!planned) return pass_on(std::move(planned).error());
    updates_.push_back(*std::move(planned));
  }
  return {};
}

/// The update an operation is about: the parent, or the first one when there is none.
void Importer::Run::describe_operation() {
  const auto parent = std::find_if(updates_.begin(), updates_.end(),
                                   [](const PlannedUpdate& update) { return !references_of(update.manifest).empty(); });
  const PlannedUpdate& update = parent == updates_.end() ? updates_.front() : *parent;
  operation_.update = update.manifest.update_id;
  operation_.update_description = update.manifest.description;
  operation_.update_friendly_name = update.friendly_name;
}

Imported<void> Importer::Run::fetch_files() {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const auto* remote = std::get_if<UrlItem>(&items_[i]);
    if (remote == nullptr) {
      if (auto present = check_files_present(importer_.blobs_, updates_[i].manifest); !present) return present;
      continue;
    }
    for (const manifest::FileBase* file : all_files(updates_[i].manifest))
      if (auto fetched = fetch_file(*remote, *file); !fetched) return fetched;
  }
  return {};
}

Imported<void> Importer::Run::fetch_file(const UrlItem& item, const manifest::FileBase& file) {
  const auto present = importer_.blobs_.hold(file.sha256());
  if (!present) return file_failure(present.error(), file.file_name);
  if (*present) {
    if (**present == file.size) return {};
    return file_failure(
        {Code::size_mismatch,
         fmt::format("the content with this hash has {} bytes, the manifest says {}", **present, file.size)},
        file.file_name);
  }
  const auto url = item.files.find(file.file_name);
  if (url == item.files.end())
    return file_failure({Code::bad_manifest, "the manifest lists it but the request gives no URL for it"},
                        file.file_name);
  auto fetched = fetch_blob(url->second, file);
  if (fetched) return {};
  was_cancelled_ = fetched.error().code == Code::cancelled;
  return file_failure(fetched.error(), file.file_name);
}

Result<void> Importer::Run::fetch_blob(const std::string& url, const manifest::FileBase& file) {
  GODWIT_TRY(auto upload, importer_.blobs_.start(file.sha256(), file.size));
  GODWIT_TRY_VOID(importer_.fetcher_.fetch(
      url, file.size, [&upload](std::string_view bytes) { return upload->write(bytes); },
      [this] { return importer_.is_stopping(); }));
  GODWIT_TRY(added_[file.sha256()], upload->finish());
  return {};
}

/// Said before anything is fetched; the blobs hold the quota in any case.
Imported<void> Importer::Run::check_storage() {
  std::set<Bytes> missing;
  ByteCount size = 0;
  for (const PlannedUpdate& update : updates_)
    for (const manifest::FileBase* file : all_files(update.manifest)) {
      const auto present = importer_.blobs_.size_of(file->sha256());
      if (!present) return internal_failure(present.error());
      if (!*present && missing.insert(file->sha256()).second) size += file->size;
    }
  const blobs::Usage usage = importer_.blobs_.usage();
  const ByteCount limit = importer_.options_.quotas.storage;
  const ByteCount taken = usage.bytes + usage.reserved;
  if (limit == 0 || size == 0 || (taken <= limit && size <= limit - taken)) return {};
  return import_failure(Code::disk_full, "UpdateLimitExceeded", "UpdateStorage",
                        fmt::format("its files need {} bytes more, {} of {} are taken; delete updates that are no "
                                    "longer needed",
                                    size, taken, limit));
}

Result<store::OfferRecord> Importer::Run::offer_of_child(const UpdateId& child, int version) {
  for (const BuiltUpdate& built : built_)
    if (built.record.summary.id == child) return built.offers.at(version);
  std::optional<store::OfferRecord> offer;
  GODWIT_TRY_VOID(importer_.store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(offer, records.catalog().find_offer(child, version));
    return {};
  }));
  if (!offer) return fail(Code::not_found, fmt::format("the referenced update {} is gone", child.str()));
  return *std::move(offer);
}

Imported<void> Importer::Run::build(const std::vector<std::size_t>& order) {
  for (const std::size_t i : order) {
    auto built = build_update(
        updates_[i], [this](const UpdateId& child, int version) { return offer_of_child(child, version); },
        importer_.identity_, random_guid(), importer_.clock_.now());
    if (!built)
      return import_failure(built.error().code, "CannotProcessImportManifest", "CannotParse", built.error().message);
    note_scans(updates_[i], built->record);
    if (auto put = put_manifest_files(*built); !put) return put;
    built_.push_back(*std::move(built));
  }
  return {};
}

Imported<void> Importer::Run::put_manifest_files(const BuiltUpdate& built) {
  for (const auto& [digest, text] : built.manifest_files) {
    const auto written = put_text(importer_.blobs_, digest, text);
    if (!written) return internal_failure(written.error());
    if (*written) added_[digest] = **written;
  }
  return {};
}

Imported<void> Importer::Run::store_all() {
  Imported<void> checked;
  Operation finished = operation_;
  finished.status = store::OperationStatus::succeeded;
  finished.etag = random_guid();
  finished.last_action = importer_.clock_.now();
  auto outcome = importer_.store_.write([&](store::Records& records) -> Result<void> {
    checked = {};
    if (auto again = check_against_catalog(records.catalog(), updates_, importer_.options_.quotas); !again) {
      checked = pass_on(again.error());
      return fail(again.error().code, again.error().message);
    }
    for (const BuiltUpdate& built : built_)
      GODWIT_TRY_VOID(records.catalog().insert_update(built.record, built.offers));
    return records.catalog().save_operation(finished);
  });
  if (!checked) return checked;
  if (!outcome) return internal_failure(std::move(outcome).error());
  operation_ = std::move(finished);
  return {};
}

}  // namespace godwit::service
