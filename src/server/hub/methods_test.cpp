#include "server/hub/methods.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

IdentityId id_of(const std::string& text) { return *IdentityId::parse(text); }

/// A table, and what became of each call in words.
class MethodTable : public testing::Test {
 protected:
  std::string add(const std::string& device, bool is_reachable, Duration connect_time = Duration{0},
                  const std::string& payload = "{}") {
    const auto messages = calls_.add(
        {.id = id_of(device), .method = "reboot", .payload = payload, .connect_time = connect_time},
        [this, number = added_++](Result<MethodAnswer> outcome) {
          ends_[number] = outcome ? std::to_string(outcome->status) + outcome->payload
                                  : std::string(code_name(outcome.error().code));
        },
        is_reachable, now_);
    return messages.empty() ? "" : messages.front().topic + " " + messages.front().payload;
  }
  std::string end_of(int number) { return ends_.contains(number) ? ends_[number] : "pending"; }

  Duration now_{1'000'000};
  MethodCalls calls_{{.per_device = 3, .overall = 5, .waiting_bytes = 100}, 7};
  int added_ = 0;
  std::map<int, std::string> ends_;
};

TEST_F(MethodTable, a_call_to_a_device_that_is_there_is_sent_and_its_answer_ends_it) {
  EXPECT_EQ(add("dev1", true), "$iothub/methods/POST/reboot/?$rid=7 {}");
  EXPECT_EQ(end_of(0), "pending");
  EXPECT_TRUE(calls_.answer(id_of("dev1"), "7", 200, R"({"ok":true})"));
  EXPECT_EQ(end_of(0), R"(200{"ok":true})");
  EXPECT_EQ(calls_.pending(), 0U);
  EXPECT_FALSE(calls_.answer(id_of("dev1"), "7", 200, "")) << "late";
}

TEST_F(MethodTable, any_status_and_an_empty_answer_are_fine_and_broken_json_is_not) {
  add("dev1", true);
  add("dev1", true);
  EXPECT_TRUE(calls_.answer(id_of("dev1"), "8", -3, ""));
  EXPECT_EQ(end_of(1), "-3");
  EXPECT_TRUE(calls_.answer(id_of("dev1"), "7", 200, "{broken"));
  EXPECT_EQ(end_of(0), "bad_packet");
}

