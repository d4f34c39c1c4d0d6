#include "server/service/diagnostics/log_collections.hpp"

#include "core/twin/diagnostics.hpp"
#include "server/store/testing.hpp"

namespace godwit::service {
namespace {

TEST(LogLife, nothing_leaves_an_end_and_every_wait_can_end) {
  for (const LogEvent event : {LogEvent::offered, LogEvent::delivered, LogEvent::gave_up, LogEvent::refused,
                               LogEvent::out_of_time, LogEvent::removed})
    for (const LogStatus status : {LogStatus::succeeded, LogStatus::failed})
      EXPECT_EQ(next(status, event), std::nullopt);
  EXPECT_EQ(next(LogStatus::not_started, LogEvent::delivered), std::nullopt) << "it was not asked yet";
}

TEST(LogLife, a_collection_is_what_its_agents_are) {
  using enum store::OperationStatus;
  EXPECT_EQ(combine({not_started, not_started}), not_started);
  EXPECT_EQ(combine({not_started, succeeded}), running);
  EXPECT_EQ(combine({running, failed}), running);
  EXPECT_EQ(combine({succeeded, succeeded}), succeeded);
  EXPECT_EQ(combine({succeeded, failed}), failed);
}

class LogCollectionsTest : public ::testing::Test {
 protected:
  LogCollectionsTest() {
    options.agent_bytes = 100;
    options.agent_files = 3;
    open();
    for (const char* name : {"a", "b"}) add(DeviceId::parse(name).value());
    add(IdentityId::parse("a/m").value());
  }
  void open() {
    logs.reset();
    auto files = LogFiles::open(folder()).value();
    logs = std::make_unique<LogCollections>(
        *test.store, test.clock, test.log, std::move(files),
        UploadUrls("https://h:1", Secret("0123456789abcdef0123456789abcdef")),
        [this](store::Records&, const IdentityId& id, const json::Object& patch) -> Result<void> {
          if (full_twin == id.str()) return fail(Code::too_large, "the desired section is full");
          asked[id.str()].push_back(**twin::read_log_request(patch));
          return {};
        },
        options);
  }
  void add(const IdentityId& id) {
    const auto job = [&](store::Records& records) {
      return records.devices().insert_identity(
          {.id = id, .primary_key = Secret(std::string(32, 'k')), .secondary_key = Secret(std::string(32, 'k'))},
          test.clock.now());
    };
    ASSERT_TRUE(test.store->write(job));
  }
  [[nodiscard]] Path folder() const { return test.folder.path() / "logs"; }
  static IdentityId id(std::string_view text) { return IdentityId::parse(text).value(); }
  Result<json::Object> make(const std::string& name, std::initializer_list<std::string_view> agents) {
    LogWish wish{.id = name, .agents = {}};
    for (const auto agent : agents) wish.agents.push_back(id(agent));
    return logs->create(wish, "admin");
  }
  LogCollections::UploadRequest upload_request(const std::string& agent, const std::string& name, ByteCount size) {
    const std::string& url = asked.at(agent).back().upload_url;
    const auto part = [&](std::string_view before) {
      const auto at = url.find(before) + before.size();
      return percent_decode(url.substr(at, url.find_first_of("?&", at) - at)).value();
    };
    return {.container = part("/device-logs/"),
            .expires = part("&se="),
            .signature = part("&sig="),
            .name = name,
            .size = size};
  }
  Result<void> put(const std::string& agent, const std::string& name, std::string_view bytes) {
    GODWIT_TRY(const auto upload, logs->begin_upload(upload_request(agent, name, bytes.size())));
    GODWIT_TRY_VOID(upload->write(bytes));
    GODWIT_TRY(const WallTime stamp, upload->finish());
    static_cast<void>(stamp);
    return {};
  }
  void report(const std::string& agent, const std::string& operation, std::int64_t code) {
    const auto job = [&](store::Records& records) {
      return logs->on_reported(records, id(agent),
                               twin::log_outcome_patch({.operation_id = operation, .result_code = code}));
    };
    ASSERT_TRUE(test.store->write(job));
  }
  std::string status(const std::string& name) {
    return json::text_or_nothing(logs->describe(name).value(), "status").value_or("");
  }
  json::Object agent_of(const std::string& name, std::size_t index) {
    return logs->detail(name).value().at("deviceStatus").as_array().at(index).as_object();
  }
  [[nodiscard]] std::size_t files_on_disk() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder())) count += entry.is_regular_file();
    return count;
  }

  store::TestStore test;
  LogOptions options;
  std::unique_ptr<LogCollections> logs;
  std::map<std::string, std::vector<twin::LogRequest>> asked;
  std::string full_twin;
};

