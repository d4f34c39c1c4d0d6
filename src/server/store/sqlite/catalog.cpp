#include "server/store/sqlite/catalog.hpp"

#include <fmt/format.h>

namespace godwit::store::sqlite {
namespace {

constexpr const char* kSummaryColumns =
    "provider, name, version, description, friendly_name, is_deployable, compatibility";
constexpr const char* kUpdateColumns =
    "provider, name, version, description, friendly_name, is_deployable, compatibility, import_manifest, scan_result, "
    "scan_details, etag, imported, update_key, file_scans";
constexpr const char* kWhereId = " WHERE provider = ? AND name = ? AND version_key = ?";

std::string set_text(const CompatibilitySet& set) { return json::print(to_json(set)); }

std::string print_sets(const std::vector<CompatibilitySet>& sets) {
  json::Array array;
  for (const CompatibilitySet& set : sets) array.emplace_back(to_json(set));
  return json::print(json::Value(std::move(array)));
}

Result<std::vector<CompatibilitySet>> read_sets(std::string_view text) {
  GODWIT_TRY(const auto value, stored_json(text, "compatibility"));
  if (!value.is_array()) return fail(Code::database_failed, "stored compatibility is not a JSON array");
  std::vector<CompatibilitySet> sets;
  for (const json::Value& item : value.get_array()) {
    GODWIT_TRY(auto set, compatibility_set_from_json(item, "stored compatibility"));
    sets.push_back(std::move(set));
  }
  return sets;
}

std::string print_scans(const std::map<Bytes, FileScan>& scans) {
  json::Object object;
  for (const auto& [sha256, scan] : scans) object[hex_encode(sha256)] = json::Array{scan.result, scan.details};
  return json::print(object);
}

Result<std::map<Bytes, FileScan>> read_scans(std::string_view text) {
  GODWIT_TRY(const auto object, stored_object(text, "scans of an update"));
  std::map<Bytes, FileScan> scans;
  for (const auto& member : object) {
    const auto* pair = member.value().if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string())
      return fail(Code::database_failed, "stored scans of an update have an unexpected shape");
    GODWIT_TRY(auto sha256, hex_decode(member.key()));
    scans.emplace(std::move(sha256), FileScan{.result = std::string(std::string_view((*pair)[0].get_string())),
                                              .details = std::string(std::string_view((*pair)[1].get_string()))});
  }
  return scans;
}

Result<UpdateSummary> read_summary(Statement& row) {
  GODWIT_TRY(auto id, UpdateId::parse(row.text_view(0), row.text_view(1), row.text_view(2)));
  GODWIT_TRY(auto sets, read_sets(row.text_view(6)));
  return UpdateSummary{.id = std::move(id),
                       .description = row.text(3),
                       .friendly_name = row.text(4),
                       .is_deployable = row.boolean(5),
                       .compatibility = std::move(sets)};
}

Result<UpdateRecord> read_update(Statement& row) {
  GODWIT_TRY(auto summary, read_summary(row));
  GODWIT_TRY(auto scans, read_scans(row.text_view(13)));
  return UpdateRecord{.summary = std::move(summary),
                      .import_manifest = row.text(7),
                      .scan_result = row.text(8),
                      .scan_details = row.text(9),
                      .file_scans = std::move(scans),
                      .etag = row.text(10),
                      .imported = row.time(11)};
}

std::string print_files(const std::map<std::string, OfferFile>& files) {
  json::Object object;
  for (const auto& [id, file] : files)
    object[id] = json::Array{json::Value(hex_encode(file.sha256)), json::Value(file.name)};
  return json::print(object);
}

Result<std::map<std::string, OfferFile>> read_files(std::string_view text) {
  GODWIT_TRY(const auto object, stored_object(text, "files of an offer"));
  std::map<std::string, OfferFile> files;
  for (const auto& member : object) {
    const auto* pair = member.value().if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string())
      return fail(Code::database_failed, "stored files of an offer have an unexpected shape");
    const auto& hex = (*pair)[0].get_string();
    const auto& name = (*pair)[1].get_string();
    GODWIT_TRY(auto sha256, hex_decode({hex.data(), hex.size()}));
    files.emplace(member.key(), OfferFile{.sha256 = std::move(sha256), .name = {name.data(), name.size()}});
  }
  return files;
}