TEST_F(MethodTable, answers_of_strangers_and_to_what_was_never_sent_are_not_taken) {
  add("dev1", true);
  add("dev2", false, Duration{10'000});
  EXPECT_FALSE(calls_.answer(id_of("dev2"), "7", 200, "")) << "another device's call";
  EXPECT_FALSE(calls_.answer(id_of("dev1/m"), "7", 200, "")) << "a module of it is another identity";
  EXPECT_FALSE(calls_.answer(id_of("dev2"), "8", 200, "")) << "not sent yet";
  for (const char* rid : {"", "07", "7 ", "-7", "x", "99", "18446744073709551623"})
    EXPECT_FALSE(calls_.answer(id_of("dev1"), rid, 200, "")) << rid;
  EXPECT_EQ(end_of(0), "pending");
}

TEST_F(MethodTable, a_call_to_an_absent_device_fails_at_once_or_waits_as_long_as_was_asked) {
  add("dev1", false);
  EXPECT_EQ(end_of(0), "unavailable");
  EXPECT_EQ(add("dev1", false, Duration{10'000}), "");
  now_ += Duration{9'999};
  calls_.sweep(now_);
  EXPECT_EQ(end_of(1), "pending");
  const auto sent = calls_.came(id_of("dev1"), now_);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].payload, "{}");
  EXPECT_TRUE(calls_.came(id_of("dev1"), now_).empty()) << "sent once";
  now_ += Duration{29'999};
  calls_.sweep(now_);
  EXPECT_EQ(end_of(1), "pending") << "the time to answer begins when the call is sent";
  now_ += Duration{1};
  calls_.sweep(now_);
  EXPECT_EQ(end_of(1), "timed_out");

  add("dev1", false, Duration{10'000});
  now_ += Duration{10'000};
  calls_.sweep(now_);
  EXPECT_EQ(end_of(2), "unavailable");
  EXPECT_EQ(calls_.waiting_bytes(), 0U);
}

TEST_F(MethodTable, a_device_that_is_away_for_a_moment_may_still_answer) {
  add("dev1", true);
  add("dev1", true);
  calls_.went(id_of("dev1"), now_);
  now_ += Duration{9'000};
  EXPECT_TRUE(calls_.came(id_of("dev1"), now_).empty()) << "what was sent is not sent again";
  calls_.sweep(now_ += Duration{5'000});
  EXPECT_TRUE(calls_.answer(id_of("dev1"), "7", 200, ""));
  calls_.went(id_of("dev1"), now_);
  calls_.went(id_of("dev1"), now_ + Duration{5'000});
  calls_.sweep(now_ + Duration{10'000});
  EXPECT_EQ(end_of(0), "200");
  EXPECT_EQ(end_of(1), "timed_out") << "long before its response timeout";
}

TEST_F(MethodTable, calls_are_bounded_for_one_device_overall_and_in_bytes) {
  for (int i = 0; i < 3; ++i) add("dev1", true);
  add("dev1", true);
  EXPECT_EQ(end_of(3), "too_many");
  add("dev2", false, Duration{10'000}, std::string(90, '1'));
  add("dev3", false, Duration{10'000}, std::string(20, '1'));
  EXPECT_EQ(end_of(5), "too_many") << "bytes that wait";
  add("dev3", true, Duration{0}, std::string(20, '1'));
  add("dev4", true);
  EXPECT_EQ(end_of(7), "too_many") << "overall";
  EXPECT_TRUE(calls_.answer(id_of("dev1"), "7", 200, ""));
  add("dev1", true);
  EXPECT_EQ(end_of(8), "pending") << "an ended call makes room";
}

TEST_F(MethodTable, a_stop_ends_all_and_callers_may_come_back_from_inside) {
  add("dev1", true);
  add("dev2", false, Duration{10'000});
  int again = 0;
  static_cast<void>(calls_.add(
      {.id = id_of("dev3"), .method = "m"},
      [&](const Result<MethodAnswer>&) {
        ++again;
        add("dev3", true);
      },
      true, now_));
  calls_.end_all({Code::cancelled, "the hub stops"});
  EXPECT_EQ(end_of(0), "cancelled");
  EXPECT_EQ(end_of(1), "cancelled");
  EXPECT_EQ(again, 1);
  EXPECT_EQ(calls_.pending(), 1U) << "the new one";
}

TEST(MethodCheck, knows_names_times_and_payloads) {
  const MethodLimits limits;
  const auto code = [&](const MethodCall& call) {
    const auto checked = check_call(call, limits);
    return checked ? Code::ok : checked.error().code;
  };
  const IdentityId id = id_of("dev1");
  for (const char* name : {"reboot", "component*command", "a.b-c_d~1", "x!%&'"})
    EXPECT_EQ(code({.id = id, .method = name}), Code::ok) << name;
  for (const char* name : {"", "a/b", "a b", "a+", "#", "$x", "a?b", "\x80", "\n"})
    EXPECT_EQ(code({.id = id, .method = name}), Code::invalid_argument) << name;
  EXPECT_EQ(code({.id = id, .method = std::string(129, 'm')}), Code::invalid_argument);
  EXPECT_EQ(code({.id = id, .method = "m", .response_time = Duration{4'999}}), Code::invalid_argument);
  EXPECT_EQ(code({.id = id, .method = "m", .response_time = Duration{300'001}}), Code::invalid_argument);
  EXPECT_EQ(code({.id = id, .method = "m", .connect_time = Duration{-1}}), Code::invalid_argument);
  EXPECT_EQ(code({.id = id, .method = "m", .connect_time = Duration{300'001}}), Code::invalid_argument);
  EXPECT_EQ(code({.id = id, .method = "m", .payload = "{"}), Code::bad_json);
  EXPECT_EQ(code({.id = id, .method = "m", .payload = "\"" + std::string(limits.payload_bytes, 'x') + "\""}),
            Code::too_large);
}

}  // namespace
}  // namespace godwit::hub