TEST_F(LogCollectionsTest, logs_are_asked_for_come_in_and_are_seen) {
  ASSERT_TRUE(make("op-1", {"a", "a/m"}));
  EXPECT_EQ(status("op-1"), "Running");
  ASSERT_EQ(asked.at("a").size(), 1U);
  EXPECT_EQ(asked.at("a")[0].operation_id, "op-1");
  EXPECT_NE(asked.at("a")[0].upload_url, asked.at("a/m")[0].upload_url) << "each agent has a credential of its own";
  ASSERT_TRUE(put("a", "a/op-1/agent/x.log", "hello"));
  report("a", "op-1", 200);
  EXPECT_EQ(status("op-1"), "Running");
  report("a/m", "op-1", -1);
  EXPECT_EQ(status("op-1"), "Failed");
  const json::Object first = agent_of("op-1", 0);
  EXPECT_EQ(first.at("status"), "Succeeded");
  EXPECT_EQ(first.at("resultCode"), "200") << "a string here";
  EXPECT_EQ(first.at("logLocation"), "/godwit/v1/default/logCollections/op-1/files?agent=a");
  const json::Object second = agent_of("op-1", 1);
  EXPECT_EQ(second.at("moduleId"), "m");
  EXPECT_EQ(second.at("resultCode"), "-1");
  EXPECT_FALSE(second.contains("logLocation"));
  const LogPage files = logs->list_files("op-1", std::nullopt, "").value();
  ASSERT_EQ(files.values.size(), 1U);
  const json::Object& file = files.values[0].as_object();
  EXPECT_EQ(file.at("fileName"), "x.log");
  EXPECT_EQ(std::string_view(file.at("sha256").as_string()), hex_encode(sha256("hello")));
  const auto opened = logs->open_log("op-1", std::stoll(std::string(file.at("fileId").as_string())));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->size, 5U);
}

TEST_F(LogCollectionsTest, success_without_a_file_is_no_success) {
  ASSERT_TRUE(make("op-1", {"a"}));
  report("a", "op-1", 200);
  EXPECT_EQ(status("op-1"), "Failed");
  EXPECT_EQ(agent_of("op-1", 0).at("godwit").as_object().at("details"),
            "the agent reports success, but no file arrived");
}

TEST_F(LogCollectionsTest, late_repeated_and_foreign_reports_change_nothing) {
  ASSERT_TRUE(make("op-1", {"a", "b"}));
  report("a", "op-9", 200);
  report("a", "op-1", -2);
  report("a", "op-1", 200);
  EXPECT_EQ(agent_of("op-1", 0).at("resultCode"), "-2");
  EXPECT_EQ(status("op-1"), "Running");
  const auto late = put("a", "x", "y");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::forbidden) << "its part has ended";
}

TEST_F(LogCollectionsTest, an_agent_works_on_one_collection_after_the_other) {
  ASSERT_TRUE(make("op-1", {"a"}));
  test.clock.advance(std::chrono::seconds(1));
  ASSERT_TRUE(make("op-0", {"a"}));
  EXPECT_EQ(status("op-0"), "NotStarted");
  EXPECT_EQ(asked.at("a").size(), 1U);
  report("a", "op-1", -1);
  EXPECT_EQ(status("op-0"), "Running");
  EXPECT_EQ(asked.at("a").back().operation_id, "op-0");
  ASSERT_TRUE(make("op-2", {"a"}));
  ASSERT_TRUE(logs->remove("op-0", "admin"));
  EXPECT_EQ(status("op-2"), "Running") << "removed ones make room";
}

TEST_F(LogCollectionsTest, who_does_not_answer_in_time_has_failed_also_after_a_restart) {
  ASSERT_TRUE(make("op-1", {"a", "b"}));
  ASSERT_TRUE(put("b", "x", "y"));
  report("b", "op-1", 200);
  test.clock.advance(options.deadline);
  open();
  ASSERT_TRUE(logs->sweep());
  EXPECT_EQ(status("op-1"), "Running");
  ASSERT_TRUE(logs->tick());
  EXPECT_EQ(status("op-1"), "Failed");
  EXPECT_EQ(agent_of("op-1", 1).at("status"), "Succeeded");
  EXPECT_EQ(put("a", "x", "y").error().code, Code::forbidden) << "the credential ends with the deadline";
}

TEST_F(LogCollectionsTest, a_removed_device_is_not_waited_for) {
  ASSERT_TRUE(make("op-1", {"a"}));
  const auto job = [&](store::Records& records) { return logs->on_removed(records, id("a")); };
  ASSERT_TRUE(test.store->write(job));
  EXPECT_EQ(status("op-1"), "Failed");
}

TEST_F(LogCollectionsTest, a_full_twin_fails_its_agent_and_nobody_else) {
  full_twin = "a";
  ASSERT_TRUE(make("op-1", {"a", "b"}));
  EXPECT_EQ(agent_of("op-1", 0).at("status"), "Failed");
  EXPECT_EQ(agent_of("op-1", 1).at("status"), "Running");
}

TEST_F(LogCollectionsTest, old_collections_go_with_their_files) {
  ASSERT_TRUE(make("op-1", {"a"}));
  ASSERT_TRUE(put("a", "x", "y"));
  report("a", "op-1", 200);
  EXPECT_EQ(files_on_disk(), 1U);
  test.clock.advance(options.retention + std::chrono::seconds(1));
  ASSERT_TRUE(logs->tick());
  EXPECT_EQ(logs->describe("op-1").error().code, Code::not_found);
  EXPECT_EQ(files_on_disk(), 0U);
}

