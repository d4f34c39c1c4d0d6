// Goal: a device proves itself by its certificate: by thumbprint, or by an authority of the hub. Method: a real hub
// over a real store, made certificates, devices on raw TLS.
#include "core/trust/test_certificates.hpp"
#include "server/hub/client_certificates.hpp"
#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

using mqtt::ConnectReturn;
using trust::MadeCertificate;

class CertificateConnect : public HubTest {
 protected:
  void add(NewIdentity wanted) {
    write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY([[maybe_unused]] const auto identity, hub_->registry().create(records, wanted));
      return {};
    });
  }
  void add_by_authority(const std::string& id) {
    add({.id = device_id(id), .authentication = store::Authentication::certificate_authority});
  }
  void trust_in(const std::string& name, const MadeCertificate& made) {
    write([&](store::Records& records) {
      return records.provisioning().insert_authority(
          {.name = name, .certificate = made.der(), .sha256 = facts(made).sha256});
    });
  }
  /// As the REST surface does it: change, then try live connections again.
  void change(const std::string& name, const std::function<void(store::AuthorityRecord&)>& how) {
    write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(auto authority, records.provisioning().find_authority(name));
      how(*authority);
      GODWIT_TRY_VOID(records.provisioning().update_authority(*authority));
      records.after_commit([this] { hub_->recheck_certificates(); });
      return {};
    });
  }
  static trust::CertificateFacts facts(const MadeCertificate& made) {
    return trust::Certificate::from_der(made.der())->facts();
  }
  ConnectReturn connect(TestDevice& device, const MadeCertificate& own,
                        const std::vector<const MadeCertificate*>& others = {}, bool has_password = false) {
    std::vector<std::string> chain;
    for (const auto* one : others) chain.push_back(one->pem());
    device.peer.show_certificate(own.pem(), own.key_pem(), chain);
    return device.connect({.has_password = has_password}).code;
  }
  ConnectReturn connect(const std::string& id, const MadeCertificate& own,
                        const std::vector<const MadeCertificate*>& others = {}) {
    TestDevice device = this->device(id);
    return connect(device, own, others);
  }

  MadeCertificate root_{{.common_name = "Root", .is_authority = true}};
  MadeCertificate line_{{.common_name = "Line", .is_authority = true}, &root_};
  MadeCertificate dev1_{{.common_name = "dev1", .extended_usage = "clientAuth"}, &line_};
};

