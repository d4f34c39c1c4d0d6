#include "apt_words.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.hpp"

namespace godwit::step_apt {
namespace {

constexpr std::size_t kErrorTextLimit = 700;

/// Calls `take` with each line, without its end.
template <class Take>
void each_line(std::string_view text, Take take) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::vector<std::string_view> split(std::string_view line, char by) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = line.find(by);
    parts.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return parts;
    line.remove_prefix(end + 1);
  }
}

Result<Wish> parse_wish(const json::Object& object) {
  Wish wish;
  GODWIT_TRY(wish.name, json::text(object, "name", "packages"));
  wish.version = json::text_or_nothing(object, "version").value_or("");
  if (wish.name.ends_with('-')) {
    wish.is_removal = true;
    wish.name.pop_back();
  }
  if (!is_package_name(wish.name) || (!wish.version.empty() && !is_version(wish.version)))
    return fail(Code::invalid_argument, "packages holds something that is no package");
  return wish;
}

constexpr json::Limits kOwnFile{.bytes = 16 * 1024 * 1024, .depth = 8};

}  // namespace

InstalledPackages parse_dpkg_query(std::string_view output) {
  InstalledPackages packages;
  each_line(output, [&](std::string_view line) {
    const auto parts = split(line, '\t');
    if (parts.size() != 4 || parts[3] == "not-installed" || parts[3] == "config-files") return;
    const Installed one{.version = std::string(parts[2]), .is_whole = parts[3] == "installed"};
    packages.try_emplace(std::string(parts[0]), one);
    packages.insert_or_assign(fmt::format("{}:{}", parts[0], parts[1]), one);
  });
  return packages;
}

std::vector<Wish> packages_in_a_mess(std::string_view output) {
  std::vector<Wish> packages;
  each_line(output, [&](std::string_view line) {
    const auto parts = split(line, '\t');
    if (parts.size() != 4 || parts[0] != "reinstreq") return;
    packages.push_back({.name = parts[2] == "all" ? std::string(parts[1]) : fmt::format("{}:{}", parts[1], parts[2]),
                        .version = std::string(parts[3]),
                        .is_removal = parts[3].empty()});
  });
  return packages;
}

std::vector<std::string> parse_simulation(std::string_view output) {
  std::vector<std::string> names;
  each_line(output, [&](std::string_view line) {
    if (!line.starts_with("Inst ") && !line.starts_with("Remv ") && !line.starts_with("Purg ")) return;
    const auto parts = split(line, ' ');
    if (parts.size() < 2 || !is_package_name(parts[1])) return;
    if (std::find(names.begin(), names.end(), parts[1]) == names.end()) names.emplace_back(parts[1]);
  });
  return names;
}

std::optional<std::string> what_is_missing(const std::vector<Wish>& wishes, const InstalledPackages& installed) {
  for (const Wish& wish : wishes) {
    const auto found = installed.find(wish.name);
    if (wish.is_removal) {
      if (found != installed.end()) return fmt::format("{} {} is still installed", wish.name, found->second.version);
      continue;
    }
    if (found == installed.end()) return wish.name + " is not installed";
    if (!found->second.is_whole) return wish.name + " is unpacked but not configured";
    if (!wish.version.empty() && wish.version != found->second.version)
      return fmt::format("{} is {}, not {}", wish.name, found->second.version, wish.version);
  }
  return std::nullopt;
}

void ErrorLines::take(std::string_view line) {
  const bool tells = line.starts_with("E: ") || line.starts_with("dpkg: error") || line.starts_with("Err:") ||
                     line.starts_with("dpkg-deb: error") || line.find("post-installation script") != line.npos ||
                     line.find("pre-removal script") != line.npos || line.starts_with(" Depends:") ||
                     line.find(" : Depends:") != line.npos;
  if (!tells || text_.size() >= kErrorTextLimit) return;
  if (!text_.empty()) text_ += " | ";
  text_ += trimmed(line.substr(0, kErrorTextLimit));
}

