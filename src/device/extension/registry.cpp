#include "device/extension/registry.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "core/base/json.hpp"
#include "core/model/text.hpp"
#include "device/extension/library.hpp"
#include "device/extension/process.hpp"

namespace godwit::extension {
namespace {

constexpr std::size_t kOptionLimit = 16;
constexpr std::size_t kEntryLimit = 100;
constexpr ByteCount kDocumentLimit = 1024 * 1024;
constexpr std::int64_t kFormatVersion = 1;

struct TypeRow {
  Type type;
  std::string_view name;
  std::string_view entry;
};
constexpr auto kTypes = std::to_array<TypeRow>({
    {Type::step_handler, "step-handler", "godwit_step_handler_entry"},
    {Type::manifest_handler, "manifest-handler", "godwit_manifest_handler_entry"},
    {Type::content_downloader, "content-downloader", "godwit_content_downloader_entry"},
    {Type::download_handler, "download-handler", "godwit_download_handler_entry"},
    {Type::component_enumerator, "component-enumerator", "godwit_component_enumerator_entry"},
});

const TypeRow& row_of(Type type) {
  const auto row = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& r) { return r.type == type; });
  GODWIT_CHECK(row != kTypes.end());
  return *row;
}

bool is_id_word(std::string_view word) {
  return !word.empty() && word.front() != '.' && std::all_of(word.begin(), word.end(), [](char c) {
    return is_ascii_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  });
}

Result<std::map<std::string, std::string>> read_options(const json::Value& value, std::string_view where) {
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::invalid_argument, fmt::format("{}: options is not an object", where));
  std::map<std::string, std::string> options;
  for (const auto& member : *object) {
    if (!member.value().is_string())
      return fail(Code::invalid_argument, fmt::format("{}: options holds what is not text", where));
    options.emplace(member.key(), std::string_view(member.value().get_string()));
  }
  if (const std::string reason = check_options(options); !reason.empty())
    return fail(Code::invalid_argument, fmt::format("{}: {}", where, reason));
  return options;
}

Result<Registration> parse_entry(const json::Value& value, std::string_view where) {
  if (!value.is_object()) return fail(Code::invalid_argument, std::string(where) + " is not an object");
  const json::Object& object = value.get_object();
  Registration entry;
  GODWIT_TRY(const std::string type, json::text(object, "type", where));
  GODWIT_TRY(entry.type, parse_type(type));
  GODWIT_TRY(entry.id, json::text(object, "id", where));
  if (const std::string reason = check_extension_id(entry.id); !reason.empty())
    return fail(Code::invalid_argument, fmt::format("{}: id {}", where, reason));
  GODWIT_TRY(const std::string path, json::text(object, "path", where));
  entry.path = path;
  if (!entry.path.is_absolute() || entry.path != entry.path.lexically_normal() || !entry.path.has_filename())
    return fail(Code::invalid_argument, fmt::format("{}: path is not an absolute path in its shortest form", where));
  GODWIT_TRY(entry.sha256, json::text(object, "sha256", where));
  const auto is_hex = [](char c) { return is_ascii_digit(c) || (c >= 'a' && c <= 'f'); };
  if (entry.sha256.size() != 64 || !std::all_of(entry.sha256.begin(), entry.sha256.end(), is_hex))
    return fail(Code::invalid_argument, fmt::format("{}: sha256 is not 64 lower-case hex digits", where));
  GODWIT_TRY(const std::int64_t size, json::integer(object, "size", where));
  if (size < 1 || static_cast<ByteCount>(size) > kLibraryLimit)
    return fail(Code::invalid_argument, fmt::format("{}: size is out of range", where));
  entry.size = static_cast<ByteCount>(size);
  const json::Value* network = json::find(object, "network");
  if (network != nullptr && !network->is_bool())
    return fail(Code::invalid_argument, fmt::format("{}: network is not true or false", where));
  entry.network = network != nullptr && network->get_bool();
  GODWIT_TRY(entry.contract, json::text(object, "contract", where));
  if (const json::Value* options = json::find(object, "options")) {
    GODWIT_TRY(entry.options, read_options(*options, where));
  }
  if (entry.contract.size() > 20) return fail(Code::invalid_argument, fmt::format("{}: contract is too long", where));
  return entry;
}

json::Object entry_to_json(const Registration& entry) {
  json::Object object{{"type", type_name(entry.type)}, {"id", entry.id},     {"path", entry.path.string()},
                      {"sha256", entry.sha256},        {"size", entry.size}, {"network", entry.network},
                      {"contract", entry.contract}};
  json::Object options;
  for (const auto& [name, value] : entry.options) options[name] = value;
  if (!options.empty()) object["options"] = std::move(options);
  return object;
}

