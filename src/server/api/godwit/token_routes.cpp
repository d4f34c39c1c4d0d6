// Bearer tokens by REST: administrators make, see and revoke them. A token's text is in one answer, the one that made
// it. Every change is in the audit trail. A caller whose own token is for one instance sees and makes only such tokens.
#include "server/api/access.hpp"
#include "server/api/paging.hpp"
#include "server/api/services.hpp"

namespace godwit::api {
namespace {

constexpr std::int64_t kLongestLifeSeconds = 10LL * 366 * 24 * 60 * 60;
constexpr std::size_t kMostTokens = 10'000;

[[nodiscard]] json::Object describe(const store::TokenRecord& token, WallTime now) {
  json::Object body{{"name", token.name}, {"role", token.role}, {"createdDateTime", format_time(token.created)}};
  if (!token.instance.empty()) body["instanceId"] = token.instance;
  if (!token.made_by.empty()) body["createdBy"] = token.made_by;
  if (token.expires) body["expiresDateTime"] = format_time(*token.expires);
  if (token.last_used) body["lastUsedDateTime"] = format_time(*token.last_used);
  body["isExpired"] = token.expires.has_value() && *token.expires <= now;
  return body;
}

[[nodiscard]] bool may_see(const Request& request, const store::TokenRecord& token) {
  return request.caller_instance.empty() || request.caller_instance == token.instance;
}

[[nodiscard]] Result<store::TokenRecord> find(store::Records& records, const Request& request) {
  const std::string name = request.parameter("tokenName");
  GODWIT_TRY(auto token, records.access().find_token_named(name));
  if (!token || !may_see(request, *token))
    return fail(Code::not_found, "there is no token '" + name.substr(0, 64) + "'");
  return *std::move(token);
}

[[nodiscard]] Result<std::optional<WallTime>> read_expiry(const json::Object& body, WallTime now) {
  const bool has_time = json::find(body, "expiresDateTime") != nullptr;
  const bool has_life = json::find(body, "lifetimeInSeconds") != nullptr;
  if (has_time && has_life) return fail(Code::invalid_argument, "give expiresDateTime or lifetimeInSeconds, not both");
  if (has_time) {
    GODWIT_TRY(const std::string text, json::text(body, "expiresDateTime", "the token"));
    GODWIT_TRY(const WallTime time, parse_time(text));
    if (time > now + std::chrono::seconds(kLongestLifeSeconds))
      return fail(Code::invalid_argument, "expiresDateTime is more than ten years away; leave it out for no end");
    return std::optional(time);
  }
  if (!has_life) return std::optional<WallTime>{};
  GODWIT_TRY(const std::int64_t seconds, json::integer(body, "lifetimeInSeconds", "the token"));
  if (seconds < 1 || seconds > kLongestLifeSeconds)
    return fail(Code::invalid_argument, "lifetimeInSeconds is none of 1 to " + std::to_string(kLongestLifeSeconds) +
                                            "; leave it out for no end");
  return std::optional<WallTime>(now + std::chrono::seconds(seconds));
}

[[nodiscard]] Result<NewToken> read_wish(const Request& request, const Services& services) {
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  NewToken wanted{.name = {}, .made_by = request.caller};
  GODWIT_TRY(wanted.name, json::text(body, "name", "the token"));
  GODWIT_TRY(const std::string role_text, json::text(body, "role", "the token"));
  const auto role = parse_role(role_text);
  if (!role) {
    std::string names;
    for (const RoleRow& row : kRoles) names += (names.empty() ? "" : ", ") + std::string(row.name);
    return fail(Code::invalid_argument, "there is no role '" + role_text.substr(0, 64) + "'; there are " + names);
  }
  wanted.role = *role;
  if (json::find(body, "instanceId") != nullptr) {
    GODWIT_TRY(wanted.instance, json::text(body, "instanceId", "the token"));
    if (wanted.instance != services.instance_id)
      return fail(Code::invalid_argument, "there is no instance '" + wanted.instance.substr(0, 64) + "' here");
  }
  if (!request.caller_instance.empty() && wanted.instance != request.caller_instance)
    return fail(Code::forbidden, "'" + request.caller +
                                     "' is a token for one instance and makes only such tokens: give "
                                     "instanceId '" +
                                     request.caller_instance + "'");
  GODWIT_TRY(wanted.expires, read_expiry(body, services.clock.now()));
  return wanted;
}

[[nodiscard]] Result<void> audit(store::Records& records, const Request& request, Services& services,
                                 std::string_view action, const store::TokenRecord& token) {
  json::Object details{{"role", token.role}};
  if (!token.instance.empty()) details["instanceId"] = token.instance;
  if (token.expires) details["expiresDateTime"] = format_time(*token.expires);
  return records.access().append_audit(store::AuditEvent{.at = services.clock.now(),
                                                         .actor = request.caller,
                                                         .action = std::string(action),
                                                         .subject = token.name,
                                                         .details = json::print(details)});
}

Result<Reply> list_tokens(const Request& request, Services& services) {
  GODWIT_TRY(const std::string after, page_token(request));
  json::Array values;
  std::string last;
  bool has_more = false;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto tokens, records.access().list_tokens());
    for (const auto& token : tokens) {
      if (token.name <= after || !may_see(request, token)) continue;
      has_more = values.size() == kPageSize;
      if (has_more) break;
      last = token.name;
      values.emplace_back(describe(token, services.clock.now()));
    }
    return {};
  }));
  return page(request, std::move(values), has_more ? last : "");
}