TEST_F(CertificateConnect, either_thumbprint_lets_its_certificate_in_whatever_its_issuer_and_end) {
  start();
  const MadeCertificate own({.common_name = "anything", .not_after = 1'735'689'600});
  const MadeCertificate next({.common_name = "anything"});
  add({.id = device_id("dev1"),
       .authentication = store::Authentication::self_signed,
       .primary_thumbprint = facts(own).sha1,
       .secondary_thumbprint = facts(next).sha256});
  EXPECT_EQ(connect("dev1", own), ConnectReturn::accepted);
  EXPECT_EQ(connect("dev1", next), ConnectReturn::accepted);
  const MadeCertificate stranger({.common_name = "anything"});
  EXPECT_EQ(connect("dev1", stranger), ConnectReturn::not_authorized);
  TestDevice bare = device("dev1");
  EXPECT_EQ(bare.connect({.has_password = false}).code, ConnectReturn::not_authorized);
  TestDevice with_key = device("dev1");
  EXPECT_EQ(with_key.connect().code, ConnectReturn::not_authorized) << "a token is no proof for this device";
  TestDevice with_both = device("dev1");
  EXPECT_EQ(connect(with_both, next, {}, true), ConnectReturn::accepted);
}

TEST_F(CertificateConnect, a_device_with_keys_ignores_a_certificate) {
  start();
  add_device("dev1");
  TestDevice with_both = device("dev1");
  EXPECT_EQ(connect(with_both, dev1_, {}, true), ConnectReturn::accepted);
  EXPECT_EQ(connect("dev1", dev1_), ConnectReturn::not_authorized);
}

TEST_F(CertificateConnect, an_authority_of_the_hub_vouches_for_the_device_of_that_name_only) {
  start();
  trust_in("root", root_);
  add_by_authority("dev1");
  add_by_authority("dev2");
  EXPECT_EQ(connect("dev1", dev1_, {&line_}), ConnectReturn::accepted);
  const MadeCertificate renewed({.common_name = "dev1"}, &line_);
  EXPECT_EQ(connect("dev1", renewed, {&line_}), ConnectReturn::accepted)
      << "a renewed certificate needs no change here";
  EXPECT_EQ(connect("dev2", dev1_, {&line_}), ConnectReturn::not_authorized);
  EXPECT_TRUE(log_.contains("common name"));
  EXPECT_EQ(connect("dev1", dev1_), ConnectReturn::not_authorized) << "the intermediate is missing";
  const MadeCertificate expired({.common_name = "dev1", .not_after = 1'735'689'600}, &line_);
  EXPECT_EQ(connect("dev1", expired, {&line_}), ConnectReturn::not_authorized);
  EXPECT_TRUE(log_.contains("has expired"));
  const MadeCertificate impostor({.common_name = "dev1"});
  EXPECT_EQ(connect("dev1", impostor), ConnectReturn::not_authorized);
}

TEST_F(CertificateConnect, a_session_lasts_no_longer_than_its_certificate) {
  start();
  trust_in("root", root_);
  add_by_authority("dev1");
  const auto end = static_cast<std::time_t>(to_unix_ms(clock_.now()) / 1000 + 3600);
  const MadeCertificate brief({.common_name = "dev1", .not_after = end}, &root_);
  TestDevice device = this->device("dev1");
  device.peer.show_certificate(brief.pem(), brief.key_pem());
  ASSERT_EQ(device.connect({.keep_alive_seconds = 0, .has_password = false}).code, ConnectReturn::accepted);
  EXPECT_TRUE(device.is_quiet());
  clock_.advance(Duration{1'700'000});
  EXPECT_TRUE(device.is_quiet());
  clock_.advance(Duration{1'700'000});
  EXPECT_TRUE(device.is_quiet());
  clock_.advance(Duration{201'000});
  EXPECT_TRUE(device.is_closed_by_hub());
  EXPECT_TRUE(
      eventually([&] { return session_of("dev1").last_disconnect_reason == "the client certificate expired"; }));
}

TEST_F(CertificateConnect, a_revocation_ends_live_connections_and_stops_new_ones) {
  start();
  trust_in("line", line_);
  add_by_authority("dev1");
  add_by_authority("dev2");
  const MadeCertificate dev2({.common_name = "dev2"}, &line_);
  TestDevice first = device("dev1");
  ASSERT_EQ(connect(first, dev1_), ConnectReturn::accepted);
  TestDevice second = device("dev2");
  ASSERT_EQ(connect(second, dev2), ConnectReturn::accepted);
  change("line", [&](store::AuthorityRecord& authority) {
    authority.revocation_list = trust::RevocationList::from_pem(line_.revocation_list({&dev1_}))->der();
  });
  EXPECT_TRUE(first.is_closed_by_hub());
  EXPECT_TRUE(second.is_quiet());
  EXPECT_EQ(connect("dev1", dev1_), ConnectReturn::not_authorized);
  EXPECT_TRUE(log_.contains("is revoked"));
  change("line", [&](store::AuthorityRecord& authority) { authority.is_enabled = false; });
  EXPECT_TRUE(second.is_closed_by_hub());
  EXPECT_EQ(connect("dev2", dev2), ConnectReturn::not_authorized);
}

TEST_F(CertificateConnect, an_expired_revocation_list_is_answered_with_unavailable_and_counts_against_nobody) {
  options_.limits.bad_credentials_per_address = 1;
  start();
  trust_in("line", line_);
  add_by_authority("dev1");
  TestDevice early = device("dev1");
  ASSERT_EQ(connect(early, dev1_), ConnectReturn::accepted);
  change("line", [&](store::AuthorityRecord& authority) {
    authority.revocation_list =
        trust::RevocationList::from_pem(line_.revocation_list({}, 1'700'000'000, 1'735'689'600))->der();
  });
  EXPECT_TRUE(early.is_quiet()) << "who was let in stays";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(connect("dev1", dev1_), ConnectReturn::unavailable);
  EXPECT_FALSE(log_.contains("hub.address_shut_out"));
}

TEST_F(CertificateConnect, a_disabled_device_is_refused_and_dropped) {
  start();
  trust_in("line", line_);
  add_by_authority("dev1");
  TestDevice live = device("dev1");
  ASSERT_EQ(connect(live, dev1_), ConnectReturn::accepted);
  write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const auto identity,
               hub_->registry().update(records,
                                       {.id = device_id("dev1"),
                                        .is_enabled = false,
                                        .authentication = store::Authentication::certificate_authority},
                                       std::nullopt));
    return {};
  });
  EXPECT_TRUE(live.is_closed_by_hub());
  EXPECT_EQ(connect("dev1", dev1_), ConnectReturn::not_authorized);
}

}  // namespace
}  // namespace godwit::hub
