#include "core/model/update_id.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/model/text.hpp"

namespace godwit {
namespace {

constexpr std::size_t kNameLimit = 64;
constexpr std::size_t kVersionTextLimit = 128;  // room for leading zeros, no room for abuse
constexpr std::uint64_t kPartMax = 2'147'483'647;

Result<void> check_name(std::string_view text, std::string_view what) {
  if (text.empty() || text.size() > kNameLimit)
    return fail(Code::invalid_argument, fmt::format("{} has {} characters, allowed are 1 to 64", what, text.size()));
  const bool ok =
      std::all_of(text.begin(), text.end(), [](char c) { return is_ascii_alphanumeric(c) || c == '.' || c == '-'; });
  if (!ok) return fail(Code::invalid_argument, fmt::format("{} may hold only letters, digits, '.' and '-'", what));
  return {};
}

}  // namespace

Result<Version> Version::parse(std::string_view text) {
  if (text.size() > kVersionTextLimit) return fail(Code::invalid_argument, "version has more than 128 characters");
  Version version;
  std::size_t at = 0;
  while (true) {
    const std::size_t dot = std::min(text.find('.', at), text.size());
    const std::string_view part = text.substr(at, dot - at);
    if (part.empty() || !std::all_of(part.begin(), part.end(), is_ascii_digit))
      return fail(Code::invalid_argument,
                  fmt::format("version '{}' is not 2 to 4 numbers with dots between them", text));
    std::uint64_t number = 0;
    for (const char c : part) {
      number = number * 10 + static_cast<std::uint64_t>(c - '0');
      if (number > kPartMax)
        return fail(Code::invalid_argument, fmt::format("version '{}' has a part above {}", text, kPartMax));
    }
    version.parts_.push_back(static_cast<std::uint32_t>(number));
    if (dot == text.size()) break;
    at = dot + 1;
  }
  if (version.parts_.size() < 2 || version.parts_.size() > 4)
    return fail(Code::invalid_argument,
                fmt::format("version '{}' has {} parts, allowed are 2 to 4", text, version.parts_.size()));
  return version;
}

std::string Version::str() const { return fmt::format("{}", fmt::join(parts_, ".")); }

std::strong_ordering operator<=>(const Version& a, const Version& b) {
  return std::lexicographical_compare_three_way(a.parts_.begin(), a.parts_.end(), b.parts_.begin(), b.parts_.end());
}

Result<UpdateId> UpdateId::parse(std::string_view provider, std::string_view name, std::string_view version) {
  GODWIT_TRY_VOID(check_name(provider, "provider"));
  GODWIT_TRY_VOID(check_name(name, "name"));
  GODWIT_TRY(Version parsed, Version::parse(version));
  return UpdateId{.provider = std::string(provider), .name = std::string(name), .version = std::move(parsed)};
}

Result<UpdateId> UpdateId::from_json(const json::Object& object, bool strict) {
  if (strict) {
    for (const auto& member : object)
      if (member.key() != "provider" && member.key() != "name" && member.key() != "version")
        return fail(Code::invalid_argument,
                    fmt::format("updateId: unknown member '{}'", std::string_view(member.key()).substr(0, 64)));
  }
  GODWIT_TRY(const std::string provider, json::text(object, "provider", "updateId"));
  GODWIT_TRY(const std::string name, json::text(object, "name", "updateId"));
  GODWIT_TRY(const std::string version, json::text(object, "version", "updateId"));
  auto parsed = parse(provider, name, version);
  if (!parsed) return with_context("updateId", parsed.error());
  return parsed;
}

json::Object UpdateId::to_json() const {
  json::Object object;
  object["provider"] = provider;
  object["name"] = name;
  object["version"] = version.str();
  return object;
}

std::string UpdateId::str() const { return fmt::format("{}/{}/{}", provider, name, version.str()); }

}  // namespace godwit
