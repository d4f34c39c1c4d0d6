// Imported updates, what devices are offered of them, and the operations that import and delete them.
// Part of a transaction, see store.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/model/compatibility.hpp"
#include "core/model/update_id.hpp"
#include "server/store/operation_status.hpp"

namespace godwit::store {

/// What lists and planners need of an update, without its manifest.
struct UpdateSummary {
  UpdateId id{};
  std::string description{};
  std::string friendly_name{};
  bool is_deployable = true;
  std::vector<CompatibilitySet> compatibility{};
};

/// What a malware scan said of one payload.
struct FileScan {
  std::string result{};   // "Success", "NotScanned"
  std::string details{};  // who said so, or why nobody did
  friend bool operator==(const FileScan&, const FileScan&) = default;
};

/// One imported update. Immutable once inserted.
struct UpdateRecord {
  UpdateSummary summary{};
  std::string import_manifest{};       // as imported, checked; the source of steps and files
  std::vector<UpdateId> references{};  // children, in step order, each once
  std::vector<Bytes> blobs{};          // every blob it needs to stay, each once
  std::string scan_result{};           // of all payloads together
  std::string scan_details{};
  std::map<Bytes, FileScan> file_scans{};  // by SHA-256; empty for updates of before there were scans
  std::string etag{};                      // a GUID, without quotes
  WallTime imported{};
};

/// What a device of one manifest version is sent: exact signed bytes, and which blob stands behind each file id.
struct OfferFile {
  Bytes sha256{};
  std::string name{};
  friend bool operator==(const OfferFile&, const OfferFile&) = default;
};
struct OfferRecord {
  std::string whole_manifest{};  // the whole update manifest, compact JSON
  std::string manifest{};        // what goes into the twin: the same, or a mini manifest that points at it
  std::string signature{};       // over `manifest`
  std::map<std::string, OfferFile>
      files{};  // file id -> blob: payloads, related files, detached manifests, files of children
  friend bool operator==(const OfferRecord&, const OfferRecord&) = default;
};

/// One offer by its place, with the bytes that are signed.
struct OfferKey {
  std::int64_t update = 0;  // ordered as the updates came
  int manifest_version = 0;
  friend auto operator<=>(const OfferKey&, const OfferKey&) = default;
};
struct OfferToSign {
  OfferKey key{};
  std::string manifest{};
};

enum class OperationKind : std::uint8_t { import_update = 0, delete_update = 1 };

struct OperationRecord {
  std::string id{};  // a GUID
  OperationKind kind = OperationKind::import_update;
  OperationStatus status = OperationStatus::not_started;
  std::string request{};             // JSON; enough to run it again after a restart
  std::optional<UpdateId> update{};  // once the manifest is understood
  std::string update_description{};
  std::string update_friendly_name{};
  std::string error{};  // JSON object in the shape of the API, when failed
  std::string trace_id{};
  std::string etag{};  // a GUID, changes at each save
  WallTime created{};
  WallTime last_action{};
};

/// Which updates a list wants. Text is matched blind to case as a substring of provider, name, version, description,
/// friendly name.
struct UpdateQuery {
  std::string search{};
  std::optional<bool> is_deployable{};
  std::string provider{};           // exact; "" = any
  std::string name{};               // exact; "" = any
  std::optional<UpdateId> after{};  // the last one of the page before
  std::size_t limit = 100;
};

class CatalogRecords {
 public:
  virtual ~CatalogRecords() = default;

  [[nodiscard]] virtual Result<std::optional<UpdateRecord>> find_update(const UpdateId& id) = 0;
  [[nodiscard]] virtual Result<std::optional<UpdateSummary>> find_summary(const UpdateId& id) = 0;
  /// By provider, name, then version upwards.
  [[nodiscard]] virtual Result<std::vector<UpdateRecord>> list_updates(const UpdateQuery& query) = 0;
  /// Every deployable update, in the same order.
  [[nodiscard]] virtual Result<std::vector<UpdateSummary>> list_deployable() = 0;
  [[nodiscard]] virtual Result<std::vector<std::string>> list_providers() = 0;
  [[nodiscard]] virtual Result<std::vector<std::string>> list_names(const std::string& provider) = 0;
  /// How many updates there are; "" = of any provider, of any name.
  [[nodiscard]] virtual Result<std::uint64_t> count_updates(const std::string& provider, const std::string& name) = 0;
  /// Parents that refer to `id`.
  [[nodiscard]] virtual Result<std::vector<UpdateId>> referenced_by(const UpdateId& id) = 0;
  /// Another provider/name that already owns exactly this set; nullopt: free, or owned by `id`'s own provider and name.
  [[nodiscard]] virtual Result<std::optional<UpdateId>> owner_of_set(const CompatibilitySet& set,
                                                                     const UpdateId& id) = 0;
  /// `offers`: update manifest version (4, 5) -> offer. Errors: conflict when the id exists.
  [[nodiscard]] virtual Result<void> insert_update(const UpdateRecord& update,
                                                   const std::map<int, OfferRecord>& offers) = 0;
  [[nodiscard]] virtual Result<bool> remove_update(const UpdateId& id) = 0;  // false: there was none
  [[nodiscard]] virtual Result<std::optional<OfferRecord>> find_offer(const UpdateId& id, int manifest_version) = 0;
  /// True if some update needs this blob.
  [[nodiscard]] virtual Result<bool> is_blob_needed(const Bytes& sha256) = 0;

  [[nodiscard]] virtual Result<void> insert_operation(const OperationRecord& operation) = 0;
  [[nodiscard]] virtual Result<void> save_operation(const OperationRecord& operation) = 0;
  [[nodiscard]] virtual Result<std::optional<OperationRecord>> find_operation(const std::string& id) = 0;
  /// Imports only, newest first; `after` = id of the last one of the page before ("" = from the newest).
  [[nodiscard]] virtual Result<std::vector<OperationRecord>> list_imports(bool only_unfinished,
                                                                          const std::string& after,
                                                                          std::size_t limit) = 0;
  /// Every kind, oldest first: what a restart has to take up again.
  [[nodiscard]] virtual Result<std::vector<OperationRecord>> unfinished_operations(std::size_t limit) = 0;
  /// Forgets finished operations whose last action is before `time`; gives how many.
  [[nodiscard]] virtual Result<std::uint64_t> forget_operations_before(WallTime time) = 0;

  /// Offers behind `after` whose signature does not begin with `head`, in order of their keys.
  [[nodiscard]] virtual Result<std::vector<OfferToSign>> list_signed_otherwise(const std::string& head, OfferKey after,
                                                                               std::size_t limit) = 0;
  [[nodiscard]] virtual Result<void> replace_signature(OfferKey offer, const std::string& signature) = 0;
};

}  // namespace godwit::store