/// A LIKE pattern that finds `text` anywhere, with the wildcards of LIKE taken literally.
std::string contains_pattern(std::string_view text) {
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + "%";
}

template <class Row, class Read>
Result<std::vector<Row>> collect(Statement& statement, Read read) {
  std::vector<Row> rows;
  for (;;) {
    GODWIT_TRY(const bool is_there, statement.next());
    if (!is_there) return rows;
    GODWIT_TRY(auto row, read(statement));
    rows.push_back(std::move(row));
  }
}

}  // namespace

std::string version_key(const Version& version) {
  const std::string text = version.str();
  std::string key;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('.', at), text.size());
    key += fmt::format("{}{:0>10}", key.empty() ? "" : ".", text.substr(at, end - at));
    at = end + 1;
  }
  return key;
}

Result<std::optional<std::int64_t>> SqliteCatalog::key_of(const UpdateId& id) {
  GODWIT_TRY(auto row, connection_.prepare(fmt::format("SELECT update_key FROM updates{}", kWhereId)));
  GODWIT_TRY(const bool is_there, row.bind(id.provider, id.name, version_key(id.version)).next());
  if (!is_there) return std::nullopt;
  return row.integer(0);
}

Result<void> SqliteCatalog::read_dependents(std::int64_t key, UpdateRecord& update) {
  GODWIT_TRY(auto child,
             connection_.prepare("SELECT u.provider, u.name, u.version FROM update_references r JOIN updates u ON "
                                 "u.update_key = r.child_key WHERE r.parent_key = ? ORDER BY r.position"));
  child.bind(key);
  GODWIT_TRY(update.references, collect<UpdateId>(child, [](Statement& row) {
               return UpdateId::parse(row.text_view(0), row.text_view(1), row.text_view(2));
             }));
  GODWIT_TRY(auto blob, connection_.prepare("SELECT sha256 FROM update_blobs WHERE update_key = ? ORDER BY sha256"));
  blob.bind(key);
  GODWIT_TRY(update.blobs, collect<Bytes>(blob, [](Statement& row) { return Result<Bytes>{row.blob(0)}; }));
  return {};
}

Result<std::optional<UpdateRecord>> SqliteCatalog::find_update(const UpdateId& id) {
  GODWIT_TRY(auto row, connection_.prepare(fmt::format("SELECT {} FROM updates{}", kUpdateColumns, kWhereId)));
  GODWIT_TRY(const bool is_there, row.bind(id.provider, id.name, version_key(id.version)).next());
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto update, read_update(row));
  GODWIT_TRY_VOID(read_dependents(row.integer(12), update));
  return update;
}

Result<std::optional<UpdateSummary>> SqliteCatalog::find_summary(const UpdateId& id) {
  GODWIT_TRY(auto row, connection_.prepare(fmt::format("SELECT {} FROM updates{}", kSummaryColumns, kWhereId)));
  GODWIT_TRY(const bool is_there, row.bind(id.provider, id.name, version_key(id.version)).next());
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto summary, read_summary(row));
  return summary;
}

Result<std::vector<UpdateRecord>> SqliteCatalog::list_updates(const UpdateQuery& query) {
  // Every condition is always there, so that one prepared statement serves all queries; the catalog is small.
  GODWIT_TRY(auto row, connection_.prepare(
                           fmt::format("SELECT {} FROM updates WHERE (?1 IS NULL OR is_deployable = ?1) AND (?2 = '' "
                                       "OR provider = ?2) AND (?3 = '' OR name = ?3)"
                                       " AND (?4 IS NULL OR (provider, name, version_key) > (?4, ?5, ?6))"
                                       " AND (?7 IS NULL OR (provider || char(10) || name || char(10) || version || "
                                       "char(10) || description || char(10) || friendly_name) LIKE ?7 ESCAPE '\\')"
                                       " ORDER BY provider, name, version_key LIMIT ?8",
                                       kUpdateColumns)));
  std::optional<std::string> pattern;
  if (!query.search.empty()) pattern = contains_pattern(query.search);
  row.bind(query.is_deployable, query.provider, query.name);
  if (query.after)
    row.bind(query.after->provider, query.after->name, version_key(query.after->version));
  else
    row.bind(nullptr, nullptr, nullptr);
  row.bind(pattern, query.limit);
  return collect<UpdateRecord>(row, [this](Statement& found) -> Result<UpdateRecord> {
    GODWIT_TRY(auto update, read_update(found));
    GODWIT_TRY_VOID(read_dependents(found.integer(12), update));
    return update;
  });
}

