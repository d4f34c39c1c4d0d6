#include "server/store/provisioning_records.hpp"

#include "server/store/sqlite/statement.hpp"
#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

class Provisioning : public testing::Test {
 protected:
  void run(const Store::Job& job) {
    const auto done = test_.store->write(job);
    ASSERT_TRUE(done) << done.error().message;
  }
  static EnrollmentRecord group(const std::string& id) {
    return {.kind = EnrollmentKind::group,
            .id = id,
            .primary_key = Secret("primary-key-of-the-group"),
            .secondary_key = Secret("secondary-key-of-the-group"),
            .policy = ReprovisionPolicy::reset,
            .initial_twin = R"({"tags":{"site":"x"}})",
            .created = from_unix_ms(5),
            .updated = from_unix_ms(6)};
  }
  static AuthorityRecord authority(const std::string& name) {
    return {.name = name,
            .certificate = "der of " + name,
            .subject = "CN=" + name,
            .sha256 = "sha of " + name,
            .not_after = from_unix_ms(9),
            .created = from_unix_ms(1),
            .updated = from_unix_ms(1)};
  }

  TestStore test_;
};

TEST_F(Provisioning, an_enrollment_is_kept_with_its_keys_and_found_by_kind_and_id) {
  run([](Records& records) -> Result<void> {
    EnrollmentRecord wanted = group("line");
    GODWIT_TRY_VOID(records.provisioning().insert_enrollment(wanted));
    EXPECT_EQ(records.provisioning().insert_enrollment(wanted).error().code, Code::conflict);
    GODWIT_TRY(const auto found, records.provisioning().find_enrollment(EnrollmentKind::group, "line"));
    EXPECT_TRUE(found.has_value());
    EXPECT_EQ(found->primary_key.reveal(), "primary-key-of-the-group");
    EXPECT_EQ(found->secondary_key.reveal(), "secondary-key-of-the-group");
    EXPECT_EQ(found->policy, ReprovisionPolicy::reset);
    EXPECT_EQ(found->initial_twin, wanted.initial_twin);
    EXPECT_EQ(found->created, from_unix_ms(5));
    EXPECT_FALSE(records.provisioning().find_enrollment(EnrollmentKind::individual, "line").value());

    wanted.is_enabled = false;
    wanted.primary_key = Secret("another-primary-key");
    wanted.etag = 2;
    GODWIT_TRY_VOID(records.provisioning().update_enrollment(wanted));
    GODWIT_TRY(const auto changed, records.provisioning().find_enrollment(EnrollmentKind::group, "line"));
    EXPECT_FALSE(changed->is_enabled);
    EXPECT_EQ(changed->primary_key.reveal(), "another-primary-key");
    EXPECT_EQ(changed->etag, 2U);
    EXPECT_EQ(records.provisioning().update_enrollment(group("nobody")).error().code, Code::not_found);
    return {};
  });
}

TEST_F(Provisioning, keys_are_not_in_the_file_as_they_are_and_open_only_where_they_were_written) {
  run([](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.provisioning().insert_enrollment(group("line")));
    return records.provisioning().insert_enrollment(group("other"));
  });
  test_.store.reset();
  const Path file = test_.folder.path() / "test.sqlite";
  for (const char* suffix : {"", "-wal"}) {
    const auto bytes = read_file(file.string() + suffix, 64 * 1024 * 1024);
    if (bytes) {
      EXPECT_EQ(bytes->find("primary-key-of-the-group"), std::string::npos);
    }
  }
  {
    auto raw = sqlite::Connection::open(file, sqlite::Connection::Mode::read_write).value();
    ASSERT_TRUE(
        raw->run_script("UPDATE enrollments SET primary_key = (SELECT primary_key FROM enrollments WHERE id = "
                        "'other') WHERE id = 'line'"));
  }
  test_.store = open_sqlite_store(file, trust::test_sealer(), test_.clock, test_.log).value();
  ASSERT_TRUE(test_.store->read([](Records& records) -> Result<void> {
    EXPECT_EQ(records.provisioning().find_enrollment(EnrollmentKind::group, "line").error().code, Code::crypto_failed);
    EXPECT_TRUE(records.provisioning().find_enrollment(EnrollmentKind::group, "other"));
    return {};
  }));
}

TEST_F(Provisioning, enrollments_are_listed_by_kind_in_pages) {
  run([](Records& records) -> Result<void> {
    for (const char* id : {"c", "a", "b"}) GODWIT_TRY_VOID(records.provisioning().insert_enrollment(group(id)));
    EnrollmentRecord individual = group("a");
    individual.kind = EnrollmentKind::individual;
    GODWIT_TRY_VOID(records.provisioning().insert_enrollment(individual));
    GODWIT_TRY(const auto first, records.provisioning().list_enrollments(EnrollmentKind::group, "", 2));
    EXPECT_EQ(first.size(), 2U);
    EXPECT_EQ(first.back().id, "b");
    GODWIT_TRY(const auto rest, records.provisioning().list_enrollments(EnrollmentKind::group, "b", 2));
    EXPECT_EQ(rest.size(), 1U);
    EXPECT_EQ(rest.front().id, "c");
    EXPECT_EQ(records.provisioning().count_enrollments(EnrollmentKind::group).value(), 3U);
    EXPECT_EQ(records.provisioning().count_enrollments(EnrollmentKind::individual).value(), 1U);
    return {};
  });
}

