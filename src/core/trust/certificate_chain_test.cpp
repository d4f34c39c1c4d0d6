#include "core/trust/certificate_chain.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "core/trust/test_certificates.hpp"

namespace godwit::trust {
namespace {

const WallTime kNow = std::chrono::sys_days{std::chrono::year{2026} / 5 / 1};
constexpr std::time_t kYear = 365 * 24 * 3600;
constexpr std::time_t kThen = 1'735'689'600;  // 2025-01-01

Certificate read(const MadeCertificate& made) { return Certificate::from_der(made.der()).value(); }

/// A root, an intermediate under it and a device under that, each of which a test may make worse.
class Chains : public testing::Test {
 protected:
  TrustedAuthorities trust(const std::vector<const MadeCertificate*>& authorities,
                           const std::vector<std::string>& lists = {}) {
    std::vector<Certificate> trusted;
    for (const auto* one : authorities) trusted.push_back(read(*one));
    std::vector<RevocationList> parsed;
    for (const auto& one : lists) parsed.push_back(RevocationList::from_pem(one).value());
    return TrustedAuthorities::make(trusted, parsed).value();
  }
  /// nullopt: the chain holds.
  std::optional<ChainFault> fault(const TrustedAuthorities& trusted, const MadeCertificate& leaf,
                                  const std::vector<const MadeCertificate*>& sent, WallTime now = kNow) {
    std::vector<Certificate> intermediates;
    for (const auto* one : sent) intermediates.push_back(read(*one));
    const auto verified = trusted.verify(read(leaf), intermediates, now);
    message_ = verified ? "" : verified.error().message;
    if (verified) return std::nullopt;
    return verified.error().fault;
  }

