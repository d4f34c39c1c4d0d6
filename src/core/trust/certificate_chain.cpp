#include "core/trust/certificate_chain.hpp"

#include <fmt/format.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <optional>

#include "core/trust/openssl.hpp"

namespace godwit::trust {
namespace {

using StoreContext = std::unique_ptr<X509_STORE_CTX, ossl::Deleter<X509_STORE_CTX_free>>;

// 112 bits: RSA from 2048, curves from 224, nothing signed with SHA-1.
constexpr int kSecurityLevel = 2;

void free_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }  // the certificates have owners
using Stack = std::unique_ptr<STACK_OF(X509), ossl::Deleter<free_stack>>;

std::string der_of(const X509_NAME* name) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_NAME(name, &bytes);
  if (size < 0) return {};
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

/// OpenSSL asks for a list of every issuer; only those that have one here must show it.
int judge(int is_fine, X509_STORE_CTX* context) {
  if (is_fine == 1) return 1;
  if (X509_STORE_CTX_get_error(context) != X509_V_ERR_UNABLE_TO_GET_CRL) return 0;
  const auto* listed = static_cast<const std::set<std::string>*>(X509_STORE_CTX_get_app_data(context));
  const X509* certificate = X509_STORE_CTX_get_current_cert(context);
  if (certificate == nullptr || listed->contains(der_of(X509_get_issuer_name(certificate)))) return 0;
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
}

struct Words {
  ChainFault fault;
  std::string_view what;  // goes behind "the certificate 'X' "
};

Words words_of(int error, bool is_leaf) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return {ChainFault::expired, "has expired"};
    case X509_V_ERR_CERT_NOT_YET_VALID: return {ChainFault::not_yet_valid, "is not valid yet (is the clock right?)"};
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_UNTRUSTED:
      return {ChainFault::unknown_issuer, "does not lead to an authority that is trusted here"};
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
      return {ChainFault::bad_signature, "was not signed by the authority it names"};
    case X509_V_ERR_CERT_REVOKED: return {ChainFault::revoked, "is revoked"};
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return {ChainFault::revocation_list_expired,
              "cannot be judged: the revocation list of its authority has expired; upload a newer one"};
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return {ChainFault::revocation_list_expired,
              "cannot be judged: the revocation list of its authority is not valid yet"};
    case X509_V_ERR_INVALID_PURPOSE:
      return is_leaf ? Words{ChainFault::not_for_clients, "is not for clients, its key usages say"}
                     : Words{ChainFault::bad_authority, "may not issue certificates of clients"};
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_INVALID_NON_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN: return {ChainFault::bad_authority, "may not issue certificates"};
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
      return {ChainFault::bad_authority, "stands under an authority that allows fewer levels"};
    case X509_V_ERR_CERT_CHAIN_TOO_LONG: return {ChainFault::too_long, "stands in a chain that is too long"};
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL: return {ChainFault::too_weak, "has a key below 112 bits of strength"};
    case X509_V_ERR_CA_MD_TOO_WEAK: return {ChainFault::too_weak, "is signed with a digest that is too weak"};
    default: return {ChainFault::other, ""};
  }
}

ChainProblem problem_of(X509_STORE_CTX* context) {
  const int error = X509_STORE_CTX_get_error(context);
  const Words words = words_of(error, X509_STORE_CTX_get_error_depth(context) == 0);
  std::string who = "?";
  if (X509* current = X509_STORE_CTX_get_current_cert(context); current != nullptr) {
    char line[256] = {};
    X509_NAME_oneline(X509_get_subject_name(current), line, sizeof line);
    who = line;
  }
  std::string what = words.fault == ChainFault::other
                         ? fmt::format("does not hold: {}", X509_verify_cert_error_string(error))
                         : std::string(words.what);
  return {.fault = words.fault, .message = fmt::format("the certificate '{}' {}", who, what)};
}

VerifiedChain digests_of(const STACK_OF(X509) * chain) {
  VerifiedChain digests;
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    GODWIT_CHECK(X509_digest(sk_X509_value(chain, i), EVP_sha256(), bytes, &size) == 1);
    digests.push_back(hex_encode({reinterpret_cast<const char*>(bytes), size}));
  }
  return digests;
}

