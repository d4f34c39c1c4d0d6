#include "core/trust/client_certificate.hpp"

#include <gtest/gtest.h>

#include "core/trust/test_certificates.hpp"

namespace godwit::trust {
namespace {

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST(ClientCertificate, tells_its_facts) {
  const MadeCertificate ca({.common_name = "Contoso CA", .is_authority = true});
  const MadeCertificate made({.common_name = "device-1"}, &ca);
  const auto read = Certificate::from_pem(made.pem());
  ASSERT_TRUE(read) << read.error().message;
  const CertificateFacts& facts = read->facts();
  EXPECT_EQ(facts.common_name, "device-1");
  EXPECT_EQ(facts.subject, "CN=device-1");
  EXPECT_EQ(facts.issuer, "CN=Contoso CA");
  EXPECT_EQ(format_time(facts.not_before), "2020-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(facts.not_after), "2040-01-01T00:00:00.000Z");
  EXPECT_EQ(facts.sha256, hex_encode(sha256(made.der())));
  unsigned char sha1[20];
  unsigned int size = 0;
  X509_digest(made.x509(), EVP_sha1(), sha1, &size);
  EXPECT_EQ(facts.sha1, hex_encode({reinterpret_cast<const char*>(sha1), size}));
  EXPECT_FALSE(facts.is_authority);
  EXPECT_EQ(facts.version, 3);
  EXPECT_TRUE(Certificate::from_der(ca.der())->facts().is_authority);
  EXPECT_EQ(read->to_pem(), made.pem());
  EXPECT_EQ(read->der(), made.der());
}

TEST(ClientCertificate, takes_a_bundle_and_bounds_it) {
  const MadeCertificate made({.common_name = "d"});
  EXPECT_EQ(Certificate::list_from_pem("comment\n" + made.pem() + "\n" + made.pem())->size(), 2U);
  EXPECT_EQ(Certificate::list_from_pem(repeated(made.pem(), kCertificatesInText))->size(), kCertificatesInText);
  EXPECT_EQ(Certificate::list_from_pem(repeated(made.pem(), kCertificatesInText + 1)).error().code, Code::too_large);
  EXPECT_EQ(Certificate::from_pem(made.pem() + made.pem()).error().code, Code::too_large) << "one means one";
}

TEST(ClientCertificate, refuses_what_is_not_exactly_a_certificate) {
  const MadeCertificate made({.common_name = "d"});
  for (const std::string& text :
       {std::string(), std::string("hello"), made.key_pem(), made.revocation_list({}), made.pem().substr(0, 200),
        made.pem() + made.key_pem(), made.pem() + made.pem().substr(0, 100)})
    EXPECT_FALSE(Certificate::list_from_pem(text)) << text.substr(0, 60);
  EXPECT_FALSE(Certificate::from_der(made.der() + "x")) << "bytes behind it would have another thumbprint";
  EXPECT_FALSE(Certificate::from_der(made.der().substr(0, made.der().size() - 1)));
  EXPECT_FALSE(Certificate::from_der(""));
  EXPECT_EQ(Certificate::from_der(std::string(kCertificateBytes + 1, 'x')).error().code, Code::too_large);
  EXPECT_EQ(Certificate::from_pem(std::string(kCertificateTextBytes + 1, 'x')).error().code, Code::too_large);
}

TEST(ClientCertificate, has_no_common_name_that_two_readers_could_read_differently) {
  const auto with_names = [](const std::vector<std::string>& names) {
    const MadeCertificate made({.common_name = "first"});
    X509* x509 = made.x509();
    X509_NAME* subject = X509_NAME_new();
    for (const std::string& name : names)
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.data()),
                                 static_cast<int>(name.size()), -1, 0);
    X509_set_subject_name(x509, subject);
    X509_NAME_free(subject);
    X509_sign(x509, made.key(), EVP_sha256());
    return Certificate::from_der(made.der())->facts().common_name;
  };
  EXPECT_EQ(with_names({"device"}), "device");
  EXPECT_EQ(with_names({}), "");
  EXPECT_EQ(with_names({"device", "admin"}), "");
  EXPECT_EQ(with_names({std::string("device\0admin", 12)}), "");
}

TEST(RevocationListText, tells_its_issuer_and_times_and_is_checked_against_its_authority) {
  const MadeCertificate ca({.common_name = "CA", .is_authority = true});
  const MadeCertificate namesake({.common_name = "CA", .is_authority = true});
  const MadeCertificate stranger({.common_name = "Other", .is_authority = true});
  const MadeCertificate device({.common_name = "d"}, &ca);
  const auto list = RevocationList::from_pem(ca.revocation_list({&device}, 1'735'689'600, 1'767'225'600));
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->issuer(), "CN=CA");
  EXPECT_EQ(list->entries(), 1U);
  EXPECT_EQ(format_time(list->made()), "2025-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(*list->next()), "2026-01-01T00:00:00.000Z");
  EXPECT_TRUE(list->check_issuer(*Certificate::from_der(ca.der())));
  EXPECT_EQ(list->check_issuer(*Certificate::from_der(stranger.der())).error().code, Code::bad_signature);
  EXPECT_EQ(list->check_issuer(*Certificate::from_der(namesake.der())).error().code, Code::bad_signature);
  EXPECT_FALSE(RevocationList::from_pem(ca.revocation_list({}, 1'735'689'600, 0))->next());
}

TEST(RevocationListText, refuses_lists_that_do_not_answer_for_every_certificate) {
  const MadeCertificate ca({.common_name = "CA", .is_authority = true});
  const auto with_extension = [&](int nid, const char* value) {
    const std::string pem = ca.revocation_list({});
    BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509_CRL* crl = PEM_read_bio_X509_CRL(in, nullptr, nullptr, nullptr);
    BIO_free(in);
    X509V3_CTX context;
    X509V3_set_ctx(&context, ca.x509(), nullptr, nullptr, crl, 0);
    if (nid == NID_delta_crl || nid == NID_crl_number) {  // OpenSSL cannot read these from text
      ASN1_INTEGER* number = s2i_ASN1_INTEGER(nullptr, value);
      GODWIT_CHECK(X509_CRL_add1_ext_i2d(crl, nid, number, 1, 0) == 1);
      ASN1_INTEGER_free(number);
    } else {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
      GODWIT_CHECK(extension != nullptr && X509_CRL_add_ext(crl, extension, -1) == 1);
      X509_EXTENSION_free(extension);
    }
    X509_CRL_sign(crl, ca.key(), EVP_sha256());
    BIO* out = BIO_new(BIO_s_mem());
    i2d_X509_CRL_bio(out, crl);
    X509_CRL_free(crl);
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    const auto parsed = RevocationList::from_der({data, static_cast<std::size_t>(size)});
    BIO_free(out);
    return parsed ? Code::ok : parsed.error().code;
  };
  EXPECT_EQ(with_extension(NID_crl_number, "7"), Code::ok);
  EXPECT_EQ(with_extension(NID_delta_crl, "7"), Code::unsupported);
  EXPECT_EQ(with_extension(NID_issuing_distribution_point, "critical,onlyuser:TRUE"), Code::unsupported);
  EXPECT_EQ(with_extension(NID_issuing_distribution_point, "critical,indirectCRL:TRUE"), Code::unsupported);
  EXPECT_EQ(with_extension(NID_issuing_distribution_point, "critical,fullname:URI:http://ca.example/a.crl"), Code::ok);
  EXPECT_EQ(RevocationList::from_der(std::string(kRevocationListBytes + 1, 'x')).error().code, Code::too_large);
  EXPECT_FALSE(RevocationList::from_pem(ca.pem()));
}

TEST(Thumbprint, is_hex_of_either_digest_in_any_spelling) {
  EXPECT_EQ(parse_thumbprint(std::string(40, 'A')).value(), std::string(40, 'a'));
  EXPECT_EQ(parse_thumbprint("AB:" + repeated("cd:", 18) + "EF").value(), "ab" + repeated("cd", 18) + "ef");
  EXPECT_EQ(parse_thumbprint(std::string(64, '0')).value(), std::string(64, '0'));
  for (const std::string& bad : {std::string(), std::string(39, 'a'), std::string(42, 'a'), std::string(40, 'g'),
                                 std::string(64, 'a') + repeated(" ", 200)})
    EXPECT_FALSE(parse_thumbprint(bad)) << bad;
}

}  // namespace
}  // namespace godwit::trust
