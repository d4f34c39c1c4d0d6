#include "server/api/access.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"
#include "server/api/policies.hpp"
#include "server/api/text.hpp"

namespace godwit::api {
namespace {

constexpr std::string_view kPrefix = "gwt_";
constexpr std::string_view kSharedAccess = "SharedAccessSignature";
constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kLongestToken = 512;
constexpr std::size_t kMostKnown = 1024;
constexpr std::size_t kMostAddresses = 4096;

/// The token of "Bearer <token>".
[[nodiscard]] Result<std::string_view> read_token(std::string_view authorization) {
  authorization = trimmed(authorization);
  if (authorization.empty())
    return fail(Code::unauthorized, "the request has no token; send 'Authorization: Bearer <token>'");
  const std::size_t space = std::min(authorization.find(' '), authorization.size());
  if (!equal_in_any_case(authorization.substr(0, space), "Bearer"))
    return fail(Code::unauthorized, Access::is_shared_access(authorization)
                                        ? "shared access signatures open hub routes only; send 'Authorization: Bearer "
                                          "<token>'"
                                        : "this service takes bearer tokens only; send 'Authorization: Bearer "
                                          "<token>'");
  const std::string_view token = trimmed(authorization.substr(space));
  if (token.empty() || token.size() > kLongestToken)
    return fail(Code::unauthorized, "the bearer token is empty or too long");
  return token;
}

/// "/devices/a%23b/" -> {devices, a#b}. A path that cannot be decoded has no route, so what it gives does not matter.
[[nodiscard]] std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/'));
    if (!segment.empty()) segments.push_back(percent_decode(segment).value_or(""));
    path.remove_prefix(std::min(segment.size() + 1, path.size()));
  }
  return segments;
}

}  // namespace

Result<std::optional<Caller>> Access::recall(std::string_view authorization, const std::string& address) {
  GODWIT_TRY(const std::string_view token, read_token(authorization));
  const Bytes digest = sha256(token);
  const Duration now = clock_.monotonic();
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = known_.find(digest); found != known_.end()) {
      const bool is_fresh =
          found->second.until > now && (!found->second.expires || *found->second.expires > clock_.now());
      if (is_fresh) return std::optional<Caller>(found->second.caller);
      known_.erase(found);
    }
  }
  GODWIT_TRY_VOID(check_waiting(address));
  return std::optional<Caller>{};
}

Result<void> Access::check_waiting(const std::string& address) {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(address);
  if (found == failures_.end() || found->second.wait_until <= clock_.monotonic()) return {};
  return fail(Code::too_many, "too many wrong tokens came from this address; wait some seconds");
}

bool Access::is_shared_access(std::string_view authorization) {
  authorization = trimmed(authorization);
  return equal_in_any_case(authorization.substr(0, authorization.find(' ')), kSharedAccess);
}

Result<Caller> Access::check_shared_access(std::string_view authorization, const std::string& address,
                                           std::string_view path) {
  if (policies_ == nullptr)
    return fail(Code::unauthorized,
                "shared access signatures are not taken here; send 'Authorization: Bearer <token>'");
  Policies::Grant grant = policies_->recall(authorization);
  if (!grant) {
    GODWIT_TRY_VOID(check_waiting(address));
    auto checked = policies_->check(authorization);
    if (!checked) {
      note_failure(address);
      return tl::unexpected<Error>{std::move(checked).error()};
    }
    grant = *std::move(checked);
    const std::lock_guard lock(mutex_);
    failures_.erase(address);
  }
  if (!grant->scope.path.empty() && !trust::covers(grant->scope, segments_of(path)))
    return fail(Code::unauthorized, "the token's scope (sr) does not cover this path");
  return grant->caller;
}