/// Certificates of old versions may act as authorities for OpenSSL; here an issuer says so itself.
std::optional<ChainProblem> check_issuers(const STACK_OF(X509) * chain) {
  for (int i = 1; i < sk_X509_num(chain); ++i) {
    X509* issuer = sk_X509_value(chain, i);
    if (X509_check_ca(issuer) == 1) continue;
    char line[256] = {};
    X509_NAME_oneline(X509_get_subject_name(issuer), line, sizeof line);
    return ChainProblem{.fault = ChainFault::bad_authority,
                        .message = fmt::format("the certificate '{}' may not issue certificates", line)};
  }
  return std::nullopt;
}

}  // namespace

Result<TrustedAuthorities> TrustedAuthorities::make(const std::vector<Certificate>& authorities,
                                                    const std::vector<RevocationList>& lists) {
  const std::shared_ptr<X509_STORE> store(X509_STORE_new(), X509_STORE_free);
  if (!store) return ossl::failure("make a store of authorities");
  TrustedAuthorities trusted;
  for (const Certificate& authority : authorities)
    if (X509_STORE_add_cert(store.get(), static_cast<X509*>(authority.native())) != 1)
      return ossl::failure("add an authority");
  for (const RevocationList& list : lists) {
    auto* crl = static_cast<X509_CRL*>(list.native());
    if (X509_STORE_add_crl(store.get(), crl) != 1) return ossl::failure("add a revocation list");
    trusted.listed_issuers_.insert(der_of(X509_CRL_get_issuer(crl)));
  }
  trusted.store_ = store;
  trusted.is_empty_ = authorities.empty();
  return trusted;
}

tl::expected<VerifiedChain, ChainProblem> TrustedAuthorities::verify(const Certificate& leaf,
                                                                     const std::vector<Certificate>& intermediates,
                                                                     WallTime now) const {
  const auto refuse = [](ChainFault fault, std::string message) {
    return tl::unexpected<ChainProblem>{ChainProblem{.fault = fault, .message = std::move(message)}};
  };
  if (is_empty_) return refuse(ChainFault::unknown_issuer, "no authority is trusted here; add one to the hub first");
  if (intermediates.size() > kIntermediatesLimit)
    return refuse(ChainFault::too_long, fmt::format("{} certificates came besides the device's own; {} are allowed",
                                                    intermediates.size(), kIntermediatesLimit));
  const Stack sent(sk_X509_new_null());
  const StoreContext context(X509_STORE_CTX_new());
  bool is_ready = sent && context;
  for (const Certificate& one : intermediates)
    is_ready = is_ready && sk_X509_push(sent.get(), static_cast<X509*>(one.native())) > 0;
  is_ready = is_ready && X509_STORE_CTX_init(context.get(), static_cast<X509_STORE*>(store_.get()),
                                             static_cast<X509*>(leaf.native()), sent.get()) == 1;
  if (!is_ready || X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT) != 1)
    return refuse(ChainFault::other, ossl::failure("verify a certificate").value().message);
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST;
  if (!listed_issuers_.empty()) flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
  X509_VERIFY_PARAM_set_flags(rules, flags);
  X509_VERIFY_PARAM_set_depth(rules, static_cast<int>(kIntermediatesLimit));
  X509_VERIFY_PARAM_set_auth_level(rules, kSecurityLevel);
  X509_VERIFY_PARAM_set_time(rules, static_cast<std::time_t>(to_unix_ms(now) / 1000));
  X509_STORE_CTX_set_verify_cb(context.get(), judge);
  X509_STORE_CTX_set_app_data(context.get(), const_cast<std::set<std::string>*>(&listed_issuers_));
  const bool holds = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (!holds) return tl::unexpected<ChainProblem>{problem_of(context.get())};
  const auto* chain = X509_STORE_CTX_get0_chain(context.get());
  if (auto problem = check_issuers(chain)) return tl::unexpected<ChainProblem>{*std::move(problem)};
  return digests_of(chain);
}

}  // namespace godwit::trust
