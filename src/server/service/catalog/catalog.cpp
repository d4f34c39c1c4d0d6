#include "server/service/catalog/catalog.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/manifest/update_manifest.hpp"
#include "server/service/catalog/describe.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kPageLimit = 100;

tl::unexpected<Error> no_update(const UpdateId& id) {
  return fail(Code::not_found, "the update " + id.str() + " does not exist");
}

Result<store::UpdateRecord> need_update(store::Records& records, const UpdateId& id) {
  GODWIT_TRY(auto found, records.catalog().find_update(id));
  if (!found) return no_update(id);
  return *std::move(found);
}

/// "Contoso/Toaster/1.2.0", as UpdateId::str() writes it.
Result<UpdateId> read_token(const std::string& token) {
  const auto first = token.find('/');
  const auto second = first == std::string::npos ? first : token.find('/', first + 1);
  if (second == std::string::npos) return fail(Code::invalid_argument, "the page token is not one of this service");
  return UpdateId::parse(token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1));
}

Result<void> check_removable(store::Records& records, const UpdateId& id, const Catalog::IsInUse& is_in_use) {
  GODWIT_TRY(const auto parents, records.catalog().referenced_by(id));
  if (!parents.empty())
    return fail(Code::conflict,
                fmt::format("the update {} is referred to by {}; delete that first", id.str(), parents.front().str()));
  if (!is_in_use) return {};
  GODWIT_TRY(const bool is_wanted, is_in_use(records, id));
  if (is_wanted)
    return fail(Code::conflict, fmt::format("the update {} is in an active deployment; cancel that first", id.str()));
  return {};
}

store::OperationRecord deletion_of(const store::UpdateRecord& update, WallTime now) {
  json::Array blobs;
  for (const Bytes& sha256 : update.blobs) blobs.emplace_back(hex_encode(sha256));
  return {.id = random_guid(),
          .kind = store::OperationKind::delete_update,
          .request = json::print(json::Object{{"blobs", std::move(blobs)}}),
          .update = update.summary.id,
          .update_description = update.summary.description,
          .update_friendly_name = update.summary.friendly_name,
          .trace_id = hex_encode(random_bytes(16)),
          .etag = random_guid(),
          .created = now,
          .last_action = now};
}

}  // namespace

Result<Offer> Catalog::offer_for(store::Records& records, const UpdateId& id, ContractModel model) const {
  GODWIT_TRY(auto found, records.catalog().find_offer(id, model == ContractModel::v1 ? 4 : 5));
  if (!found) return no_update(id);
  const bool is_detached = found->manifest != found->whole_manifest;
  return Offer{.manifest = std::move(found->manifest),
               .signature = std::move(found->signature),
               .is_detached = is_detached,
               .files = std::move(found->files)};
}

Result<json::Object> Catalog::describe(const UpdateId& id) const {
  json::Object object;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto update, need_update(records, id));
    GODWIT_TRY(const auto parents, records.catalog().referenced_by(id));
    GODWIT_TRY(object, describe_update(update, parents));
    return {};
  }));
  return object;
}

Result<Catalog::Page> Catalog::list(store::UpdateQuery query, const std::string& token) const {
  if (!token.empty()) {
    GODWIT_TRY(query.after, read_token(token));
  }
  const std::size_t limit = std::min(query.limit, kPageLimit);
  query.limit = limit + 1;
  Page page;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto updates, records.catalog().list_updates(query));
    if (updates.size() > limit) {
      updates.resize(limit);
      page.next_token = updates.back().summary.id.str();
    }
    for (const store::UpdateRecord& update : updates) {
      GODWIT_TRY(const auto parents, records.catalog().referenced_by(update.summary.id));
      GODWIT_TRY(auto described, describe_update(update, parents));
      page.values.emplace_back(std::move(described));
    }
    return {};
  }));
  return page;
}

Result<std::vector<std::string>> Catalog::providers() const {
  std::vector<std::string> names;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(names, records.catalog().list_providers());
    return {};
  }));
  return names;
}

