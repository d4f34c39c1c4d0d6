// Shared access signatures: made by devices and operators, checked by the hub (HMAC-SHA256 over the raw scope text).
// Pure functions; safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace godwit::trust {

struct SasToken {
  std::string scope_raw;  // exact text of sr
  std::string scope;      // percent-decoded
  Bytes signature;
  std::int64_t expiry = 0;  // unix seconds
  std::string policy;       // skn, may be empty
};
/// At most 4096 bytes; parameters in any order. Errors: unauthorized.
[[nodiscard]] Result<SasToken> parse_sas(std::string_view text);
/// True if `token` was signed with `key` (raw bytes). Does not look at expiry or scope. Constant time.
[[nodiscard]] bool sas_signature_holds(const SasToken& token, std::string_view key);
/// `scope` is percent-encoded into sr. `key` is raw bytes.
[[nodiscard]] std::string make_sas(std::string_view scope, std::string_view key, std::int64_t expiry,
                                   std::string_view policy = {});
/// The key of one device of an enrollment group (raw bytes): HMAC-SHA256 of the registration id with the group's key.
[[nodiscard]] Bytes derive_device_key(std::string_view group_key, std::string_view registration_id);

}  // namespace godwit::trust
