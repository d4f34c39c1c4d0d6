// Goal: good files are taken, and each kind of bad one is refused with a sentence that names the file.
#include "device/agent/client_certificate.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "core/base/testing/temp_folder.hpp"
#include "core/trust/test_certificates.hpp"

namespace godwit::agent {
namespace {

class ClientCertificateTest : public ::testing::Test {
 protected:
  ClientCertificate write(const std::string& chain, const std::string& key) {
    const ClientCertificate made{.chain_file = folder_.path() / "chain.pem", .key_file = folder_.path() / "key.pem"};
    GODWIT_CHECK(write_file_durably(made.chain_file, chain).has_value());
    GODWIT_CHECK(write_file_durably(made.key_file, key).has_value());
    return made;
  }
  static std::string problem_of(const ClientCertificate& certificate) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    const auto done = use_client_certificate(context, certificate);
    SSL_CTX_free(context);
    return done ? "" : done.error().message;
  }
  static bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

  TempFolder folder_;
  trust::MadeCertificate root_{{.common_name = "root", .is_authority = true}};
  trust::MadeCertificate line_{{.common_name = "line", .is_authority = true}, &root_};
  trust::MadeCertificate own_{{.common_name = "dev-1"}, &line_};
};

TEST_F(ClientCertificateTest, takes_a_chain_and_its_key_from_two_files_or_from_one) {
  EXPECT_EQ(problem_of(write(own_.pem() + line_.pem(), own_.key_pem())), "");
  auto one = write(own_.pem() + own_.key_pem(), "");
  one.key_file = one.chain_file;
  EXPECT_EQ(problem_of(one), "");
}

TEST_F(ClientCertificateTest, names_what_is_wrong) {
  const std::string of_other = problem_of(write(own_.pem(), line_.key_pem()));
  EXPECT_TRUE(has(of_other, "key.pem") && has(of_other, "belongs to another certificate")) << of_other;
  const std::string of_other_kind =
      problem_of(write(own_.pem(), trust::MadeCertificate({.common_name = "x", .rsa_bits = 2048}).key_pem()));
  EXPECT_TRUE(has(of_other_kind, "belongs to another certificate")) << of_other_kind;
  const std::string no_chain = problem_of(write("not a certificate", own_.key_pem()));
  EXPECT_TRUE(has(no_chain, "chain.pem") && has(no_chain, "PEM")) << no_chain;
  const std::string no_key = problem_of(write(own_.pem(), "not a key"));
  EXPECT_TRUE(has(no_key, "key.pem") && has(no_key, "PEM")) << no_key;
  const std::string too_large = problem_of(write(own_.pem(), std::string(64 * 1024 + 1, 'x')));
  EXPECT_TRUE(has(too_large, "key.pem")) << too_large;
  auto missing = write(own_.pem(), own_.key_pem());
  missing.key_file = folder_.path() / "nothing.pem";
  EXPECT_TRUE(has(problem_of(missing), "nothing.pem")) << problem_of(missing);
}

TEST_F(ClientCertificateTest, a_key_with_a_passphrase_is_refused_without_asking) {
  BIO* bio = BIO_new(BIO_s_mem());
  GODWIT_CHECK(PEM_write_bio_PKCS8PrivateKey(bio, own_.key(), EVP_aes_128_cbc(), "secret", 6, nullptr, nullptr) == 1);
  char* data = nullptr;
  const auto size = static_cast<std::size_t>(BIO_get_mem_data(bio, &data));
  const std::string locked(data, size);
  BIO_free(bio);
  const std::string problem = problem_of(write(own_.pem(), locked));
  EXPECT_TRUE(has(problem, "key.pem") && has(problem, "passphrase")) << problem;
}

// faults: 31
TEST_F(ClientCertificateTest, tells_its_end_and_when_to_say_so) {
  const auto days = [](int count) { return Duration(std::chrono::hours(24 * count)); };
  const auto life_with = [&](std::time_t begin, std::time_t end) {
    const trust::MadeCertificate made({.common_name = "dev-1", .not_before = begin, .not_after = end}, &line_);
    return life_of(write(made.pem() + line_.pem() + made.key_pem(), "")).value();
  };
  constexpr std::time_t kDay = 24 * 3600;
  const auto year = life_with(1'900'000'000, 1'900'000'000 + 365 * kDay);
  EXPECT_EQ(year.begin, WallTime{std::chrono::seconds(1'900'000'000)});
  EXPECT_EQ(year.end - year.begin, days(365));
  EXPECT_EQ(year.notice(), days(14));
  EXPECT_EQ(life_with(1'900'000'000, 1'900'000'000 + 10 * kDay).notice(), days(1));
  const auto none = life_of(write(own_.key_pem(), ""));
  ASSERT_FALSE(none);
  EXPECT_TRUE(has(none.error().message, "no certificate stands in")) << none.error().message;
}

TEST_F(ClientCertificateTest, a_renewal_is_one_when_both_files_are_there) {
  const trust::MadeCertificate next({.common_name = "dev-1"}, &line_);
  const auto files = write(own_.pem(), own_.key_pem());
  const auto before = fingerprint_of_files(files);
  ASSERT_TRUE(before);
  EXPECT_FALSE(was_renewed(files, *before));
  ASSERT_TRUE(write_file_durably(files.chain_file, next.pem()));
  EXPECT_FALSE(was_renewed(files, *before)) << "the key is still the old one";
  ASSERT_TRUE(write_file_durably(files.key_file, next.key_pem()));
  EXPECT_TRUE(was_renewed(files, *before));
}

}  // namespace
}  // namespace godwit::agent