bool comes_before(const Registration& a, const Registration& b) {
  return a.type != b.type ? a.type < b.type : a.id < b.id;
}

bool holds_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

/// "microsoft/update-manifest:5" -> "microsoft/update-manifest"; "" if there is nothing to drop.
std::string without_version(std::string_view id) {
  const auto colon = id.rfind(':');
  return colon == std::string_view::npos ? std::string{} : std::string(id.substr(0, colon));
}

}  // namespace

std::string_view type_name(Type type) { return row_of(type).name; }
std::string_view entry_symbol(Type type) { return row_of(type).entry; }

Result<Type> parse_type(std::string_view name) {
  for (const TypeRow& row : kTypes)
    if (row.name == name) return row.type;
  std::string known;
  for (const TypeRow& row : kTypes) known += (known.empty() ? "" : ", ") + std::string(row.name);
  return fail(Code::invalid_argument,
              fmt::format("'{}' is not a type of extension; the types are {}", name.substr(0, 64), known));
}

std::string check_extension_id(std::string_view id) {
  if (id.size() < 3 || id.size() > 64) return "has fewer than 3 or more than 64 characters";
  const auto slash = id.find('/');
  if (slash == std::string_view::npos) return "has no '/': it is written like microsoft/script:1";
  std::string_view name = id.substr(slash + 1);
  if (const auto colon = name.find(':'); colon != std::string_view::npos) {
    const std::string_view version = name.substr(colon + 1);
    name = name.substr(0, colon);
    if (version.empty() || version.size() > 5 || !std::all_of(version.begin(), version.end(), is_ascii_digit))
      return "needs 1 to 5 digits after ':'";
  }
  if (!is_id_word(id.substr(0, slash)) || !is_id_word(name))
    return "has a part that is not letters, digits, '-', '_' and '.'";
  return "";
}

std::string check_options(const std::map<std::string, std::string>& options) {
  if (options.size() > kOptionLimit) return fmt::format("there are more than {} options", kOptionLimit);
  for (const auto& [name, value] : options) {
    const bool is_name = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
      return is_ascii_alphanumeric(c) || c == '_' || c == '.' || c == '-';
    });
    if (!is_name) return fmt::format("the option name '{}' is not 1 to 64 of A-Z a-z 0-9 _ . -", name.substr(0, 64));
    const bool has_control =
        std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    if (value.size() > 1024 || has_control || !is_valid_utf8(value))
      return fmt::format("the option {} is not a text of at most 1024 bytes without control characters", name);
  }
  return "";
}

Result<std::vector<Registration>> parse_registrations(std::string_view text) {
  GODWIT_TRY(const json::Object document, json::parse_object(text, {.bytes = kDocumentLimit, .depth = 8}));
  GODWIT_TRY(const std::int64_t version, json::integer(document, "version", "extensions"));
  if (version != kFormatVersion)
    return fail(Code::unsupported,
                fmt::format("the file has format version {}, this build reads {}", version, kFormatVersion));
  GODWIT_TRY(const json::Array* array, json::array(document, "extensions", "extensions"));
  if (array->size() > kEntryLimit) return fail(Code::too_large, fmt::format("more than {} extensions", kEntryLimit));
  std::vector<Registration> entries;
  for (const json::Value& value : *array) {
    GODWIT_TRY(Registration entry, parse_entry(value, fmt::format("extensions[{}]", entries.size())));
    const auto is_same = [&](const Registration& other) { return other.type == entry.type && other.id == entry.id; };
    if (std::any_of(entries.begin(), entries.end(), is_same))
      return fail(Code::invalid_argument, fmt::format("{} {} is there twice", type_name(entry.type), entry.id));
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), comes_before);
  return entries;
}

std::string print_registrations(const std::vector<Registration>& registrations) {
  json::Array array;
  for (const Registration& entry : registrations) array.push_back(entry_to_json(entry));
  return json::print(json::Object{{"version", kFormatVersion}, {"extensions", std::move(array)}}) + "\n";
}

Result<Registry> Registry::load(const Path& file) {
  Registry registry;
  registry.file_ = file;
  const auto text = read_file(file, kDocumentLimit);
  if (!text && text.error().code == Code::not_found) return registry;
  if (!text) return tl::unexpected<Error>{text.error()};
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0)
    return tl::unexpected<Error>{error_from_errno("look at " + file.string(), errno)};
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::refused, fmt::format("{} may be written by others (mode {:04o}); run: chmod go-w {}",
                                           file.string(), info.st_mode & 07777U, file.string()));
  auto entries = parse_registrations(*text);
  if (!entries) return with_context(file.string(), entries.error());
  registry.entries_ = *std::move(entries);
  return registry;
}

