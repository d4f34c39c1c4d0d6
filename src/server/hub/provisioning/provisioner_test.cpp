// Goal: from what a device shows to what lies in the store, whoever it is and however often it comes. Method: the real
// store and registry, made certificates, no sockets.
#include "server/hub/provisioning/provisioner.hpp"

#include "core/trust/test_certificates.hpp"
#include "server/hub/provisioning/answers.hpp"
#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

using store::EnrollmentKind;
using store::RegistrationStatus;
using store::RegistrationSubstatus;
using trust::MadeCertificate;

const std::string kGroupKey = "the key of the whole group, 32 b";

class Provision : public testing::Test {
 protected:
  Provision() {
    auto store = store::open_sqlite_store(folder_.path() / "test.sqlite", trust::test_sealer(), clock_, log_);
    EXPECT_TRUE(store);
    store_ = std::move(*store);
    clock_.set(std::chrono::sys_days{std::chrono::year{2026} / 5 / 1});
  }
  void run(const store::Store::Job& job) {
    const auto done = store_->write(job);
    ASSERT_TRUE(done) << done.error().message;
  }
  void enroll(const store::EnrollmentRecord& enrollment) {
    run([&](store::Records& records) { return records.provisioning().insert_enrollment(enrollment); });
  }
  void change(const store::EnrollmentRecord& enrollment) {
    run([&](store::Records& records) {
      store::EnrollmentRecord changed = enrollment;
      changed.etag = ++etag_;
      return records.provisioning().update_enrollment(changed);
    });
  }
  static store::EnrollmentRecord key_group(const std::string& id = "line") {
    return {.kind = EnrollmentKind::group,
            .id = id,
            .primary_key = Secret(kGroupKey + id),
            .secondary_key = Secret("second " + kGroupKey + id),
            .initial_twin = R"({"tags":{"ADUGroup":"g"},"properties":{"desired":{"a":1}}})"};
  }
  static Evidence with_key(const std::string& id, const std::string& key) {
    return {.registration_id = id,
            .token = trust::parse_sas(trust::make_sas("s/registrations/" + id, key, 4'102'444'800)).value()};
  }
  static Evidence of_group(const std::string& id, const std::string& group = "line") {
    return with_key(id, trust::derive_device_key(kGroupKey + group, id));
  }
  static Evidence with_certificate(const std::string& id, const MadeCertificate& leaf,
                                   const std::vector<const MadeCertificate*>& others = {}) {
    ClientCertificates shown{.leaf = trust::Certificate::from_der(leaf.der()).value()};
    for (const auto* one : others) shown.intermediates.push_back(trust::Certificate::from_der(one->der()).value());
    return {.registration_id = id, .certificates = std::move(shown)};
  }
  Result<Attested> look(const Evidence& evidence) {
    Result<Attested> attested = fail(Code::internal, "not asked");
    const auto done = store_->read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto trust, cache_.get(records));
      attested = attest(records, *trust, evidence, clock_.now());
      return {};
    });
    EXPECT_TRUE(done) << done.error().message;
    return attested;
  }
  store::RegistrationRecord come(const Evidence& evidence) {
    const auto attested = look(evidence);
    EXPECT_TRUE(attested) << attested.error().message;
    store::RegistrationRecord registration;
    if (!attested) return registration;
    run([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(registration, provisioner_.provision(records, *attested, evidence.registration_id));
      return {};
    });
    return registration;
  }
  std::string refusal(const Evidence& evidence) {
    const auto attested = look(evidence);
    return attested ? "let in" : attested.error().message;
  }
  std::optional<store::DeviceIdentity> identity(const std::string& id) {
    std::optional<store::DeviceIdentity> found;
    run([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(found, records.devices().find_identity(device_id(id)));
      return {};
    });
    return found;
  }
  store::TwinRecord twin(const std::string& id) {
    store::TwinRecord found;
    run([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(auto twin, records.devices().find_twin(device_id(id)));
      if (twin) found = *twin;
      return {};
    });
    return found;
  }

  net::TestFolder folder_;
  FakeClock clock_;
  NullLog log_;
  RememberingObserver observer_;
  Registry registry_{clock_,
                     observer_,
                     {.push = [](const IdentityId&, const std::string&, std::uint64_t) {},
                      .drop = [this](const IdentityId& id, const std::string&) { dropped_.push_back(id.str()); },
                      .changed = [](const IdentityId&) {}}};
  Provisioner provisioner_{clock_, registry_};
  TrustCache cache_;
  std::vector<std::string> dropped_;
  std::uint64_t etag_ = 1;
  std::unique_ptr<store::Store> store_;
};

// ---- symmetric keys ----------------------------------------------------------------------------------------------