Result<std::vector<std::string>> Catalog::names(const std::string& provider) const {
  std::vector<std::string> names;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(names, records.catalog().list_names(provider));
    return {};
  }));
  if (names.empty()) return fail(Code::not_found, "no update has the provider '" + provider.substr(0, 64) + "'");
  return names;
}

Result<std::vector<std::string>> Catalog::versions(const std::string& provider, const std::string& name,
                                                   std::optional<bool> is_deployable) const {
  std::vector<std::string> versions;
  bool is_known = false;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    store::UpdateQuery query{.provider = provider, .name = name, .limit = kPageLimit};
    if (provider.empty() || name.empty()) return {};
    for (;;) {
      GODWIT_TRY(const auto updates, records.catalog().list_updates(query));
      for (const store::UpdateRecord& update : updates) {
        is_known = true;
        if (!is_deployable || update.summary.is_deployable == *is_deployable)
          versions.push_back(update.summary.id.version.str());
      }
      if (updates.size() < query.limit) return {};
      query.after = updates.back().summary.id;
    }
  }));
  if (!is_known)
    return fail(Code::not_found, "no update has the provider '" + provider.substr(0, 64) + "' and the name '" +
                                     name.substr(0, 64) + "'");
  return versions;
}

Result<std::vector<std::string>> Catalog::file_ids(const UpdateId& id) const {
  std::vector<std::string> ids;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto update, need_update(records, id));
    GODWIT_TRY(const auto manifest, manifest::parse_import_manifest(update.import_manifest));
    for (const manifest::File& file : manifest.files) ids.push_back(manifest::make_file_id(id, file.file_name));
    return {};
  }));
  return ids;
}

Result<json::Object> Catalog::describe_file(const UpdateId& id, const std::string& file_id) const {
  json::Object object;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto update, need_update(records, id));
    GODWIT_TRY(const auto manifest, manifest::parse_import_manifest(update.import_manifest));
    for (const manifest::File& file : manifest.files)
      if (manifest::make_file_id(id, file.file_name) == file_id) object = service::describe_file(update, file);
    return {};
  }));
  if (object.empty())
    return fail(Code::not_found, fmt::format("the update {} has no file '{}'", id.str(), file_id.substr(0, 64)));
  return object;
}

Result<std::string> Catalog::remove(const UpdateId& id, const std::string& actor) {
  std::string operation_id;
  const auto take_out = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto update, need_update(records, id));
    GODWIT_TRY_VOID(check_removable(records, id, is_in_use_));
    GODWIT_TRY(const bool was_removed, records.catalog().remove_update(id));
    GODWIT_CHECK(was_removed);
    const auto operation = deletion_of(update, clock_.now());
    operation_id = operation.id;
    GODWIT_TRY_VOID(records.catalog().insert_operation(operation));
    GODWIT_TRY_VOID(records.access().append_audit(
        {.at = operation.created, .actor = actor, .action = "update.delete", .subject = id.str()}));
    if (wake_) records.after_commit(wake_);
    return {};
  };
  GODWIT_TRY_VOID(store_.write(take_out));
  return operation_id;
}

Result<json::Object> Catalog::describe_operation(const std::string& operation_id,
                                                 const std::string& instance_id) const {
  std::optional<store::OperationRecord> operation;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(operation, records.catalog().find_operation(operation_id));
    return {};
  }));
  if (!operation)
    return fail(Code::not_found,
                "there is no operation '" + operation_id.substr(0, 256) + "'; finished ones are kept for 7 days");
  return service::describe_operation(*operation, instance_id);
}

Result<Catalog::Page> Catalog::list_imports(bool only_unfinished, std::size_t top, const std::string& token,
                                            const std::string& instance_id) const {
  const std::size_t limit = std::clamp<std::size_t>(top, 1, kPageLimit);
  Page page;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto operations, records.catalog().list_imports(only_unfinished, token, limit + 1));
    if (operations.size() > limit) {
      operations.resize(limit);
      page.next_token = operations.back().id;
    }
    for (const store::OperationRecord& operation : operations)
      page.values.emplace_back(service::describe_operation(operation, instance_id));
    return {};
  }));
  return page;
}

}  // namespace godwit::service
