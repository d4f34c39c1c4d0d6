#include "server/hub/provisioning/decision.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

using store::EnrollmentKind;
using store::RegistrationStatus;
using store::RegistrationSubstatus;
using store::ReprovisionPolicy;

ProvisioningFacts facts_of(EnrollmentKind kind, ReprovisionPolicy policy = ReprovisionPolicy::migrate) {
  return {.registration_id = "dev-1", .enrollment = {.kind = kind, .id = "line", .policy = policy}};
}

/// The same device was here before, through the same enrollment.
ProvisioningFacts returning(EnrollmentKind kind, ReprovisionPolicy policy) {
  ProvisioningFacts facts = facts_of(kind, policy);
  facts.registration =
      store::RegistrationRecord{.id = "dev-1", .enrollment_kind = kind, .enrollment_id = "line", .device_id = "dev-1"};
  facts.has_identity = true;
  facts.has_same_credential = true;
  return facts;
}

constexpr EnrollmentKind kBothKinds[] = {EnrollmentKind::individual, EnrollmentKind::group};

TEST(ProvisioningDecision, a_new_device_gets_an_identity_under_its_registration_id_or_the_name_an_operator_chose) {
  for (const EnrollmentKind kind : kBothKinds) {
    const Decision decision = decide(facts_of(kind));
    EXPECT_EQ(decision.act, Act::create);
    EXPECT_EQ(decision.status, RegistrationStatus::assigned);
    EXPECT_EQ(decision.substatus, RegistrationSubstatus::initial_assignment);
    EXPECT_EQ(decision.device_id, "dev-1");
    EXPECT_TRUE(decision.is_recorded);
  }
  ProvisioningFacts named = facts_of(EnrollmentKind::individual);
  named.enrollment.device_id = "press-7";
  EXPECT_EQ(decide(named).device_id, "press-7");
}

TEST(ProvisioningDecision, a_disabled_enrollment_or_device_gives_nothing) {
  ProvisioningFacts facts = returning(EnrollmentKind::group, ReprovisionPolicy::reset);
  facts.enrollment.is_enabled = false;
  EXPECT_EQ(decide(facts).status, RegistrationStatus::disabled);
  EXPECT_EQ(decide(facts).act, Act::nothing);
  EXPECT_EQ(decide(facts).device_id, "");
  facts = returning(EnrollmentKind::group, ReprovisionPolicy::reset);
  facts.is_identity_enabled = false;
  EXPECT_EQ(decide(facts).status, RegistrationStatus::disabled) << "a reset must not enable what an operator disabled";
  EXPECT_EQ(decide(facts).act, Act::nothing);
  EXPECT_EQ(decide(facts).error_code, provisioning_code::disabled);
}

TEST(ProvisioningDecision, a_device_that_comes_again_is_treated_by_the_policy_of_its_enrollment) {
  for (const EnrollmentKind kind : kBothKinds) {
    const Decision migrate = decide(returning(kind, ReprovisionPolicy::migrate));
    EXPECT_EQ(migrate.act, Act::nothing);
    EXPECT_EQ(migrate.substatus, RegistrationSubstatus::data_migrated);
    ProvisioningFacts renewed = returning(kind, ReprovisionPolicy::migrate);
    renewed.has_same_credential = false;
    EXPECT_EQ(decide(renewed).act, Act::renew);

    const Decision reset = decide(returning(kind, ReprovisionPolicy::reset));
    EXPECT_EQ(reset.act, Act::start_over);
    EXPECT_EQ(reset.substatus, RegistrationSubstatus::data_reset);

    ProvisioningFacts never = returning(kind, ReprovisionPolicy::never);
    never.has_same_credential = false;
    EXPECT_EQ(decide(never).act, Act::nothing);
    EXPECT_EQ(decide(never).status, RegistrationStatus::assigned);
    EXPECT_EQ(decide(never).substatus, RegistrationSubstatus::initial_assignment);
  }
}