TEST_F(Provision, one_key_serves_a_whole_fleet_and_each_device_gets_its_own) {
  enroll(key_group());
  for (const char* id : {"dev-1", "dev-2"}) {
    const auto registration = come(of_group(id));
    EXPECT_EQ(registration.status, RegistrationStatus::assigned);
    EXPECT_EQ(registration.substatus, RegistrationSubstatus::initial_assignment);
    EXPECT_EQ(registration.device_id, id);
    EXPECT_EQ(registration.enrollment_id, "line");
    const auto made = identity(id);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->authentication, store::Authentication::sas);
    EXPECT_EQ(made->primary_key.reveal(), trust::derive_device_key(kGroupKey + "line", id));
    EXPECT_EQ(made->secondary_key.reveal(), trust::derive_device_key("second " + kGroupKey + "line", id));
    EXPECT_EQ(json::print(twin(id).twin.tags), R"({"ADUGroup":"g"})");
    EXPECT_EQ(json::print(twin(id).twin.desired.values), R"({"a":1})");
  }
  EXPECT_NE(identity("dev-1")->primary_key.reveal(), identity("dev-2")->primary_key.reveal());
  EXPECT_EQ(observer_.events().front(), "created dev-1");
}

TEST_F(Provision, a_key_proves_its_own_device_only) {
  enroll(key_group());
  enroll(key_group("other"));
  const std::string key_of_1 = trust::derive_device_key(kGroupKey + "line", "dev-1");
  EXPECT_NE(refusal(with_key("dev-2", key_of_1)), "let in");
  EXPECT_NE(refusal(with_key("dev-1", kGroupKey + "line")), "let in") << "the group's key itself never travels";
  EXPECT_EQ(refusal(with_key("dev-1", trust::derive_device_key("second " + kGroupKey + "line", "dev-1"))), "let in");
  EXPECT_EQ(look(of_group("dev-1", "other"))->enrollment.id, "other");
  EXPECT_NE(refusal(with_key("dev-1", "")), "let in");
  EXPECT_EQ(look(with_key("dev-1", "another key of 16 b")).error().code, Code::unauthorized);
}

TEST_F(Provision, an_individual_enrollment_comes_before_any_group) {
  enroll(key_group());
  enroll({.kind = EnrollmentKind::individual,
          .id = "dev-1",
          .primary_key = Secret("own key of this device, 32 bytes"),
          .secondary_key = Secret("own second key of this device, 32"),
          .device_id = "press-7"});
  EXPECT_NE(refusal(of_group("dev-1")), "let in") << "the group's key is not enough for an enrolled device";
  const auto registration = come(with_key("dev-1", "own key of this device, 32 bytes"));
  EXPECT_EQ(registration.device_id, "press-7");
  EXPECT_EQ(identity("press-7")->primary_key.reveal(), "own key of this device, 32 bytes");
  EXPECT_EQ(registration.enrollment_kind, EnrollmentKind::individual);
}

TEST_F(Provision, coming_again_keeps_the_twin_resets_it_or_touches_nothing_as_the_policy_says) {
  store::EnrollmentRecord group = key_group();
  enroll(group);
  come(of_group("dev-1"));
  run([&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const auto twin,
               registry_.change_twin(records, device_id("dev-1"), {.desired = *json::parse_object(R"({"b":2})")}));
    return {};
  });
  const auto again = come(of_group("dev-1"));
  EXPECT_EQ(again.substatus, RegistrationSubstatus::data_migrated);
  EXPECT_EQ(again.etag, 2U);
  EXPECT_EQ(json::print(twin("dev-1").twin.desired.values), R"({"a":1,"b":2})");
  EXPECT_TRUE(dropped_.empty()) << "nothing changed for a connected device";

  group.policy = store::ReprovisionPolicy::reset;
  change(group);
  const auto reset = come(of_group("dev-1"));
  EXPECT_EQ(reset.substatus, RegistrationSubstatus::data_reset);
  EXPECT_EQ(json::print(twin("dev-1").twin.desired.values), R"({"a":1})");
  EXPECT_EQ(dropped_, std::vector<std::string>{"dev-1"});

  group.policy = store::ReprovisionPolicy::never;
  group.primary_key = Secret("a new key of the group, 32 bytes");
  change(group);
  const auto never = come(with_key("dev-1", trust::derive_device_key("a new key of the group, 32 bytes", "dev-1")));
  EXPECT_EQ(never.status, RegistrationStatus::assigned);
  EXPECT_EQ(identity("dev-1")->primary_key.reveal(), trust::derive_device_key(kGroupKey + "line", "dev-1"));
}