Result<Reply> get_token(const Request& request, Services& services) {
  json::Object body;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto token, find(records, request));
    body = describe(token, services.clock.now());
    return {};
  }));
  return Reply::json(std::move(body));
}

Result<Reply> create_token(const Request& request, Services& services) {
  GODWIT_TRY(const NewToken wanted, read_wish(request, services));
  json::Object made;
  GODWIT_TRY_VOID(services.store.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto present, records.access().list_tokens());
    if (present.size() >= kMostTokens)
      return fail(Code::too_many, "there are " + std::to_string(present.size()) + " tokens; revoke some first");
    GODWIT_TRY(const Secret text, Access::create_token(records, wanted, services.clock.now()));
    GODWIT_TRY(const auto token, records.access().find_token_named(wanted.name));
    made = describe(*token, services.clock.now());
    made["token"] = text.reveal();
    return audit(records, request, services, "token.created", *token);
  }));
  return Reply::json(std::move(made), 201);
}

/// The last token that can make others is the only door back in.
[[nodiscard]] Result<void> check_not_last_door(store::Records& records, const store::TokenRecord& token, WallTime now) {
  const auto opens = [&](const store::TokenRecord& other) {
    return other.role == role_name(Role::administrator) && other.instance.empty() &&
           (!other.expires || *other.expires > now);
  };
  if (!opens(token)) return {};
  GODWIT_TRY(const auto tokens, records.access().list_tokens());
  for (const auto& other : tokens)
    if (other.name != token.name && opens(other)) return {};
  return fail(Code::refused, "'" + token.name + "' is the last administrator; make another one first");
}

Result<Reply> revoke_token(const Request& request, Services& services) {
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto token, find(records, request));
    if (!services.is_further) GODWIT_TRY_VOID(check_not_last_door(records, token, services.clock.now()));
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.access().remove_token(token.name));
    return audit(records, request, services, "token.revoked", token);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  if (services.access != nullptr) services.access->forget_tokens();
  return Reply::no_content();
}

}  // namespace

const std::vector<Route>& godwit_token_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/godwit/v1/{instanceId}/tokens", Permission::access_write, list_tokens},
      {Method::post, "/godwit/v1/{instanceId}/tokens", Permission::access_write, create_token},
      {Method::get, "/godwit/v1/{instanceId}/tokens/{tokenName}", Permission::access_write, get_token},
      {Method::delete_, "/godwit/v1/{instanceId}/tokens/{tokenName}", Permission::access_write, revoke_token},
  };
  return routes;
}

}  // namespace godwit::api
