// Certificates and revocation lists from outside: whatever is read can be read again from what is kept, and nothing
// leads to an authority whose key the bytes do not know. The first byte chooses the form: 'd' and 'p' a certificate as
// DER and PEM, 'l' and 'c' a revocation list as DER and PEM, 't' a thumbprint.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/trust/certificate_chain.hpp"
#include "core/trust/test_certificates.hpp"

namespace {

using namespace godwit;
using namespace godwit::trust;

struct Trust {
  MadeCertificate authority{{.common_name = "CA", .is_authority = true}};
  Certificate own = Certificate::from_der(authority.der()).value();
  TrustedAuthorities trusted =
      TrustedAuthorities::make({own}, {RevocationList::from_pem(authority.revocation_list({})).value()}).value();
};

void use(const Trust& trust, const Certificate& certificate) {
  GODWIT_CHECK(Certificate::from_der(certificate.der())->facts().sha256 == certificate.facts().sha256);
  GODWIT_CHECK(Certificate::from_pem(certificate.to_pem())->der() == certificate.der());
  const WallTime now = certificate.facts().not_before;
  GODWIT_CHECK(!trust.trusted.verify(certificate, {certificate, trust.own}, now));
  if (auto own = TrustedAuthorities::make({certificate}, {})) static_cast<void>(own->verify(certificate, {}, now));
}

void use(const Trust& trust, const RevocationList& list) {
  GODWIT_CHECK(!list.check_issuer(trust.own));
  GODWIT_CHECK(RevocationList::from_der(list.der())->entries() == list.entries());
  if (auto with_list = TrustedAuthorities::make({trust.own}, {list}))
    static_cast<void>(with_list->verify(trust.own, {}, list.made()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Trust trust;
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'd') {
    if (const auto certificate = Certificate::from_der(rest)) use(trust, *certificate);
  } else if (data[0] == 'p') {
    if (const auto list = Certificate::list_from_pem(rest)) use(trust, list->front());
  } else if (data[0] == 'l') {
    if (const auto list = RevocationList::from_der(rest)) use(trust, *list);
  } else if (data[0] == 'c') {
    if (const auto list = RevocationList::from_pem(rest)) use(trust, *list);
  } else if (const auto thumbprint = parse_thumbprint(rest)) {
    GODWIT_CHECK(parse_thumbprint(*thumbprint) == *thumbprint);
  }
  return 0;
}