  MadeCertificate root_{{.common_name = "Root", .is_authority = true}};
  MadeCertificate issuing_{{.common_name = "Issuing", .is_authority = true}, &root_};
  MadeCertificate device_{{.common_name = "device-1", .extended_usage = "clientAuth"}, &issuing_};
  std::string message_;
};

TEST_F(Chains, a_device_under_a_trusted_root_holds_and_the_chain_is_told) {
  const auto verified = trust({&root_}).verify(read(device_), {read(issuing_)}, kNow);
  ASSERT_TRUE(verified) << verified.error().message;
  const VerifiedChain wanted{read(device_).facts().sha256, read(issuing_).facts().sha256, read(root_).facts().sha256};
  EXPECT_EQ(*verified, wanted);
}

TEST_F(Chains, an_intermediate_may_be_trusted_by_itself) {
  EXPECT_EQ(fault(trust({&issuing_}), device_, {}), std::nullopt) << message_;
  const MadeCertificate sibling({.common_name = "Sibling", .is_authority = true}, &root_);
  const MadeCertificate other({.common_name = "device-1"}, &sibling);
  EXPECT_EQ(fault(trust({&issuing_}), other, {&sibling}), ChainFault::unknown_issuer);
}

TEST_F(Chains, strangers_are_not_trusted) {
  const MadeCertificate impostor({.common_name = "Issuing", .is_authority = true});
  const MadeCertificate forged({.common_name = "device-1"}, &impostor);
  EXPECT_EQ(fault(trust({&root_}), forged, {&issuing_}), ChainFault::unknown_issuer) << message_;
  EXPECT_EQ(fault(trust({&root_}), forged, {&impostor}), ChainFault::unknown_issuer) << message_;
  EXPECT_EQ(fault(trust({&root_}), device_, {}), ChainFault::unknown_issuer) << "the intermediate is missing";
  const MadeCertificate lone({.common_name = "device-1"});
  EXPECT_EQ(fault(trust({&root_}), lone, {}), ChainFault::unknown_issuer);
  EXPECT_NE(message_.find("device-1"), std::string::npos) << message_;
  EXPECT_EQ(fault(trust({}), device_, {&issuing_}), ChainFault::unknown_issuer);
}

TEST_F(Chains, time_counts_at_every_level) {
  const MadeCertificate expired({.common_name = "d", .not_after = kThen}, &issuing_);
  EXPECT_EQ(fault(trust({&root_}), expired, {&issuing_}), ChainFault::expired);
  const MadeCertificate early({.common_name = "d", .not_before = kThen + 3 * kYear}, &issuing_);
  EXPECT_EQ(fault(trust({&root_}), early, {&issuing_}), ChainFault::not_yet_valid);
  const MadeCertificate old_issuing({.common_name = "Old", .is_authority = true, .not_after = kThen}, &root_);
  const MadeCertificate under_old({.common_name = "d"}, &old_issuing);
  EXPECT_EQ(fault(trust({&root_}), under_old, {&old_issuing}), ChainFault::expired);
  EXPECT_NE(message_.find("Old"), std::string::npos) << message_;
  const WallTime after_all = kNow + std::chrono::days(20 * 365);
  EXPECT_EQ(fault(trust({&root_}), device_, {&issuing_}, after_all), ChainFault::expired);
}

TEST_F(Chains, a_revoked_device_or_authority_is_refused_and_others_are_not) {
  const MadeCertificate other({.common_name = "device-2"}, &issuing_);
  const std::string by_issuing = issuing_.revocation_list({&device_});
  EXPECT_EQ(fault(trust({&root_, &issuing_}, {by_issuing}), device_, {}), ChainFault::revoked);
  EXPECT_EQ(fault(trust({&root_, &issuing_}, {by_issuing}), other, {}), std::nullopt) << message_;
  const std::string by_root = root_.revocation_list({&issuing_});
  EXPECT_EQ(fault(trust({&root_}, {by_root}), other, {&issuing_}), ChainFault::revoked);
  EXPECT_NE(message_.find("Issuing"), std::string::npos) << message_;
}

TEST_F(Chains, a_revocation_list_that_has_expired_judges_nobody) {
  const std::string expired = issuing_.revocation_list({}, kThen - kYear, kThen);
  EXPECT_EQ(fault(trust({&root_, &issuing_}, {expired}), device_, {}), ChainFault::revocation_list_expired);
  const std::string endless = issuing_.revocation_list({}, kThen - kYear, 0);
  EXPECT_EQ(fault(trust({&root_, &issuing_}, {endless}), device_, {}), std::nullopt) << message_;
}

TEST_F(Chains, a_list_of_one_authority_does_not_oblige_another) {
  const MadeCertificate second({.common_name = "Second", .is_authority = true});
  const MadeCertificate elsewhere({.common_name = "device-9"}, &second);
  const auto trusted = trust({&root_, &second}, {root_.revocation_list({})});
  EXPECT_EQ(fault(trusted, elsewhere, {}), std::nullopt) << message_;
  EXPECT_EQ(fault(trusted, device_, {&issuing_}), std::nullopt) << message_;
}

TEST_F(Chains, a_certificate_for_servers_is_not_for_clients) {
  const MadeCertificate server({.common_name = "device-1", .extended_usage = "serverAuth"}, &issuing_);
  EXPECT_EQ(fault(trust({&root_}), server, {&issuing_}), ChainFault::not_for_clients) << message_;
  const MadeCertificate plain({.common_name = "device-1"}, &issuing_);
  EXPECT_EQ(fault(trust({&root_}), plain, {&issuing_}), std::nullopt) << "no extended usage excludes nothing";
  const MadeCertificate crl_only({.common_name = "device-1", .usage = "critical,cRLSign"}, &issuing_);
  EXPECT_EQ(fault(trust({&root_}), crl_only, {&issuing_}), ChainFault::not_for_clients) << message_;
}

TEST_F(Chains, only_authorities_issue) {
  const MadeCertificate below_device({.common_name = "device-2"}, &device_);
  EXPECT_EQ(fault(trust({&root_}), below_device, {&device_, &issuing_}), ChainFault::bad_authority) << message_;
  const MadeCertificate flat({.common_name = "Flat", .is_authority = true, .path_length = 0}, &root_);
  const MadeCertificate too_deep({.common_name = "Deep", .is_authority = true}, &flat);
  const MadeCertificate leaf({.common_name = "device-3"}, &too_deep);
  EXPECT_EQ(fault(trust({&root_}), leaf, {&flat, &too_deep}), ChainFault::bad_authority) << message_;
  const MadeCertificate ancient({.common_name = "V1", .version = X509_VERSION_1});
  const MadeCertificate under_ancient({.common_name = "device-4"}, &ancient);
  EXPECT_EQ(fault(trust({&ancient}), under_ancient, {}), ChainFault::bad_authority) << message_;
}

TEST_F(Chains, weak_keys_and_digests_are_refused) {
  const MadeCertificate small({.common_name = "device-1", .rsa_bits = 1024}, &issuing_);
  EXPECT_EQ(fault(trust({&root_}), small, {&issuing_}), ChainFault::too_weak) << message_;
  const MadeCertificate sha1({.common_name = "device-1", .digest = EVP_sha1()}, &issuing_);
  EXPECT_EQ(fault(trust({&root_}), sha1, {&issuing_}), ChainFault::too_weak) << message_;
}

TEST_F(Chains, a_chain_has_an_end) {
  std::vector<std::unique_ptr<MadeCertificate>> levels;
  const MadeCertificate* last = &root_;
  for (std::size_t i = 0; i < kIntermediatesLimit + 1; ++i) {
    levels.push_back(std::make_unique<MadeCertificate>(
        CertificateWish{.common_name = "Level " + std::to_string(i), .is_authority = true}, last));
    last = levels.back().get();
    std::vector<const MadeCertificate*> sent;
    for (const auto& one : levels) sent.push_back(one.get());
    const MadeCertificate leaf({.common_name = "device"}, last);
    const auto expected = i < kIntermediatesLimit ? std::nullopt : std::optional(ChainFault::too_long);
    EXPECT_EQ(fault(trust({&root_}), leaf, sent), expected) << i << message_;
  }
}

}  // namespace
}  // namespace godwit::trust