Result<Registration> Registry::find(Type type, std::string_view id) const {
  const auto exact = [&](std::string_view wanted) -> const Registration* {
    const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Registration& e) { return e.type == type && e.id == wanted; });
    return entry == entries_.end() ? nullptr : &*entry;
  };
  if (const Registration* entry = exact(id)) return *entry;
  if (type == Type::manifest_handler)
    if (const Registration* entry = exact(without_version(id))) return *entry;
  return fail(Code::extension_missing,
              fmt::format("no {} is registered for '{}' on this device; register one with: extension register --type "
                          "{} --id {} FILE.so",
                          type_name(type), id.substr(0, 64), type_name(type), id.substr(0, 64)));
}

Result<Registration> Registry::find_downloader(std::string_view scheme) const {
  for (const Registration& entry : entries_) {
    if (entry.type != Type::content_downloader) continue;
    const auto option = entry.options.find("schemes");
    if (holds_word(option == entry.options.end() ? "http,https" : option->second, scheme)) return entry;
  }
  const std::string_view hint = scheme == "http" || scheme == "https" ? "" : "--option schemes=";
  return fail(
      Code::extension_missing,
      fmt::format("no content-downloader for {}: URLs is registered on this device; register one with: extension "
                  "register --type content-downloader --id NAME {}{} FILE.so",
                  scheme.substr(0, 32), hint, hint.empty() ? "" : scheme.substr(0, 32)));
}

Result<Registration> Registry::find_only(Type type) const {
  const auto entry =
      std::find_if(entries_.begin(), entries_.end(), [&](const Registration& e) { return e.type == type; });
  if (entry != entries_.end()) return *entry;
  return fail(
      Code::extension_missing,
      fmt::format(
          "no {} is registered on this device; register one with: extension register --type {} --id NAME FILE.so",
          type_name(type), type_name(type)));
}

Result<Registration> Registry::add(Type type, std::string_view id, const Path& library, bool network,
                                   std::map<std::string, std::string> options) {
  if (const std::string reason = check_options(options); !reason.empty()) return fail(Code::invalid_argument, reason);
  if (const std::string reason = check_extension_id(id); !reason.empty())
    return fail(Code::invalid_argument, fmt::format("id '{}' {}", id.substr(0, 64), reason));
  if (network && type != Type::step_handler && type != Type::manifest_handler)
    return fail(
        Code::invalid_argument,
        fmt::format("a {} needs no --network: only step and manifest handlers run without network", type_name(type)));
  std::error_code problem;
  const Path path = std::filesystem::canonical(library, problem);
  if (problem) return fail(Code::not_found, fmt::format("no library at {}: {}", library.string(), problem.message()));
  GODWIT_TRY_VOID(check_folders_above(path));
  GODWIT_TRY(const OpenedLibrary opened, open_library(path));
  Registration entry{.type = type,
                     .id = std::string(id),
                     .path = path,
                     .sha256 = opened.sha256,
                     .size = opened.size,
                     .network = network,
                     .contract = {},
                     .options = std::move(options)};
  GODWIT_TRY(entry.contract, probe(entry));

  std::vector<Registration> before = entries_;
  std::erase_if(entries_, [&](const Registration& e) { return e.type == type && e.id == id; });
  if (entries_.size() >= kEntryLimit) {
    entries_ = std::move(before);
    return fail(Code::too_many, fmt::format("{} extensions are registered; remove one first", kEntryLimit));
  }
  entries_.push_back(entry);
  std::sort(entries_.begin(), entries_.end(), comes_before);
  if (auto saved = save(); !saved) {
    entries_ = std::move(before);
    return tl::unexpected<Error>{saved.error()};
  }
  return entry;
}

Result<void> Registry::remove(Type type, std::string_view id) {
  std::vector<Registration> before = entries_;
  if (std::erase_if(entries_, [&](const Registration& e) { return e.type == type && e.id == id; }) == 0)
    return fail(Code::not_found, fmt::format("no {} is registered for '{}'", type_name(type), id.substr(0, 64)));
  if (auto saved = save(); !saved) {
    entries_ = std::move(before);
    return tl::unexpected<Error>{saved.error()};
  }
  return {};
}

Result<void> Registry::save() const {
  GODWIT_TRY_VOID(make_folders(file_.parent_path(), 0755));
  return write_file_durably(file_, print_registrations(entries_), 0644);
}

}  // namespace godwit::extension