Result<Caller> Access::look_up(std::string_view authorization, const std::string& address) {
  GODWIT_TRY(const std::string_view token, read_token(authorization));
  const Bytes digest = sha256(token);
  std::uint64_t generation = 0;
  {
    const std::lock_guard lock(mutex_);
    generation = generation_;
  }
  std::optional<store::TokenRecord> record;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(record, records.access().find_token(digest));
    return {};
  };
  store::Store* home = &store_;
  GODWIT_TRY_VOID(home->read(job));
  if (!record && operators_ != nullptr) {
    home = operators_;
    GODWIT_TRY_VOID(home->read(job));
  }
  const std::optional<Role> role = record ? parse_role(record->role) : std::nullopt;
  if (!record || !role) {
    note_failure(address);
    return fail(Code::unauthorized, "the bearer token is not known here");
  }
  if (record->expires && *record->expires <= clock_.now()) {
    note_failure(address);
    return fail(Code::unauthorized,
                "the bearer token '" + record->name + "' expired at " + format_time(*record->expires));
  }
  note_use(*home, *record);
  Caller caller{.name = record->name, .role = *role, .instance = record->instance};
  const std::lock_guard lock(mutex_);
  failures_.erase(address);
  if (generation != generation_) return caller;  // what was read may be gone: this request only
  if (known_.size() >= kMostKnown) known_.clear();
  known_[digest] = Known{.caller = caller, .until = clock_.monotonic() + kMemory, .expires = record->expires};
  return caller;
}

void Access::forget_tokens() {
  for (Access* follower : followers_) follower->forget_tokens();
  const std::lock_guard lock(mutex_);
  known_.clear();
  ++generation_;
}

/// Not waited for: a use that is not written down costs nobody anything.
void Access::note_use(store::Store& store, const store::TokenRecord& record) {
  const WallTime now = clock_.now();
  if (record.last_used && now - *record.last_used < kUseStep && now >= *record.last_used) return;
  store.submit(
      [digest = record.sha256, now](store::Records& records) { return records.access().note_token_use(digest, now); },
      [](const Result<void>&) {});
}

void Access::note_failure(const std::string& address) {
  const Duration now = clock_.monotonic();
  const std::lock_guard lock(mutex_);
  if (failures_.size() >= kMostAddresses)
    std::erase_if(failures_, [&](const auto& entry) { return entry.second.forget_at <= now; });
  if (failures_.size() >= kMostAddresses) failures_.clear();
  Failures& failures = failures_[address];
  if (failures.forget_at <= now) failures = {};
  ++failures.count;
  failures.forget_at = now + std::chrono::minutes(1) + kLongestWait;
  if (failures.count <= kFreeFailures) return;
  const int doublings = std::min(failures.count - kFreeFailures - 1, 10);
  failures.wait_until = now + std::min<Duration>(std::chrono::milliseconds(250) * (1 << doublings), kLongestWait);
}

Result<Secret> Access::create_token(store::Records& records, const NewToken& wanted, WallTime now) {
  const bool is_printable = std::none_of(wanted.name.begin(), wanted.name.end(),
                                         [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (wanted.name.empty() || wanted.name.size() > 64 || !is_printable || !is_valid_utf8(wanted.name))
    return fail(Code::invalid_argument, "a token's name has 1 to 64 bytes of UTF-8 and no control characters");
  if (wanted.expires && *wanted.expires <= now)
    return fail(Code::invalid_argument, "the token would have expired at " + format_time(*wanted.expires));
  std::string text = std::string(kPrefix) + base64url_encode(random_bytes(kTokenBytes));
  GODWIT_TRY_VOID(records.access().insert_token(store::TokenRecord{.sha256 = sha256(text),
                                                                   .name = wanted.name,
                                                                   .role = std::string(role_name(wanted.role)),
                                                                   .created = now,
                                                                   .expires = wanted.expires,
                                                                   .instance = wanted.instance,
                                                                   .made_by = wanted.made_by}));
  return Secret(std::move(text));
}

Result<void> check_permission(const Caller& caller, Permission permission) {
  if (caller.permissions) {
    if (permission == Permission::none || (*caller.permissions & bit(permission)) != 0) return {};
    // 401 and not 403: by that number the hub's own clients choose their class.
    return fail(Code::unauthorized,
                "'" + caller.name + "' does not include the permission " + std::string(permission_name(permission)));
  }
  if (allows(caller.role, permission)) return {};
  return fail(Code::forbidden, "'" + caller.name + "' is " + std::string(role_name(caller.role)) +
                                   ", which does not include the permission " +
                                   std::string(permission_name(permission)));
}

Result<void> check_instance(const Caller& caller, std::string_view instance) {
  if (caller.instance.empty() || caller.instance == instance) return {};
  return fail(Code::forbidden, "'" + caller.name + "' is a token for the instance '" + caller.instance +
                                   "' only, this is '" + std::string(instance) + "'");
}

}  // namespace godwit::api
