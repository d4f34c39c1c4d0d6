#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "server/service/import/importer.hpp"
#include "server/service/import/prepare.hpp"

namespace godwit::service {
namespace {

Imported<void> exceeded(const char* inner, const UpdateId& id, std::string message) {
  return import_failure(Code::conflict, "UpdateLimitExceeded", inner, fmt::format("{}: {}", id.str(), message));
}

/// `known`: names that are there; the request's own come on top. Gives the first name that is one too many.
std::optional<std::string> first_beyond(std::vector<std::string> known, const std::vector<std::string>& wanted,
                                        std::uint64_t limit) {
  std::set<std::string> all(known.begin(), known.end());
  for (const std::string& name : wanted)
    if (all.insert(name).second && all.size() > limit) return name;
  return std::nullopt;
}

Imported<void> check_providers(store::CatalogRecords& catalog, const std::vector<PlannedUpdate>& updates,
                               std::uint64_t limit) {
  if (limit == 0) return {};
  auto known = catalog.list_providers();
  if (!known) return internal_failure(std::move(known).error());
  std::vector<std::string> wanted;
  for (const PlannedUpdate& update : updates) wanted.push_back(update.manifest.update_id.provider);
  const auto beyond = first_beyond(*std::move(known), wanted, limit);
  if (!beyond) return {};
  const auto which = std::find(wanted.begin(), wanted.end(), *beyond) - wanted.begin();
  return exceeded("UpdateProvider", updates[static_cast<std::size_t>(which)].manifest.update_id,
                  fmt::format("there are {} providers already, and no more are allowed", limit));
}

Imported<void> check_names(store::CatalogRecords& catalog, const std::vector<PlannedUpdate>& updates,
                           std::uint64_t limit) {
  if (limit == 0) return {};
  for (const PlannedUpdate& update : updates) {
    const UpdateId& id = update.manifest.update_id;
    auto known = catalog.list_names(id.provider);
    if (!known) return internal_failure(std::move(known).error());
    std::vector<std::string> wanted;
    for (const PlannedUpdate& other : updates)
      if (other.manifest.update_id.provider == id.provider) wanted.push_back(other.manifest.update_id.name);
    if (first_beyond(*std::move(known), wanted, limit) == id.name)
      return exceeded("UpdateName", id,
                      fmt::format("the provider has {} names already, and no more are allowed", limit));
  }
  return {};
}

Imported<void> check_versions(store::CatalogRecords& catalog, const std::vector<PlannedUpdate>& updates,
                              const Quotas& quotas) {
  if (quotas.versions_per_name != 0)
    for (const PlannedUpdate& update : updates) {
      const UpdateId& id = update.manifest.update_id;
      const auto known = catalog.count_updates(id.provider, id.name);
      if (!known) return internal_failure(known.error());
      const auto wanted = std::count_if(updates.begin(), updates.end(), [&](const PlannedUpdate& other) {
        return other.manifest.update_id.provider == id.provider && other.manifest.update_id.name == id.name;
      });
      if (*known + static_cast<std::uint64_t>(wanted) > quotas.versions_per_name)
        return exceeded("UpdateVersion", id,
                        fmt::format("the name has {} versions already, allowed are {}; delete old ones", *known,
                                    quotas.versions_per_name));
    }
  if (quotas.updates == 0) return {};
  const auto known = catalog.count_updates("", "");
  if (!known) return internal_failure(known.error());
  if (*known + updates.size() > quotas.updates)
    return exceeded(
        "UpdateCount", updates.front().manifest.update_id,
        fmt::format("there are {} updates already, allowed are {}; delete old ones", *known, quotas.updates));
  return {};
}

Imported<void> check_sizes(const std::vector<PlannedUpdate>& updates, const Quotas& quotas) {
  std::set<Bytes> seen;
  ByteCount sum = 0;
  for (const PlannedUpdate& update : updates) {
    const UpdateId& id = update.manifest.update_id;
    for (const manifest::FileBase* file : all_files(update.manifest)) {
      if (quotas.file_size != 0 && file->size > quotas.file_size)
        return exceeded(
            "UpdateFileSize", id,
            fmt::format("the file '{}' has {} bytes, allowed are {}", file->file_name, file->size, quotas.file_size));
      if (seen.insert(file->sha256()).second) sum += file->size;
    }
    if (quotas.import_size != 0 && sum > quotas.import_size)
      return exceeded("UpdateImportSize", id,
                      fmt::format("the files of the request have {} bytes, allowed are {}", sum, quotas.import_size));
  }
  return {};
}

}  // namespace

Imported<void> check_quotas(store::CatalogRecords& catalog, const std::vector<PlannedUpdate>& updates,
                            const Quotas& quotas) {
  if (auto outcome = check_sizes(updates, quotas); !outcome) return outcome;
  if (auto outcome = check_providers(catalog, updates, quotas.providers); !outcome) return outcome;
  if (auto outcome = check_names(catalog, updates, quotas.names_per_provider); !outcome) return outcome;
  return check_versions(catalog, updates, quotas);
}

}  // namespace godwit::service
