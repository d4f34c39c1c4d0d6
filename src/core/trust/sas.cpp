#include "core/trust/sas.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <optional>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "core/trust/hmac.hpp"

namespace godwit::trust {
namespace {

constexpr std::size_t kTokenLimit = 4096;
constexpr std::string_view kPrefix = "SharedAccessSignature ";

tl::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::unauthorized, fmt::format("shared access signature {}", why));
}

std::string string_to_sign(std::string_view scope_raw, std::int64_t expiry) {
  return fmt::format("{}\n{}", scope_raw, expiry);
}

/// The raw texts of the four parameters, in whatever order they stand.
struct Parameters {
  std::optional<std::string_view> sr, sig, se, skn;
};

Result<Parameters> split(std::string_view text) {
  Parameters found;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) return refuse("has a parameter without '='");
    const std::string_view name = part.substr(0, equals);
    auto* slot = name == "sr"    ? &found.sr
                 : name == "sig" ? &found.sig
                 : name == "se"  ? &found.se
                 : name == "skn" ? &found.skn
                                 : nullptr;
    if (slot == nullptr) continue;  // unknown parameters are not signed and mean nothing to us
    if (*slot) return refuse(fmt::format("has {} twice", name));
    *slot = part.substr(equals + 1);
  }
  return found;
}

/// Decimal without sign or leading zero, so that the number and its signed text are the same thing.
std::optional<std::int64_t> parse_expiry(std::string_view text) {
  const auto number = to_number<std::int64_t>(text);
  if (!number || *number < 0 || text != fmt::format("{}", *number)) return std::nullopt;
  return number;
}

}  // namespace

Result<SasToken> parse_sas(std::string_view text) {
  if (text.size() > kTokenLimit) return refuse(fmt::format("is longer than {} bytes", kTokenLimit));
  if (!text.starts_with(kPrefix)) return refuse("does not begin with 'SharedAccessSignature '");
  GODWIT_TRY(const Parameters parts, split(text.substr(kPrefix.size())));
  if (!parts.sr || parts.sr->empty()) return refuse("has no sr");
  if (!parts.sig) return refuse("has no sig");
  if (!parts.se) return refuse("has no se");
  SasToken token;
  token.scope_raw = std::string(*parts.sr);
  const auto scope = percent_decode(*parts.sr);
  if (!scope || !is_valid_utf8(*scope)) return refuse("has an sr that is not percent-encoded text");
  token.scope = *scope;
  const auto signature_text = percent_decode(*parts.sig);
  auto signature = signature_text ? base64_decode(*signature_text) : Result<Bytes>(signature_text);
  if (!signature || signature->size() != 32) return refuse("has a sig that is not base64 of 32 bytes");
  token.signature = *std::move(signature);
  const auto expiry = parse_expiry(*parts.se);
  if (!expiry) return refuse("has an se that is not a number of seconds");
  token.expiry = *expiry;
  const auto policy = percent_decode(parts.skn.value_or(""));
  if (!policy || !is_valid_utf8(*policy)) return refuse("has an skn that is not percent-encoded text");
  token.policy = *policy;
  return token;
}

bool sas_signature_holds(const SasToken& token, std::string_view key) {
  if (key.empty()) return false;  // a missing key must not be a key that everybody knows
  return equal_constant_time(hmac_sha256(key, string_to_sign(token.scope_raw, token.expiry)), token.signature);
}

std::string make_sas(std::string_view scope, std::string_view key, std::int64_t expiry, std::string_view policy) {
  const std::string scope_raw = percent_encode(scope);
  const std::string signature = percent_encode(base64_encode(hmac_sha256(key, string_to_sign(scope_raw, expiry))));
  std::string token = fmt::format("{}sr={}&sig={}&se={}", kPrefix, scope_raw, signature, expiry);
  if (!policy.empty()) token += "&skn=" + percent_encode(policy);
  return token;
}

Bytes derive_device_key(std::string_view group_key, std::string_view registration_id) {
  return hmac_sha256(group_key, registration_id);
}

}  // namespace godwit::trust
