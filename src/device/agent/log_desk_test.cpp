#include "device/agent/log_desk.hpp"

#include <gtest/gtest.h>

#include "device/extension/testing/test_extensions.hpp"

namespace godwit::agent {
namespace {

class FakeSender final : public PatchSender {
 public:
  void send_patch(std::uint64_t token, std::string patch) override { sent.emplace_back(token, std::move(patch)); }
  std::vector<std::pair<std::uint64_t, std::string>> sent;
};

class LogDeskTest : public ::testing::Test {
 protected:
  LogDeskTest() { open(); }
  void open() {
    desk.reset();
    reporter.reset();
    sender.sent.clear();
    asked.clear();
    outbox.emplace(Outbox::open(folder / "outbox", log).value());
    reporter.emplace(*outbox, sender, clock, random, log);
    desk.emplace(
        folder / "logs.json", *reporter, [this](twin::LogRequest request) { asked.push_back(request); }, log);
    desk->start();
    reporter->on_online();
  }
  void want(const std::string& operation, std::uint64_t version = 7) {
    SessionDesired message{};
    message.desired = twin::log_request_patch({.operation_id = operation, .upload_url = "https://h/c?sig=1"});
    message.version = version;
    desk->handle(message);
  }
  void end(const std::string& operation, std::int64_t code) {
    desk->handle(LogsEnded{{.operation_id = operation, .result_code = code}});
  }
  extension::testing::TemporaryFolder folder;
  NullLog log;
  FakeClock clock;
  SeededRandom random{1};
  FakeSender sender;
  std::optional<Outbox> outbox;
  std::optional<Reporter> reporter;
  std::optional<LogDesk> desk;
  std::vector<twin::LogRequest> asked;
};

TEST_F(LogDeskTest, a_request_is_worked_on_once_and_answered_in_one_patch) {
  want("op-1");
  want("op-1", 8);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_TRUE(sender.sent.empty());
  end("op-1", 200);
  ASSERT_EQ(sender.sent.size(), 1U);
  EXPECT_EQ(
      sender.sent[0].second,
      R"({"diagnosticInformation":{"__t":"c","agent":{"resultCode":200,"operationId":"op-1","resultDetails":null},)"
      R"("service":{"value":{"operationId":"op-1","storageSasUrl":null},"ac":200,"ad":"","av":7}}})");
  reporter->on_answer(sender.sent[0].first, 204);
  want("op-1", 9);
  EXPECT_EQ(asked.size(), 1U) << "it was answered";
}

TEST_F(LogDeskTest, an_answer_that_the_hub_did_not_take_is_told_again_also_after_a_restart) {
  want("op-1");
  end("op-1", -2);
  ASSERT_EQ(sender.sent.size(), 1U);
  reporter->on_offline();
  open();
  ASSERT_EQ(sender.sent.size(), 1U) << "what was on disk";
  EXPECT_NE(sender.sent[0].second.find("\"resultCode\":-2"), std::string::npos);
  reporter->on_answer(sender.sent[0].first, 503);
  clock.advance(std::chrono::minutes(10));
  reporter->tick();
  ASSERT_EQ(sender.sent.size(), 2U);
  reporter->on_answer(sender.sent[1].first, 204);
  open();
  EXPECT_TRUE(sender.sent.empty());
  want("op-1");
  EXPECT_TRUE(asked.empty()) << "answered before the restart";
}

TEST_F(LogDeskTest, a_kill_in_the_middle_begins_again_and_a_newer_request_takes_the_place_of_an_older) {
  want("op-1");
  open();
  want("op-1");
  EXPECT_EQ(asked.size(), 1U);
  want("op-2");
  end("op-1", 200);
  EXPECT_TRUE(sender.sent.empty()) << "nobody waits for it any more";
  end("op-2", 200);
  EXPECT_EQ(sender.sent.size(), 1U);
}

TEST_F(LogDeskTest, a_state_that_cannot_be_read_is_as_none) {
  ASSERT_TRUE(write_file_durably(folder / "logs.json", "{broken"));
  open();
  want("op-1");
  EXPECT_EQ(asked.size(), 1U);
}

}  // namespace
}  // namespace godwit::agent
