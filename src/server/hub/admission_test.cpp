#include "server/hub/admission.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

using Verdict = Admission::Verdict;

Limits small() {
  Limits limits;
  limits.connections = 4;
  limits.connections_per_address = 2;
  limits.bad_credentials_per_address = 3;
  limits.bad_credentials_window = Duration{1000};
  limits.bad_credentials_pause = Duration{500};
  limits.tracked_addresses = 2;
  return limits;
}

TEST(Admission, counts_by_address_and_in_all) {
  Admission admission{small()};
  EXPECT_EQ(admission.enter("a", {}), Verdict::welcome);
  EXPECT_EQ(admission.enter("a", {}), Verdict::welcome);
  EXPECT_EQ(admission.enter("a", {}), Verdict::too_many_of_address);
  EXPECT_EQ(admission.enter("b", {}), Verdict::welcome);
  EXPECT_EQ(admission.enter("b", {}), Verdict::welcome);
  EXPECT_EQ(admission.enter("c", {}), Verdict::too_many);
  admission.leave("a");
  EXPECT_EQ(admission.enter("c", {}), Verdict::welcome);
  EXPECT_EQ(admission.connections(), 4U);
}

TEST(Admission, an_address_with_bad_credentials_is_shut_out_for_a_while) {
  Admission admission{small()};
  EXPECT_FALSE(admission.note_bad_credentials("a", Duration{0}));
  EXPECT_FALSE(admission.note_bad_credentials("a", Duration{10}));
  EXPECT_TRUE(admission.note_bad_credentials("a", Duration{20}));
  EXPECT_EQ(admission.enter("a", Duration{519}), Verdict::shut_out);
  EXPECT_EQ(admission.enter("b", Duration{519}), Verdict::welcome);
  EXPECT_EQ(admission.enter("a", Duration{520}), Verdict::welcome);
}

TEST(Admission, leaving_does_not_wash_an_address_clean) {
  Admission admission{small()};
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(admission.enter("a", {}), Verdict::welcome);
    EXPECT_EQ(admission.note_bad_credentials("a", {}), i == 2);
    admission.leave("a");
  }
  EXPECT_EQ(admission.enter("a", {}), Verdict::shut_out);
}

TEST(Admission, failures_far_apart_do_not_add_up) {
  Admission admission{small()};
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(admission.note_bad_credentials("a", Duration{i * 600}));
}

TEST(Admission, memory_of_addresses_is_bounded_and_swept) {
  Admission admission{small()};
  for (const char* address : {"a", "b", "c"})
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(admission.note_bad_credentials(address, {}), i == 2 && std::string(address) != "c");
  admission.sweep(Duration{2000});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(admission.note_bad_credentials("c", Duration{2000}), i == 2);
}

TEST(Admission, a_window_counter_starts_anew_after_its_window) {
  WindowCounter counter;
  EXPECT_TRUE(counter.take(Duration{0}, 2, Duration{100}));
  EXPECT_TRUE(counter.take(Duration{50}, 2, Duration{100}));
  EXPECT_FALSE(counter.take(Duration{99}, 2, Duration{100}));
  EXPECT_TRUE(counter.take(Duration{100}, 2, Duration{100}));
}

TEST(Admission, an_address_may_connect_in_bursts_but_not_for_ever) {
  Limits limits = small();
  limits.connections = limits.connections_per_address = 1000;
  limits.connects_per_address = 10;
  limits.connects_burst_of_address = 5;
  Admission admission{limits};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(admission.enter("a", Duration{0}), Verdict::welcome) << i;
    admission.leave("a");
  }
  EXPECT_EQ(admission.enter("a", Duration{0}), Verdict::too_fast);
  EXPECT_EQ(admission.enter("b", Duration{0}), Verdict::welcome);
  EXPECT_EQ(admission.enter("a", Duration{99}), Verdict::too_fast);
  EXPECT_EQ(admission.enter("a", Duration{200}), Verdict::welcome);
  admission.sweep(Duration{300});  // its past still matters
  EXPECT_EQ(admission.enter("a", Duration{300}), Verdict::welcome);
  EXPECT_EQ(admission.enter("a", Duration{300}), Verdict::welcome);
  EXPECT_EQ(admission.enter("a", Duration{300}), Verdict::too_fast);
}

TEST(TokenBucketTest, fills_up_to_its_burst_and_no_further) {
  TokenBucket bucket;
  EXPECT_TRUE(bucket.is_full(Duration{0}, 10, 3));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(Duration{0}, 10, 3));
  EXPECT_FALSE(bucket.take(Duration{50}, 10, 3));
  EXPECT_FALSE(bucket.is_full(Duration{200}, 10, 3));
  EXPECT_TRUE(bucket.is_full(Duration{60'000}, 10, 3));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(Duration{60'000}, 10, 3));
  EXPECT_FALSE(bucket.take(Duration{60'000}, 10, 3));
}

}  // namespace
}  // namespace godwit::hub