TEST_F(Provision, new_group_keys_reach_the_identity_when_the_device_comes_again) {
  store::EnrollmentRecord group = key_group();
  enroll(group);
  come(of_group("dev-1"));
  group.primary_key = Secret("a new key of the group, 32 bytes");
  change(group);
  EXPECT_NE(refusal(of_group("dev-1")), "let in") << "the old key is no longer one of the group";
  const std::string new_key = trust::derive_device_key("a new key of the group, 32 bytes", "dev-1");
  come(with_key("dev-1", new_key));
  EXPECT_EQ(identity("dev-1")->primary_key.reveal(), new_key);
  EXPECT_EQ(dropped_, std::vector<std::string>{"dev-1"});
}

TEST_F(Provision, a_group_does_not_take_a_device_that_was_made_by_hand) {
  enroll(key_group());
  run([&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const auto made,
               registry_.create(records, {.id = device_id("dev-1"), .primary_key = "a key given by hand, 32 b"}));
    return {};
  });
  const auto registration = come(of_group("dev-1"));
  EXPECT_EQ(registration.status, RegistrationStatus::failed);
  EXPECT_EQ(registration.error_code, provisioning_code::conflict);
  EXPECT_EQ(identity("dev-1")->primary_key.reveal(), "a key given by hand, 32 b");
}

TEST_F(Provision, a_disabled_group_answers_disabled_and_forgets_no_assignment) {
  store::EnrollmentRecord group = key_group();
  enroll(group);
  come(of_group("dev-1"));
  group.is_enabled = false;
  change(group);
  const auto disabled = come(of_group("dev-1"));
  EXPECT_EQ(disabled.status, RegistrationStatus::disabled);
  EXPECT_FALSE(registration_state_json(disabled, "hub").contains("deviceId"));
  group.is_enabled = true;
  change(group);
  EXPECT_EQ(come(of_group("dev-1")).substatus, RegistrationSubstatus::data_migrated);
}

TEST_F(Provision, an_enrollment_that_changes_between_the_proof_and_the_request_decides_anew) {
  enroll(key_group());
  const auto attested = look(of_group("dev-1"));
  ASSERT_TRUE(attested);
  change(key_group());
  const auto done = store_->write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const auto registration, provisioner_.provision(records, *attested, "dev-1"));
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::unauthorized);
  EXPECT_FALSE(identity("dev-1"));
}

// ---- certificates ------------------------------------------------------------------------------------------------

class ProvisionByCertificate : public Provision {
 protected:
  store::EnrollmentRecord signing_group(const std::string& id, const MadeCertificate& authority) const {
    return {.kind = EnrollmentKind::group,
            .id = id,
            .attestation = store::Attestation::signing_certificate,
            .primary_certificate = authority.pem()};
  }
  void add_authority(const std::string& name, const MadeCertificate& made, const std::string& list_pem = "") {
    const auto parsed = trust::Certificate::from_der(made.der()).value();
    store::AuthorityRecord record{.name = name, .certificate = made.der(), .sha256 = parsed.facts().sha256};
    if (!list_pem.empty()) record.revocation_list = trust::RevocationList::from_pem(list_pem)->der();
    run([&](store::Records& records) { return records.provisioning().insert_authority(record); });
  }
  static std::string thumbprint(const MadeCertificate& made) {
    return trust::Certificate::from_der(made.der())->facts().sha256;
  }
  MadeCertificate root_{{.common_name = "Root", .is_authority = true}};
  MadeCertificate line_{{.common_name = "Line", .is_authority = true}, &root_};
  MadeCertificate device_{{.common_name = "dev-1"}, &line_};
};

TEST_F(ProvisionByCertificate, a_device_of_an_enrolled_authority_gets_an_identity_with_its_thumbprint) {
  enroll(signing_group("line", line_));
  const auto registration = come(with_certificate("dev-1", device_));
  EXPECT_EQ(registration.status, RegistrationStatus::assigned);
  const auto made = identity("dev-1");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->authentication, store::Authentication::self_signed);
  EXPECT_EQ(made->primary_thumbprint, thumbprint(device_));

  const MadeCertificate renewed({.common_name = "dev-1"}, &line_);
  come(with_certificate("dev-1", renewed));
  EXPECT_EQ(identity("dev-1")->primary_thumbprint, thumbprint(renewed));
}

