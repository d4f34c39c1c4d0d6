#include "apt_manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/json.hpp"

namespace godwit::step_apt {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_our_agent(std::string_view name) {
  return name.starts_with("deviceupdate-agent") || name.starts_with("godwit-agent");
}

Result<Wish> parse_package(const json::Value& value, std::size_t index) {
  const std::string where = fmt::format("packages[{}]", index);
  if (!value.is_object()) return fail(Code::invalid_argument, where + " is no object");
  const json::Object& object = value.get_object();
  Wish wish;
  GODWIT_TRY(wish.name, json::text(object, "name", where));
  if (wish.name.ends_with('-')) {
    wish.is_removal = true;
    wish.name.pop_back();
  }
  if (!is_package_name(wish.name))
    return fail(Code::invalid_argument, where + ".name is not the name of a Debian package");
  const json::Value* version = json::find(object, "version");
  if (version == nullptr || version->is_null()) return wish;
  GODWIT_TRY(wish.version, json::text(object, "version", where));
  if (wish.version.empty()) return wish;
  if (!is_version(wish.version)) return fail(Code::invalid_argument, where + ".version is not a Debian version");
  if (wish.is_removal) return fail(Code::invalid_argument, where + " is removed and has a version: one of the two");
  return wish;
}

}  // namespace

bool is_package_name(std::string_view name) {
  const auto colon = name.find(':');
  const std::string_view plain = name.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view arch = name.substr(colon + 1);
    if (arch.empty() || arch.size() > 32 ||
        !std::all_of(arch.begin(), arch.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; }) ||
        !is_lower_or_digit(arch.front()) || !is_lower_or_digit(arch.back()))
      return false;
  }
  return plain.size() >= 2 && plain.size() <= 128 && is_lower_or_digit(plain.front()) &&
         std::all_of(plain.begin(), plain.end(),
                     [](char c) { return is_lower_or_digit(c) || c == '+' || c == '-' || c == '.'; });
}

bool is_version(std::string_view version) {
  const auto is_known = [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '+' || c == '~' || c == ':' || c == '-';
  };
  return !version.empty() && version.size() <= 256 && version.front() >= '0' && version.front() <= '9' &&
         std::all_of(version.begin(), version.end(), is_known);
}

std::string apt_word(const Wish& wish) {
  if (wish.is_removal) return wish.name + "-";
  return wish.version.empty() ? wish.name : wish.name + "=" + wish.version;
}

Result<AptManifest> parse_apt_manifest(std::string_view text) {
  GODWIT_TRY(const json::Object object, json::parse_object(text, {.bytes = kManifestLimit, .depth = 8}));
  AptManifest manifest;
  GODWIT_TRY(manifest.name, json::text(object, "name", "APT manifest"));
  GODWIT_TRY(manifest.version, json::text(object, "version", "APT manifest"));
  if (const json::Value* restart = json::find(object, "agentRestartRequired");
      restart != nullptr && !restart->is_null()) {
    if (!restart->is_bool()) return fail(Code::invalid_argument, "agentRestartRequired is neither true nor false");
    manifest.restarts_agent = restart->get_bool();
  }
  GODWIT_TRY(const json::Array* packages, json::array(object, "packages", "APT manifest"));
  if (packages->empty()) return fail(Code::invalid_argument, "packages is empty");
  if (packages->size() > kPackagesLimit)
    return fail(Code::too_large, fmt::format("packages has more than {} members", kPackagesLimit));
  std::set<std::string> seen;
  for (std::size_t i = 0; i < packages->size(); ++i) {
    GODWIT_TRY(Wish wish, parse_package((*packages)[i], i));
    if (!seen.insert(wish.name).second)
      return fail(Code::invalid_argument, fmt::format("packages[{}] names {} again", i, wish.name));
    if (!wish.is_removal && is_our_agent(wish.name)) manifest.restarts_agent = true;
    manifest.packages.push_back(std::move(wish));
  }
  return manifest;
}

}  // namespace godwit::step_apt
