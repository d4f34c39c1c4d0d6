#include "server/hub/provisioning/registration_id.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "core/model/text.hpp"

namespace godwit::hub {
namespace {

constexpr std::size_t kLongestId = 128;
constexpr std::size_t kLongestScope = 64;
constexpr std::size_t kLongestUserName = 2048;
constexpr std::size_t kLongestVersion = 256;
constexpr std::string_view kRegistrations = "/registrations/";
constexpr std::string_view kVersion = "api-version=";

tl::unexpected<Error> refuse(std::string why) { return fail(Code::unauthorized, "the user name " + std::move(why)); }

struct Parts {
  std::string_view scope, id, query;
};
/// The three parts, empty when `text` is of another form.
Parts split(std::string_view text) {
  const auto scope_end = text.find('/');
  if (scope_end == std::string_view::npos || !text.substr(scope_end).starts_with(kRegistrations)) return {};
  const std::string_view rest = text.substr(scope_end + kRegistrations.size());
  const auto id_end = rest.find('/');
  if (id_end == std::string_view::npos || !rest.substr(id_end + 1).starts_with(kVersion)) return {};
  return {.scope = text.substr(0, scope_end), .id = rest.substr(0, id_end), .query = rest.substr(id_end + 1)};
}

/// A value for the log: what is not printable ASCII is left out.
std::string printable(std::string_view text) {
  const std::string decoded = percent_decode(text).value_or(std::string(text)).substr(0, kLongestVersion);
  std::string out;
  std::copy_if(decoded.begin(), decoded.end(), std::back_inserter(out), [](char c) { return c >= 0x20 && c < 0x7F; });
  return out;
}

}  // namespace

std::string check_registration_id(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kLongestId) return "has more than 128 characters";
  const bool is_fine = std::all_of(text.begin(), text.end(), [](char c) {
    return is_ascii_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == ':';
  });
  if (!is_fine) return "has a character that is not a letter, a digit or one of - . _ :";
  if (!is_ascii_alphanumeric(text.back()) && text.back() != '-') return "does not end with a letter, a digit or -";
  return {};
}

std::string canonical_registration_id(std::string_view text) { return lower_case(text); }

std::string default_id_scope(std::string_view hub_name) {
  return "0ne" + hex_encode(sha256(canonical_registration_id(hub_name)).substr(0, 4));
}

std::string check_id_scope(std::string_view text) {
  const bool is_fine =
      !text.empty() && text.size() <= kLongestScope && std::all_of(text.begin(), text.end(), is_ascii_alphanumeric);
  return is_fine ? std::string{} : "is not 1 to 64 letters and digits";
}

bool is_provisioning_user_name(std::string_view text) { return !split(text).query.empty(); }

Result<ProvisioningUserName> parse_provisioning_user_name(std::string_view text) {
  if (text.size() > kLongestUserName) return refuse("is longer than " + std::to_string(kLongestUserName) + " bytes");
  const Parts parts = split(text);
  if (parts.query.empty()) return refuse("is not '<id scope>/registrations/<registration id>/api-version=...'");
  ProvisioningUserName name{.id_scope = std::string(parts.scope),
                            .registration_id = percent_decode(parts.id).value_or(std::string(parts.id))};
  if (const std::string reason = check_id_scope(name.id_scope); !reason.empty())
    return refuse("has an id scope that " + reason);
  if (const std::string reason = check_registration_id(name.registration_id); !reason.empty())
    return refuse("has a registration id that " + reason);
  std::string_view query = parts.query;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (part.starts_with(kVersion)) name.api_version = printable(part.substr(kVersion.size()));
    if (part.starts_with("ClientVersion=")) name.client_version = printable(part.substr(14));
  }
  return name;
}

}  // namespace godwit::hub