Result<std::vector<UpdateSummary>> SqliteCatalog::list_deployable() {
  GODWIT_TRY(auto row, connection_.prepare(fmt::format(
                           "SELECT {} FROM updates WHERE is_deployable = 1 ORDER BY provider, name, version_key",
                           kSummaryColumns)));
  return collect<UpdateSummary>(row, read_summary);
}

Result<std::vector<std::string>> SqliteCatalog::list_providers() {
  GODWIT_TRY(auto row, connection_.prepare("SELECT DISTINCT provider FROM updates ORDER BY provider"));
  return collect<std::string>(row, [](Statement& found) { return Result<std::string>{found.text(0)}; });
}

Result<std::vector<std::string>> SqliteCatalog::list_names(const std::string& provider) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT DISTINCT name FROM updates WHERE provider = ? ORDER BY name"));
  row.bind(provider);
  return collect<std::string>(row, [](Statement& found) { return Result<std::string>{found.text(0)}; });
}

Result<std::uint64_t> SqliteCatalog::count_updates(const std::string& provider, const std::string& name) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT count(*) FROM updates WHERE (?1 = '' OR provider = ?1) AND (?2 = '' "
                                           "OR name = ?2)"));
  GODWIT_TRY_VOID(row.bind(provider, name).next());
  return static_cast<std::uint64_t>(row.integer(0));
}

Result<std::vector<UpdateId>> SqliteCatalog::referenced_by(const UpdateId& id) {
  GODWIT_TRY(
      auto row,
      connection_.prepare(
          "SELECT DISTINCT p.provider, p.name, p.version, p.version_key FROM update_references r JOIN updates p ON "
          "p.update_key = r.parent_key JOIN updates c ON c.update_key = r.child_key"
          " WHERE c.provider = ? AND c.name = ? AND c.version_key = ? ORDER BY p.provider, p.name, p.version_key"));
  row.bind(id.provider, id.name, version_key(id.version));
  return collect<UpdateId>(row, [](Statement& found) {
    return UpdateId::parse(found.text_view(0), found.text_view(1), found.text_view(2));
  });
}

Result<std::optional<UpdateId>> SqliteCatalog::owner_of_set(const CompatibilitySet& set, const UpdateId& id) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT u.provider, u.name, u.version FROM update_compatibility c JOIN "
                                           "updates u ON u.update_key = c.update_key"
                                           " WHERE c.set_text = ? AND (u.provider <> ? OR u.name <> ?) LIMIT 1"));
  GODWIT_TRY(const bool is_there, row.bind(set_text(set), id.provider, id.name).next());
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto owner, UpdateId::parse(row.text_view(0), row.text_view(1), row.text_view(2)));
  return owner;
}

Result<void> SqliteCatalog::insert_dependents(std::int64_t key, const UpdateRecord& update) {
  for (const CompatibilitySet& set : update.summary.compatibility)
    GODWIT_TRY_VOID(connection_.run("INSERT OR IGNORE INTO update_compatibility (update_key, set_text) VALUES (?, ?)",
                                    key, set_text(set)));
  std::int64_t position = 0;
  for (const UpdateId& child : update.references) {
    GODWIT_TRY(const auto child_key, key_of(child));
    if (!child_key) return fail(Code::not_found, "the referenced update " + child.str() + " does not exist");
    GODWIT_TRY_VOID(connection_.run("INSERT INTO update_references (parent_key, position, child_key) VALUES (?, ?, ?)",
                                    key, position++, *child_key));
  }
  for (const Bytes& sha256 : update.blobs)
    GODWIT_TRY_VOID(connection_.run("INSERT OR IGNORE INTO update_blobs (sha256, update_key) VALUES (?, ?)",
                                    BlobView{sha256}, key));
  return {};
}