TEST(ProvisioningDecision, a_device_that_was_removed_from_the_hub_comes_back_unless_the_policy_is_never) {
  for (const ReprovisionPolicy policy : {ReprovisionPolicy::migrate, ReprovisionPolicy::reset}) {
    ProvisioningFacts facts = returning(EnrollmentKind::group, policy);
    facts.has_identity = false;
    EXPECT_EQ(decide(facts).act, Act::create);
    EXPECT_EQ(decide(facts).substatus, RegistrationSubstatus::initial_assignment);
  }
  ProvisioningFacts facts = returning(EnrollmentKind::group, ReprovisionPolicy::never);
  facts.has_identity = false;
  EXPECT_EQ(decide(facts).status, RegistrationStatus::failed);
  EXPECT_EQ(decide(facts).error_code, provisioning_code::not_found);
}

TEST(ProvisioningDecision, a_member_of_a_group_cannot_take_a_device_that_is_not_its_own) {
  ProvisioningFacts facts = facts_of(EnrollmentKind::group);
  facts.has_identity = true;
  EXPECT_EQ(decide(facts).status, RegistrationStatus::failed);
  EXPECT_EQ(decide(facts).act, Act::nothing);
  EXPECT_EQ(decide(facts).error_code, provisioning_code::conflict);
  facts.has_same_credential = true;
  EXPECT_EQ(decide(facts).status, RegistrationStatus::assigned)
      << "its registration was removed, it is the same device";
  EXPECT_EQ(decide(facts).act, Act::nothing);

  ProvisioningFacts elsewhere = returning(EnrollmentKind::group, ReprovisionPolicy::reset);
  elsewhere.registration->enrollment_id = "other-line";
  EXPECT_EQ(decide(elsewhere).status, RegistrationStatus::failed);
  EXPECT_EQ(decide(elsewhere).act, Act::nothing);
  EXPECT_FALSE(decide(elsewhere).is_recorded) << "the other enrollment's record stays";
  elsewhere.enrollment.is_enabled = false;
  EXPECT_FALSE(decide(elsewhere).is_recorded);
}

TEST(ProvisioningDecision, an_individual_enrollment_is_the_operator_s_word_and_takes_the_device) {
  ProvisioningFacts by_hand = facts_of(EnrollmentKind::individual);
  by_hand.has_identity = true;
  EXPECT_EQ(decide(by_hand).act, Act::renew);
  ProvisioningFacts from_group = returning(EnrollmentKind::individual, ReprovisionPolicy::migrate);
  from_group.registration->enrollment_kind = EnrollmentKind::group;
  from_group.has_same_credential = false;
  EXPECT_EQ(decide(from_group).act, Act::renew);
  EXPECT_EQ(decide(from_group).status, RegistrationStatus::assigned);
}

TEST(ProvisioningDecision, a_new_name_in_the_enrollment_leads_to_a_new_device_unless_the_policy_is_never) {
  ProvisioningFacts facts = returning(EnrollmentKind::individual, ReprovisionPolicy::migrate);
  facts.enrollment.device_id = "press-7";
  EXPECT_EQ(target_device(facts), "press-7");
  facts.enrollment.policy = ReprovisionPolicy::never;
  EXPECT_EQ(target_device(facts), "dev-1");
  ProvisioningFacts other_case = returning(EnrollmentKind::group, ReprovisionPolicy::migrate);
  other_case.registration_id = "DEV-1";
  EXPECT_EQ(target_device(other_case), "dev-1") << "one device, however it spells its registration id";
}

TEST(ProvisioningDecision, a_registration_that_failed_before_does_not_stand_in_the_way) {
  ProvisioningFacts facts = facts_of(EnrollmentKind::group);
  facts.registration = store::RegistrationRecord{.id = "dev-1",
                                                 .enrollment_kind = EnrollmentKind::group,
                                                 .enrollment_id = "line",
                                                 .status = RegistrationStatus::failed,
                                                 .error_code = provisioning_code::conflict};
  EXPECT_EQ(decide(facts).act, Act::create);
  EXPECT_EQ(decide(facts).device_id, "dev-1");
}

}  // namespace
}  // namespace godwit::hub