TEST_F(LogCollectionsTest, limits_hold_for_an_agent_and_a_file_sent_again_replaces_the_first) {
  ASSERT_TRUE(make("op-1", {"a"}));
  EXPECT_EQ(put("a", "big", std::string(101, 'x')).error().code, Code::too_large);
  ASSERT_TRUE(put("a", "one", std::string(60, 'x')));
  EXPECT_EQ(put("a", "two", std::string(60, 'x')).error().code, Code::too_large);
  ASSERT_TRUE(put("a", "two", "x"));
  ASSERT_TRUE(put("a", "two", "y"));
  EXPECT_EQ(files_on_disk(), 2U);
  ASSERT_TRUE(put("a", "three", ""));
  EXPECT_EQ(put("a", "four", "z").error().code, Code::too_large) << "three files are the most";
  EXPECT_EQ(put("a", "a\nb", "z").error().code, Code::invalid_argument);
}

TEST_F(LogCollectionsTest, two_uploads_at_once_do_not_pass_the_limit_together) {
  ASSERT_TRUE(make("op-1", {"a"}));
  const auto first = logs->begin_upload(upload_request("a", "one", 60));
  const auto second = logs->begin_upload(upload_request("a", "two", 60));
  ASSERT_TRUE(first && second);
  ASSERT_TRUE((*first)->write(std::string(60, 'x')));
  ASSERT_TRUE((*second)->write(std::string(60, 'x')));
  EXPECT_TRUE((*first)->finish());
  EXPECT_EQ((*second)->finish().error().code, Code::too_large);
  EXPECT_EQ(files_on_disk(), 1U);
}

TEST_F(LogCollectionsTest, bytes_that_do_not_fit_the_announced_size_leave_nothing) {
  ASSERT_TRUE(make("op-1", {"a"}));
  {
    const auto upload = logs->begin_upload(upload_request("a", "one", 3));
    EXPECT_EQ((*upload)->write("four").error().code, Code::too_large);
  }
  {
    const auto upload = logs->begin_upload(upload_request("a", "one", 3));
    ASSERT_TRUE((*upload)->write("ab"));
    EXPECT_EQ((*upload)->finish().error().code, Code::size_mismatch);
  }
  EXPECT_EQ(files_on_disk(), 0U);
  EXPECT_TRUE(logs->list_files("op-1", std::nullopt, "").value().values.empty());
}

TEST_F(LogCollectionsTest, a_credential_opens_its_own_container_only) {
  ASSERT_TRUE(make("op-1", {"a", "b"}));
  auto request = upload_request("a", "x", 1);
  request.container = upload_request("b", "x", 1).container;
  EXPECT_EQ(logs->begin_upload(request).error().code, Code::forbidden);
  request = upload_request("a", "x", 1);
  request.expires = "2999-01-01T00:00:00.000Z";
  EXPECT_EQ(logs->begin_upload(request).error().code, Code::forbidden);
  request = upload_request("a", "x", 1);
  request.signature = "AAAA";
  EXPECT_EQ(logs->begin_upload(request).error().code, Code::forbidden);
}

TEST_F(LogCollectionsTest, files_that_a_kill_left_without_a_record_are_swept_away) {
  ASSERT_TRUE(make("op-1", {"a"}));
  ASSERT_TRUE(put("a", "x", "y"));
  const std::string container = upload_request("a", "x", 1).container;
  ASSERT_TRUE(write_file_durably(folder() / container / "orphan", "z"));
  ASSERT_TRUE(make_folders(folder() / "logsgone"));
  ASSERT_TRUE(write_file_durably(folder() / "logsgone" / "orphan", "z"));
  ASSERT_TRUE(write_file_durably(folder() / "unfinished" / "half", "z"));
  open();
  ASSERT_TRUE(logs->sweep());
  EXPECT_EQ(files_on_disk(), 1U);
}

TEST_F(LogCollectionsTest, the_same_wish_again_is_fine_and_what_is_wrong_is_said) {
  ASSERT_TRUE(make("op-1", {"a", "b"}));
  EXPECT_TRUE(make("op-1", {"b", "a"}));
  EXPECT_EQ(asked.at("a").size(), 1U);
  EXPECT_EQ(make("op-1", {"a"}).error().code, Code::conflict);
  EXPECT_EQ(make("op-2", {"a", "a"}).error().code, Code::invalid_argument);
  EXPECT_EQ(make("op-2", {}).error().code, Code::invalid_argument);
  EXPECT_EQ(make("op/2", {"a"}).error().code, Code::invalid_argument);
  EXPECT_EQ(make("op-2", {"nobody"}).error().code, Code::not_found);
  EXPECT_EQ(logs->describe("op-2").error().code, Code::not_found) << "refused as a whole";
  LogWish many{.id = "op-3", .agents = {}};
  for (int i = 0; i < 101; ++i) many.agents.push_back(id("d" + std::to_string(i)));
  EXPECT_EQ(logs->create(many, "admin").error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace godwit::service