TEST_F(ProvisionByCertificate, strangers_expired_ones_and_foreign_names_are_refused_with_a_reason) {
  enroll(signing_group("line", line_));
  const MadeCertificate other({.common_name = "Other", .is_authority = true}, &root_);
  const MadeCertificate stranger({.common_name = "dev-1"}, &other);
  EXPECT_NE(refusal(with_certificate("dev-1", stranger, {&other, &root_})).find("trusted"), std::string::npos);
  EXPECT_NE(refusal(with_certificate("dev-2", device_)).find("common name"), std::string::npos);
  const MadeCertificate expired({.common_name = "dev-1", .not_after = 1'735'689'600}, &line_);
  EXPECT_NE(refusal(with_certificate("dev-1", expired)).find("expired"), std::string::npos);
  EXPECT_NE(refusal(of_group("dev-1")), "let in");
  EXPECT_EQ(refusal(with_certificate("DEV-1", device_)), "let in") << "registration ids are blind to case";
}

TEST_F(ProvisionByCertificate, the_nearest_enrolled_authority_names_the_group) {
  enroll(signing_group("everything", root_));
  enroll(signing_group("line", line_));
  EXPECT_EQ(look(with_certificate("dev-1", device_, {&line_}))->enrollment.id, "line");
  const MadeCertificate direct({.common_name = "dev-2"}, &root_);
  EXPECT_EQ(look(with_certificate("dev-2", direct))->enrollment.id, "everything");
}

TEST_F(ProvisionByCertificate, an_authority_of_the_hub_lets_certificates_be_renewed_and_revoked) {
  add_authority("root", root_);
  store::EnrollmentRecord group = signing_group("line", root_);
  group.attestation = store::Attestation::authority_reference;
  group.primary_certificate = "root";
  enroll(group);
  const auto registration = come(with_certificate("dev-1", device_, {&line_}));
  EXPECT_EQ(registration.status, RegistrationStatus::assigned);
  EXPECT_EQ(identity("dev-1")->authentication, store::Authentication::certificate_authority);

  add_authority("line", line_, line_.revocation_list({&device_}));
  EXPECT_NE(refusal(with_certificate("dev-1", device_, {&line_})).find("revoked"), std::string::npos);
  run([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto root, records.provisioning().find_authority("root"));
    root->is_enabled = false;
    return records.provisioning().update_authority(*root);
  });
  const MadeCertificate second({.common_name = "dev-2"}, &line_);
  EXPECT_NE(refusal(with_certificate("dev-2", second, {&line_})), "let in") << "a disabled authority vouches for none";
}

TEST_F(ProvisionByCertificate, an_expired_revocation_list_is_not_the_device_s_fault) {
  add_authority("root", root_, root_.revocation_list({}, 1'700'000'000, 1'735'689'600));
  enroll(signing_group("line", root_));
  const auto attested = look(with_certificate("dev-1", device_, {&line_}));
  ASSERT_FALSE(attested);
  EXPECT_EQ(attested.error().code, Code::unavailable);
}

TEST_F(ProvisionByCertificate, an_individual_enrollment_wants_its_very_certificate) {
  enroll({.kind = EnrollmentKind::individual,
          .id = "dev-1",
          .attestation = store::Attestation::client_certificate,
          .primary_certificate = MadeCertificate({.common_name = "dev-1"}).pem(),
          .secondary_certificate = device_.pem(),
          .device_id = "press-7"});
  const auto registration = come(with_certificate("dev-1", device_));
  EXPECT_EQ(registration.device_id, "press-7");
  EXPECT_EQ(identity("press-7")->primary_thumbprint, thumbprint(device_));
  const MadeCertificate twin_brother({.common_name = "dev-1"}, &line_);
  EXPECT_NE(refusal(with_certificate("dev-1", twin_brother)).find("not the one"), std::string::npos);
}

TEST(ProvisioningAnswers, have_the_shape_that_clients_read) {
  const store::RegistrationRecord registration{
      .id = "dev-1", .device_id = "press-7", .etag = 1, .created = from_unix_ms(0), .updated = from_unix_ms(1)};
  const json::Object body = operation_json(registration, "hub.example");
  EXPECT_EQ(json::print(body.at("registrationState").get_object()),
            R"({"registrationId":"dev-1","createdDateTimeUtc":"1970-01-01T00:00:00.0000000Z","status":"assigned",)"
            R"("assignedHub":"hub.example","deviceId":"press-7","substatus":"initialAssignment",)"
            R"("lastUpdatedDateTimeUtc":"1970-01-01T00:00:00.0010000Z","etag":"AAAAAAAAAAE="})");
  EXPECT_EQ(body.at("status").get_string(), "assigned");
  EXPECT_EQ(body.at("operationId").get_string(), operation_id(registration));
  store::RegistrationRecord failed = registration;
  failed.status = store::RegistrationStatus::failed;
  failed.error_code = 409001;
  failed.error_message = "why";
  const json::Object state = registration_state_json(failed, "hub.example");
  EXPECT_FALSE(state.contains("assignedHub"));
  EXPECT_FALSE(state.contains("deviceId"));
  EXPECT_EQ(state.at("errorCode").get_int64(), 409001);
  EXPECT_EQ(operation_id(failed), operation_id(registration)) << "one operation as long as the registration is there";
}

}  // namespace
}  // namespace godwit::hub