TEST_F(Provisioning, registrations_belong_to_their_enrollment_and_go_with_it) {
  run([](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.provisioning().insert_enrollment(group("line")));
    GODWIT_TRY_VOID(records.provisioning().insert_enrollment(group("other")));
    RegistrationRecord one{.id = "dev-1",
                           .enrollment_kind = EnrollmentKind::group,
                           .enrollment_id = "line",
                           .device_id = "dev-1",
                           .created = from_unix_ms(1),
                           .updated = from_unix_ms(2)};
    GODWIT_TRY_VOID(records.provisioning().save_registration(one));
    one.substatus = RegistrationSubstatus::data_reset;
    one.status = RegistrationStatus::failed;
    one.error_code = 409001;
    one.error_message = "why";
    one.etag = 2;
    GODWIT_TRY_VOID(records.provisioning().save_registration(one));
    GODWIT_TRY(const auto found, records.provisioning().find_registration("dev-1"));
    EXPECT_EQ(found->substatus, RegistrationSubstatus::data_reset);
    EXPECT_EQ(found->status, RegistrationStatus::failed);
    EXPECT_EQ(found->error_code, 409001);
    EXPECT_EQ(found->error_message, "why");
    EXPECT_EQ(found->etag, 2U);
    RegistrationRecord two = one;
    two.id = "dev-2";
    two.enrollment_id = "other";
    GODWIT_TRY_VOID(records.provisioning().save_registration(two));
    EXPECT_EQ(records.provisioning().list_registrations(EnrollmentKind::group, "line", "", 10)->size(), 1U);
    EXPECT_TRUE(records.provisioning().remove_enrollment(EnrollmentKind::group, "line").value());
    EXPECT_FALSE(records.provisioning().remove_enrollment(EnrollmentKind::group, "line").value());
    EXPECT_FALSE(records.provisioning().find_registration("dev-1").value());
    EXPECT_TRUE(records.provisioning().find_registration("dev-2").value());
    EXPECT_TRUE(records.provisioning().remove_registration("dev-2").value());
    EXPECT_FALSE(records.provisioning().remove_registration("dev-2").value());
    return {};
  });
}

TEST_F(Provisioning, an_authority_is_kept_with_its_revocation_list) {
  run([](Records& records) -> Result<void> {
    AuthorityRecord wanted = authority("root");
    GODWIT_TRY_VOID(records.provisioning().insert_authority(wanted));
    EXPECT_EQ(records.provisioning().insert_authority(wanted).error().code, Code::conflict);
    AuthorityRecord same_certificate = authority("root-2");
    same_certificate.sha256 = wanted.sha256;
    EXPECT_EQ(records.provisioning().insert_authority(same_certificate).error().code, Code::conflict);
    wanted.is_enabled = false;
    wanted.revocation_list = "list";
    wanted.revocation_list_expires = from_unix_ms(77);
    wanted.revoked = 3;
    GODWIT_TRY_VOID(records.provisioning().update_authority(wanted));
    GODWIT_TRY(const auto found, records.provisioning().find_authority("root"));
    EXPECT_FALSE(found->is_enabled);
    EXPECT_EQ(found->certificate, "der of root");
    EXPECT_EQ(found->revocation_list, "list");
    EXPECT_EQ(found->revocation_list_expires, from_unix_ms(77));
    EXPECT_EQ(found->revoked, 3U);
    EXPECT_EQ(records.provisioning().list_authorities(true)->at(0).revocation_list, "list");
    EXPECT_EQ(records.provisioning().list_authorities(false)->at(0).revocation_list, "");
    EXPECT_EQ(records.provisioning().list_authorities(false)->at(0).revoked, 3U);
    EXPECT_FALSE(records.provisioning().is_authority_referenced("root").value());
    EnrollmentRecord by_name = group("line");
    by_name.attestation = Attestation::authority_reference;
    by_name.secondary_certificate = "root";
    GODWIT_TRY_VOID(records.provisioning().insert_enrollment(by_name));
    EXPECT_TRUE(records.provisioning().is_authority_referenced("root").value());
    EXPECT_TRUE(records.provisioning().remove_authority("root").value());
    EXPECT_FALSE(records.provisioning().remove_authority("root").value());
    return {};
  });
}

TEST_F(Provisioning, the_revision_rises_with_whatever_changes_whom_the_hub_believes) {
  run([](Records& records) -> Result<void> {
    ProvisioningRecords& all = records.provisioning();
    std::uint64_t last = all.trust_revision().value();
    const auto has_risen = [&] {
      const std::uint64_t now = all.trust_revision().value();
      return std::exchange(last, now) < now;
    };
    EXPECT_TRUE(all.insert_authority(authority("root")));
    EXPECT_TRUE(has_risen());
    EXPECT_TRUE(all.update_authority(authority("root")));
    EXPECT_TRUE(has_risen());
    EXPECT_TRUE(all.remove_authority("root"));
    EXPECT_TRUE(has_risen());
    EXPECT_TRUE(all.insert_enrollment(group("line")));
    EXPECT_TRUE(has_risen());
    EXPECT_TRUE(all.update_enrollment(group("line")));
    EXPECT_TRUE(has_risen());
    EXPECT_TRUE(all.save_registration({.id = "d", .enrollment_kind = EnrollmentKind::group, .enrollment_id = "line"}));
    EXPECT_FALSE(has_risen()) << "a registration changes nobody's credentials";
    EXPECT_TRUE(all.remove_enrollment(EnrollmentKind::group, "line"));
    EXPECT_TRUE(has_risen());
    return {};
  });
}

}  // namespace
}  // namespace godwit::store
