// No token made without the key holds; what is read can be written again for the same scope, policy and expiry.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/trust/sas.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::trust;
  const auto token = parse_sas(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!token) return 0;
  GODWIT_CHECK(!sas_signature_holds(*token, "a key that no corpus knows"));
  if (token->scope.size() + token->policy.size() > 1000) return 0;  // percent-encoding may grow it beyond the limit
  const auto again = parse_sas(make_sas(token->scope, "key", token->expiry, token->policy));
  GODWIT_CHECK(again.has_value());
  GODWIT_CHECK(again->scope == token->scope && again->policy == token->policy && again->expiry == token->expiry);
  GODWIT_CHECK(sas_signature_holds(*again, "key"));
  return 0;
}
