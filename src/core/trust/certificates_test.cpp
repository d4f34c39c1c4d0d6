#include "core/trust/certificates.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "core/trust/openssl.hpp"

namespace godwit::trust {
namespace {

ossl::Certificate read(const std::string& pem) {
  const ossl::Bio bio = ossl::reader(pem);
  return ossl::Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

/// What a TLS client does: chain up to `ca`, purpose server. 0 is X509_V_OK.
int verify(const std::string& ca, const std::string& server) {
  const ossl::Certificate anchor = read(ca);
  const ossl::Certificate leaf = read(server);
  const std::unique_ptr<X509_STORE, ossl::Deleter<X509_STORE_free>> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), anchor.get());
  const std::unique_ptr<X509_STORE_CTX, ossl::Deleter<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

TEST(Certificates, a_client_that_trusts_the_ca_trusts_the_server_under_its_names) {
  const CertificatePair ca = make_ca("Godwit test CA", 30).value();
  const CertificatePair server =
      issue_server_certificate(ca, {"hub.example", "localhost", "127.0.0.1", "::1"}, 10).value();
  EXPECT_EQ(verify(ca.certificate_pem, server.certificate_pem), X509_V_OK);
  const ossl::Certificate leaf = read(server.certificate_pem);
  EXPECT_EQ(X509_check_host(leaf.get(), "hub.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(leaf.get(), "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(leaf.get(), "other.example", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ip_asc(leaf.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(leaf.get(), "::1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(leaf.get(), "127.0.0.2", 0), 0);
  EXPECT_EQ(X509_check_ca(leaf.get()), 0);
  EXPECT_EQ(X509_get_extension_flags(leaf.get()) & EXFLAG_CA, 0U);
}

TEST(Certificates, another_ca_is_not_trusted_and_a_server_cannot_issue) {
  const CertificatePair ca = make_ca("Godwit test CA", 30).value();
  const CertificatePair other = make_ca("Godwit test CA", 30).value();
  const CertificatePair server = issue_server_certificate(ca, {"hub.example"}, 10).value();
  EXPECT_NE(verify(other.certificate_pem, server.certificate_pem), X509_V_OK);
  const CertificatePair below = issue_server_certificate(server, {"evil.example"}, 10).value();
  EXPECT_NE(verify(ca.certificate_pem, below.certificate_pem), X509_V_OK);
}

TEST(Certificates, the_private_key_belongs_to_the_certificate) {
  const CertificatePair ca = make_ca("Godwit test CA", 30).value();
  const ossl::Bio bio = ossl::reader(ca.key_pem.reveal());
  const ossl::Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  ASSERT_TRUE(key);
  EXPECT_EQ(X509_check_private_key(read(ca.certificate_pem).get(), key.get()), 1);
  const CertificatePair mixed{.certificate_pem = ca.certificate_pem, .key_pem = make_ca("x", 1)->key_pem};
  EXPECT_FALSE(issue_server_certificate(mixed, {"hub.example"}, 10));
}

TEST(Certificates, the_name_that_a_certificate_was_made_for_can_be_read) {
  const CertificatePair ca = make_ca("Godwit test CA", 30).value();
  const auto name_of = [&ca](const std::string& name) {
    return certificate_name(issue_server_certificate(ca, {name, "localhost"}, 10)->certificate_pem +
                            ca.certificate_pem);
  };
  EXPECT_EQ(name_of("hub.example").value(), "hub.example");
  EXPECT_EQ(name_of("10.1.2.3").value(), "10.1.2.3");
  EXPECT_EQ(name_of("2001:db8::1").value(), "[2001:db8::1]");
  EXPECT_FALSE(certificate_name(ca.certificate_pem)) << "an authority is of no host";
  EXPECT_FALSE(certificate_name("nonsense"));
}

TEST(Certificates, bad_requests_are_refused) {
  const CertificatePair ca = make_ca("Godwit test CA", 30).value();
  EXPECT_FALSE(make_ca("", 30));
  EXPECT_FALSE(make_ca(std::string(65, 'x'), 30));
  EXPECT_FALSE(make_ca("x", 0));
  EXPECT_FALSE(issue_server_certificate(ca, {}, 10));
  EXPECT_FALSE(issue_server_certificate(ca, {"a b"}, 10));
  EXPECT_FALSE(issue_server_certificate(ca, {"a.example,DNS:evil.example"}, 10));
  EXPECT_FALSE(issue_server_certificate(ca, {"a.example"}, -1));
  EXPECT_FALSE(issue_server_certificate(CertificatePair{}, {"a.example"}, 10));
}

}  // namespace
}  // namespace godwit::trust
