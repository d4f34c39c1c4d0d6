#include "server/service/import/importer.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "server/service/import/importer_run.hpp"

namespace godwit::service {
namespace {

constexpr auto kIdleWait = std::chrono::minutes(30);  // old operations are forgotten at least this often
constexpr auto kRetryWait = std::chrono::seconds(5);

store::OperationRecord new_operation(std::string request, WallTime now) {
  return {.id = random_guid(),
          .kind = store::OperationKind::import_update,
          .status = store::OperationStatus::not_started,
          .request = std::move(request),
          .trace_id = hex_encode(random_bytes(16)),
          .etag = random_guid(),
          .created = now,
          .last_action = now};
}

Result<std::vector<Bytes>> read_digests(std::string_view request) {
  GODWIT_TRY(const auto object, json::parse_object(request));
  GODWIT_TRY(const auto* array, json::array(object, "blobs", "request"));
  std::vector<Bytes> digests;
  for (const json::Value& value : *array) {
    const auto* text = value.if_string();
    if (text == nullptr) return fail(Code::database_failed, "the stored request names a blob that is not a text");
    GODWIT_TRY(auto digest, hex_decode({text->data(), text->size()}));
    digests.push_back(std::move(digest));
  }
  return digests;
}

}  // namespace

std::vector<const manifest::FileBase*> all_files(const manifest::ImportManifest& manifest) {
  std::vector<const manifest::FileBase*> files;
  for (const manifest::File& file : manifest.files) {
    files.push_back(&file);
    for (const manifest::FileBase& related : file.related_files) files.push_back(&related);
  }
  return files;
}

Imported<void> check_files_present(blobs::Blobs& blobs, const manifest::ImportManifest& manifest) {
  const auto refuse = [](Code code, std::string message) {
    return import_failure(code, "CannotProcessUpdateFile", "ContentFileCannotDownload", std::move(message));
  };
  for (const manifest::FileBase* file : all_files(manifest)) {
    const auto size = blobs.hold(file->sha256());
    if (!size) return internal_failure(size.error());
    if (!*size)
      return refuse(Code::bad_manifest, fmt::format("file '{}' (SHA-256 {}) was not uploaded; upload it first",
                                                    file->file_name, hex_encode(file->sha256())));
    if (**size != file->size)
      return refuse(Code::bad_manifest,
                    fmt::format("file '{}' has {} bytes, the manifest says {}", file->file_name, **size, file->size));
  }
  return {};
}

Importer::Importer(store::Store& store, blobs::Blobs& blobs, Fetcher& fetcher, Clock& clock, Log& log,
                   SigningIdentity identity, ImportOptions options)
    : store_(store),
      blobs_(blobs),
      fetcher_(fetcher),
      clock_(clock),
      log_(log),
      identity_(std::move(identity)),
      options_(options) {}

Importer::~Importer() { stop(); }

// ---- asking ------------------------------------------------------------------------------------------------------

Imported<void> Importer::check_direct(const std::vector<ImportItem>& items) {
  std::vector<PlannedUpdate> planned;
  for (const ImportItem& item : items) {
    const auto* direct = std::get_if<DirectItem>(&item);
    if (direct == nullptr) return {};  // what is fetched later is checked later, and with it what comes along
    auto update = plan_update(direct->manifest, direct->friendly_name);
    if (!update) return tl::unexpected{std::move(update).error()};
    if (auto present = check_files_present(blobs_, update->manifest); !present) return present;
    planned.push_back(*std::move(update));
  }
  Imported<void> checked;
  auto outcome = store_.read([&](store::Records& records) -> Result<void> {
    if (auto order = check_against_catalog(records.catalog(), planned, options_.quotas); !order)
      checked = tl::unexpected{std::move(order).error()};
    return {};
  });
  if (!outcome) return internal_failure(std::move(outcome).error());
  return checked;
}

Imported<std::string> Importer::start(const std::vector<ImportItem>& items, const std::string& actor) {
  if (auto checked = check_direct(items); !checked) return tl::unexpected{std::move(checked).error()};
  const Operation operation = new_operation(print_import_request(items), clock_.now());
  auto outcome = store_.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto unfinished, records.catalog().unfinished_operations(kUnfinishedLimit));
    if (unfinished.size() >= kUnfinishedLimit)
      return fail(Code::too_many,
                  fmt::format("{} imports are waiting already; try again when some are done", unfinished.size()));
    GODWIT_TRY_VOID(records.catalog().insert_operation(operation));
    GODWIT_TRY_VOID(records.access().append_audit(
        {.at = operation.created, .actor = actor, .action = "update.import", .subject = operation.id}));
    records.after_commit([this] { wake(); });
    return {};
  });
  if (!outcome) {
    Error error = std::move(outcome).error();
    return import_failure(error.code, error.code == Code::too_many ? "TooManyRequests" : "InternalError", "",
                          std::move(error.message));
  }
  return operation.id;
}