bool is_status_line(std::string_view line) {
  return line.starts_with("pmstatus:") || line.starts_with("dlstatus:") || line.starts_with("pmerror:") ||
         line.starts_with("pmconffile:") || line.starts_with("media-change:");
}

std::optional<unsigned> status_percent(std::string_view line) {
  const bool is_install = line.starts_with("pmstatus:");
  if (!is_install && !line.starts_with("dlstatus:")) return std::nullopt;
  const auto parts = split(line, ':');
  // A package name may hold one ':'; the percentage is the first member with a '.' that is a number before it.
  for (std::size_t i = 2; i < parts.size(); ++i)
    if (const auto number = to_number<unsigned>(parts[i].substr(0, parts[i].find('.'))); number && *number <= 100)
      return number;
  return std::nullopt;
}

Result<std::vector<Record>> parse_records(std::string_view text) {
  GODWIT_TRY(const json::Value value, json::parse(text, kOwnFile));
  if (!value.is_array()) return fail(Code::invalid_argument, "the record of installed criteria is no array");
  std::vector<Record> records;
  for (const json::Value& one : value.get_array()) {
    if (!one.is_object()) return fail(Code::invalid_argument, "the record of installed criteria holds no objects");
    Record record;
    GODWIT_TRY(record.criteria, json::text(one.get_object(), "installedCriteria", "record"));
    record.timestamp = json::integer_or_nothing(one.get_object(), "timestamp").value_or(0);
    if (const json::Value* packages = json::find(one.get_object(), "packages");
        packages != nullptr && packages->is_array())
      for (const json::Value& package : packages->get_array()) {
        if (!package.is_object()) return fail(Code::invalid_argument, "packages holds no objects");
        GODWIT_TRY(Wish wish, parse_wish(package.get_object()));
        record.packages.push_back(std::move(wish));
      }
    records.push_back(std::move(record));
  }
  return records;
}

std::string print_records(const std::vector<Record>& records) {
  json::Array array;
  for (const Record& record : records) {
    json::Array packages;
    for (const Wish& wish : record.packages)
      packages.push_back(
          json::Object{{"name", wish.is_removal ? wish.name + "-" : wish.name}, {"version", wish.version}});
    array.push_back(json::Object{{"installedCriteria", record.criteria},
                                 {"state", "installed"},
                                 {"timestamp", record.timestamp},
                                 {"packages", std::move(packages)}});
  }
  return json::print(json::Value(std::move(array)));
}

void put_record(std::vector<Record>& records, Record record) {
  std::erase_if(records, [&](const Record& old) { return old.criteria == record.criteria; });
  records.push_back(std::move(record));
  if (records.size() > kRecordsLimit)
    records.erase(records.begin(), records.end() - static_cast<std::ptrdiff_t>(kRecordsLimit));
}

Result<std::vector<Before>> parse_backup(std::string_view text) {
  GODWIT_TRY(const json::Object object, json::parse_object(text, kOwnFile));
  GODWIT_TRY(const json::Array* packages, json::array(object, "packages", "backup"));
  std::vector<Before> all;
  for (const json::Value& value : *packages) {
    if (!value.is_object()) return fail(Code::invalid_argument, "the backup holds no objects");
    GODWIT_TRY(Wish wish, parse_wish(value.get_object()));
    const json::Value* automatic = json::find(value.get_object(), "automatic");
    all.push_back({.name = std::move(wish.name),
                   .version = std::move(wish.version),
                   .is_automatic = automatic != nullptr && automatic->is_bool() && automatic->get_bool()});
  }
  return all;
}

std::string print_backup(const std::vector<Before>& packages) {
  json::Array array;
  for (const Before& package : packages)
    array.push_back(
        json::Object{{"name", package.name}, {"version", package.version}, {"automatic", package.is_automatic}});
  return json::print(json::Object{{"packages", std::move(array)}});
}

}  // namespace godwit::step_apt