Result<void> SqliteCatalog::insert_update(const UpdateRecord& update, const std::map<int, OfferRecord>& offers) {
  const UpdateSummary& summary = update.summary;
  GODWIT_TRY(const auto present, key_of(summary.id));
  if (present) return fail(Code::conflict, "the update " + summary.id.str() + " exists already");
  GODWIT_TRY_VOID(connection_.run(
      "INSERT INTO updates (provider, name, version, version_key, description, friendly_name, is_deployable, "
      "compatibility, import_manifest, scan_result, scan_details, etag, imported, file_scans)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      summary.id.provider, summary.id.name, summary.id.version.str(), version_key(summary.id.version),
      summary.description, summary.friendly_name, summary.is_deployable, print_sets(summary.compatibility),
      update.import_manifest, update.scan_result, update.scan_details, update.etag, update.imported,
      print_scans(update.file_scans)));
  const std::int64_t key = connection_.last_row_id();
  GODWIT_TRY_VOID(insert_dependents(key, update));
  for (const auto& [version, offer] : offers)
    GODWIT_TRY_VOID(
        connection_.run("INSERT INTO update_offers (update_key, manifest_version, whole_manifest, manifest, signature, "
                        "files) VALUES (?, ?, ?, ?, ?, ?)",
                        key, version, offer.whole_manifest, offer.manifest, offer.signature, print_files(offer.files)));
  return {};
}

Result<bool> SqliteCatalog::remove_update(const UpdateId& id) {
  GODWIT_TRY_VOID(
      connection_.run(fmt::format("DELETE FROM updates{}", kWhereId), id.provider, id.name, version_key(id.version)));
  return connection_.changes() > 0;
}

Result<std::optional<OfferRecord>> SqliteCatalog::find_offer(const UpdateId& id, int manifest_version) {
  GODWIT_TRY(auto row, connection_.prepare(
                           "SELECT o.whole_manifest, o.manifest, o.signature, o.files FROM updates u JOIN "
                           "update_offers o ON o.update_key = u.update_key"
                           " WHERE u.provider = ? AND u.name = ? AND u.version_key = ? AND o.manifest_version = ?"));
  GODWIT_TRY(const bool is_there, row.bind(id.provider, id.name, version_key(id.version), manifest_version).next());
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto files, read_files(row.text_view(3)));
  return OfferRecord{
      .whole_manifest = row.text(0), .manifest = row.text(1), .signature = row.text(2), .files = std::move(files)};
}

Result<std::vector<OfferToSign>> SqliteCatalog::list_signed_otherwise(const std::string& head, OfferKey after,
                                                                      std::size_t limit) {
  GODWIT_TRY(auto rows,
             connection_.prepare("SELECT update_key, manifest_version, manifest FROM update_offers"
                                 " WHERE (update_key, manifest_version) > (?, ?) AND substr(signature, 1, ?) <> ?"
                                 " ORDER BY update_key, manifest_version LIMIT ?"));
  rows.bind(after.update, after.manifest_version, head.size(), head, limit);
  return collect<OfferToSign>(rows, [](Statement& row) -> Result<OfferToSign> {
    return OfferToSign{.key = {.update = row.integer(0), .manifest_version = static_cast<int>(row.integer(1))},
                       .manifest = row.text(2)};
  });
}

Result<void> SqliteCatalog::replace_signature(OfferKey offer, const std::string& signature) {
  return connection_.run("UPDATE update_offers SET signature = ? WHERE update_key = ? AND manifest_version = ?",
                         signature, offer.update, offer.manifest_version);
}

Result<bool> SqliteCatalog::is_blob_needed(const Bytes& sha256) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT 1 FROM update_blobs WHERE sha256 = ? LIMIT 1"));
  return row.bind(BlobView{sha256}).next();
}

}  // namespace godwit::store::sqlite