// ---- the thread --------------------------------------------------------------------------------------------------

void Importer::begin() {
  GODWIT_CHECK(!thread_.joinable());
  is_stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void Importer::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Importer::wake() {
  {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  wake_.notify_all();
}

bool Importer::pause(Duration time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return is_stopping_; });
}

bool Importer::is_stopping() {
  const std::lock_guard lock(mutex_);
  return is_stopping_;
}

void Importer::run() {
  while (!is_stopping()) {
    auto outcome = work_off();
    if (outcome) outcome = forget_old_operations();
    if (outcome) outcome = sweep_if_due();
    if (!outcome)
      log_.error("import.stuck",
                 {{"why", outcome.error().message}, {"retry_after_s", std::chrono::seconds(kRetryWait).count()}});
    std::unique_lock lock(mutex_);
    // After a failure of the store a new wake-up must not turn into a busy loop.
    if (!outcome)
      wake_.wait_for(lock, kRetryWait, [this] { return is_stopping_; });
    else
      wake_.wait_for(lock, kIdleWait, [this] { return is_stopping_ || is_woken_; });
    is_woken_ = false;
  }
}

Result<void> Importer::work_off() {
  while (!is_stopping()) {
    std::vector<Operation> next;
    GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(next, records.catalog().unfinished_operations(1));
      return {};
    }));
    if (next.empty()) return {};
    const bool is_import = next.front().kind == store::OperationKind::import_update;
    GODWIT_TRY_VOID(is_import ? work_off(std::move(next.front())) : free_blobs(std::move(next.front())));
  }
  return {};
}

Result<void> Importer::work_off(Operation operation) {
  operation.status = store::OperationStatus::running;
  GODWIT_TRY_VOID(save(operation));
  Run run(*this, operation);
  if (auto imported = run.import(); !imported) {
    if (run.was_cancelled())
      return {};  // the server stops: the operation stays unfinished, what it fetched is used again
    GODWIT_TRY_VOID(remove_unneeded(run.added()));
    GODWIT_TRY_VOID(remove_condemned(run.condemned()));
    return finish_failed(std::move(operation), imported.error());
  }
  log_.info("import.succeeded", {{"operation", operation.id}, {"update", operation.update->str()}});
  return {};
}

Result<void> Importer::save(Operation& operation) {
  operation.etag = random_guid();
  operation.last_action = clock_.now();
  return store_.write([&](store::Records& records) { return records.catalog().save_operation(operation); });
}

Result<void> Importer::finish_failed(Operation operation, const ImportFailure& failure) {
  operation.status = store::OperationStatus::failed;
  json::Object error = to_json(failure);
  error["occurredDateTime"] = format_time_7(clock_.now());
  operation.error = json::print(error);
  log_.warning(
      "import.failed",
      {{"operation", operation.id}, {"code", failure.outer}, {"inner", failure.inner}, {"why", failure.message}});
  return save(operation);
}

Result<void> Importer::free_blobs(Operation operation) {
  GODWIT_TRY(const auto digests, read_digests(operation.request));
  // Somebody who asked for one of them since is about to refer to it.
  std::map<Bytes, WallTime> freed;
  for (const Bytes& digest : digests) freed.emplace(digest, operation.created - Duration{1});
  GODWIT_TRY_VOID(remove_unneeded(freed));
  operation.status = store::OperationStatus::succeeded;
  return save(operation);
}

Result<void> Importer::forget_old_operations() {
  return store_.write([this](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto count, records.catalog().forget_operations_before(clock_.now() - kKeepOperations));
    if (count > 0)
      records.after_commit([this, count] { log_.info("import.operations_forgotten", {{"count", count}}); });
    return {};
  });
}

}  // namespace godwit::service
