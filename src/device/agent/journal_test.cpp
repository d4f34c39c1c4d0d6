#include "device/agent/journal.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::agent {
namespace {

Record full_record() {
  Record record;
  record.state = State::installing;
  record.goal.emplace();
  record.goal->workflow_id = "6f8b2f1e-0d8b-4c1e-9d6f-1c3a54c0a001";
  record.goal->retry_timestamp = "2026-11-22T10:15:00.0000000Z";
  record.goal->root_key_package_url = "https://files.example/rootkeys.json";
  record.goal->manifest = "{\"manifestVersion\":\"5\",\"text\":\"\\u00e4\"}";
  record.goal->manifest_signature = "a.b.c";
  record.goal->file_urls = {{"f1", "https://files.example/f1"}, {"f2", "https://files.example/f2"}};
  record.attempt = 3;
  record.target = UpdateId::parse("Contoso", "Toaster", "1.2.0").value();
  record.installed = UpdateId::parse("Contoso", "Toaster", "1.1.0").value();
  record.steps = {
      PlannedStep{.path = "step_0",
                  .handler = "microsoft/script:1",
                  .files = {{"f1", "a.sh", 12, sha256("a")}},
                  .result = StepResult{603, 0, "in place"}},
      PlannedStep{
          .path = "step_1", .handler = "microsoft/script:1", .files = {{"f2", "b.bin", 5'000'000'000, sha256("b")}}},
      PlannedStep{.path = "step_2", .handler = "", .skip = "no component matches group=motors"}};
  record.steps[1].subject = "left (m-1)";
  record.steps[1].files[0].download_handler = "microsoft/delta:1";
  record.steps[1].files[0].related = {{.id = "r1",
                                       .name = "b.delta",
                                       .size = 7,
                                       .sha256 = sha256("r"),
                                       .properties = {{"microsoft.sourceFileHash", "x"}}}};
  record.soft_codes = {0x90800008};
  record.copy_device = 66306;
  record.step = 1;
  record.outcome =
      InstallResult{.result_code = 0, .extended_codes = {0x30500205, 0xA0000FFF}, .details = "broke", .steps = {}};
  record.past = {{"w1", 2}, {"w2", 1}};
  record.is_superseded = true;
  record.wakes = 2;
  record.losses = 1;
  record.is_local_cancel = true;
  record.has_consent = true;
  record.restart_at_end = RestartWish::device;
  record.has_begun = true;
  record.is_before_apply = true;
  record.was_rebooted = true;
  record.boot = "5b6e0a3c-0d3c-4f5e-8f49-9f3d8f9d6b0a";
  record.steps[1].restores_update = true;
  return record;
}

TEST(Journal, reads_back_what_it_wrote) {
  const TempFolder folder;
  FileJournal journal(folder.path() / "journal.json");
  ASSERT_TRUE(journal.save(full_record()));
  const auto loaded = journal.load();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->problem, "");
  EXPECT_EQ(loaded->record, full_record());
}

TEST(Journal, a_missing_file_is_an_idle_agent) {
  const TempFolder folder;
  const auto loaded = FileJournal(folder.path() / "journal.json").load();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->record, Record{});
  EXPECT_EQ(loaded->problem, "");
}

// faults: 59
TEST(Journal, what_cannot_be_read_is_moved_aside_and_the_agent_starts_idle) {
  const std::string good = print_record(full_record());
  std::string newer = good;
  newer.replace(newer.find("\"version\":1"), 11, "\"version\":2");
  std::string impossible = good;
  impossible.replace(impossible.find("\"step\":1"), 8, "\"step\":7");
  for (const std::string& text :
       {std::string(), good.substr(0, good.size() / 2), newer, impossible, std::string("[1,2]"),
        std::string("\0\0\0\0", 4), std::string(5 * 1024 * 1024, 'x')}) {
    const TempFolder folder;
    const FileJournal journal(folder.path() / "journal.json");
    ASSERT_TRUE(write_file_durably(folder.path() / "journal.json", text));
    const auto loaded = journal.load();
    ASSERT_TRUE(loaded) << text.substr(0, 40);
    EXPECT_EQ(loaded->record, Record{});
    EXPECT_NE(loaded->problem, "") << text.substr(0, 40);
    EXPECT_TRUE(std::filesystem::exists(journal.path_aside()));
    const auto again = journal.load();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->problem, "") << "the second start must not trip over the same file";
  }
}

TEST(Journal, every_cut_of_the_text_is_refused) {
  const std::string good = print_record(full_record());
  for (std::size_t size = 0; size + 2 < good.size(); size += 3)
    EXPECT_FALSE(parse_record(good.substr(0, size))) << size;
  EXPECT_TRUE(parse_record(good));
}

TEST(Journal, a_write_that_fails_leaves_the_old_record) {
  const TempFolder folder;
  FileJournal journal(folder.path() / "journal.json");
  ASSERT_TRUE(journal.save(full_record()));
  FileJournal nowhere(folder.path() / "not-there" / "journal.json");
  EXPECT_FALSE(nowhere.save(Record{}));
  EXPECT_EQ(journal.load()->record, full_record());
}

}  // namespace
}  // namespace godwit::agent
