#include "device/installer/journal.hpp"

#include "device/extension/leftovers.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "device/extension/testing/test_extensions.hpp"

namespace godwit::installer {
namespace {

using extension::testing::TemporaryFolder;

constexpr ActKey kInstall{.attempt = 1, .step = 0, .verb = Verb::install};

TEST(InstallerJournal, what_ended_is_known_after_a_restart_and_what_was_cut_off_too) {
  const TemporaryFolder folder;
  {
    auto journal = Journal::open(folder.path(), "w-1", "aa");
    ASSERT_TRUE(journal) << journal.error().message;
    EXPECT_FALSE(journal->finished(kInstall));
    ASSERT_TRUE(journal->write_started(kInstall, {.session = 42, .boot = "b"}));
  }
  {
    auto journal = Journal::open(folder.path(), "w-1", "aa");
    ASSERT_TRUE(journal);
    ASSERT_EQ(journal->unfinished().size(), 1U);
    EXPECT_EQ(journal->unfinished().at(kInstall).session, 42);
    ASSERT_TRUE(
        journal->write_finished(kInstall, {.result_code = 0, .extended_codes = {0x30500206}, .details = "why"}));
  }
  const auto journal = Journal::open(folder.path(), "w-1", "aa");
  ASSERT_TRUE(journal);
  EXPECT_TRUE(journal->unfinished().empty());
  ASSERT_TRUE(journal->finished(kInstall));
  EXPECT_EQ(journal->finished(kInstall)->details, "why");
  EXPECT_EQ(journal->finished(kInstall)->extended_codes, std::vector<ExtendedCode>{0x30500206});
  EXPECT_FALSE(journal->finished({.attempt = 2, .step = 0, .verb = Verb::install})) << "a retry is another act";
}

TEST(InstallerJournal, a_workflow_belongs_to_one_manifest) {
  const TemporaryFolder folder;
  ASSERT_TRUE(Journal::open(folder.path(), "w-1", "aa"));
  EXPECT_EQ(Journal::open(folder.path(), "w-1", "bb").error().code, Code::conflict);
}

// faults: 52, 59
TEST(InstallerJournal, a_line_cut_at_any_byte_is_dropped_and_damage_is_told) {
  const TemporaryFolder folder;
  const Path file = folder / "w-1.jsonl";
  auto journal = Journal::open(folder.path(), "w-1", "aa");
  ASSERT_TRUE(journal);
  ASSERT_TRUE(journal->write_started(kInstall, {.session = 42, .boot = "b"}));
  const std::string before = *read_file(file, 10000);
  ASSERT_TRUE(journal->write_finished(kInstall, {.result_code = 600, .extended_codes = {}, .details = ""}));
  const std::string whole = *read_file(file, 10000);
  for (std::size_t cut = before.size(); cut < whole.size(); ++cut) {
    ASSERT_TRUE(write_file_durably(file, whole.substr(0, cut)));
    auto again = Journal::open(folder.path(), "w-1", "aa");
    ASSERT_TRUE(again) << cut << again.error().message;
    EXPECT_EQ(again->unfinished().size(), 1U) << cut;
    ASSERT_TRUE(again->write_cancelled(1));
    EXPECT_TRUE(Journal::open(folder.path(), "w-1", "aa")->is_cancelled(1)) << cut;
  }
  ASSERT_TRUE(write_file_durably(file, ""));
  EXPECT_TRUE(Journal::open(folder.path(), "w-1", "aa")) << "cut before the first line";
  ASSERT_TRUE(write_file_durably(file, before + "garbage\n"));
  const auto damaged = Journal::open(folder.path(), "w-1", "aa");
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message.find("line 3"), std::string::npos) << damaged.error().message;
  ASSERT_TRUE(write_file_durably(file, "{\"journal\":2,\"manifest_sha256\":\"aa\"}\n"));
  EXPECT_FALSE(Journal::open(folder.path(), "w-1", "aa"));
}

TEST(InstallerJournal, downloads_do_not_count_after_the_work_folder_was_lost) {
  const TemporaryFolder folder;
  constexpr ActKey kDownload{.attempt = 1, .step = 0, .verb = Verb::download};
  auto journal = Journal::open(folder.path(), "w-1", "aa");
  ASSERT_TRUE(journal->write_started(kDownload, {}));
  ASSERT_TRUE(journal->write_finished(kDownload, {.result_code = 500}));
  ASSERT_TRUE(journal->write_started(kInstall, {}));
  ASSERT_TRUE(journal->write_finished(kInstall, {.result_code = 600}));
  ASSERT_TRUE(journal->write_emptied());
  for (const auto& seen : {*journal, *Journal::open(folder.path(), "w-1", "aa")}) {
    EXPECT_FALSE(seen.finished(kDownload));
    EXPECT_TRUE(seen.finished(kInstall));
  }
}

TEST(InstallerJournal, only_the_newest_journals_are_kept) {
  const TemporaryFolder folder;
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(Journal::open(folder.path(), "w-" + std::to_string(i), "aa"));
    std::filesystem::last_write_time(folder / ("w-" + std::to_string(i) + ".jsonl"),
                                     std::filesystem::file_time_type{} + std::chrono::seconds(i));
  }
  forget_old_journals(folder.path(), "w-0", 2);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(std::filesystem::exists(folder / ("w-" + std::to_string(i) + ".jsonl")), i == 0 || i >= 4) << i;
}

TEST(InstallerJournal, leftovers_of_a_dead_installer_are_ended_and_nobody_else) {
  const TemporaryFolder folder;
  const auto sleeper = [](const char* call) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::setsid();
    ::execle("/bin/sleep", "sleep", "300", nullptr, std::vector<char*>{const_cast<char*>(call), nullptr}.data());
    ::_exit(127);
  };
  const pid_t ours = sleeper("GODWIT_CALL=w-1/1/0/install");
  const pid_t foreign = sleeper("GODWIT_CALL=w-9/1/0/install");
  auto journal = Journal::open(folder.path(), "w-1", "aa");
  ASSERT_TRUE(journal->write_started(kInstall, {.session = ours, .boot = extension::boot_id()}));
  ASSERT_TRUE(journal->write_started({.attempt = 1, .step = 1, .verb = Verb::install},
                                     {.session = foreign, .boot = extension::boot_id()}));
  for (int i = 0; i < 100 && end_leftovers(folder.path()) == 0; ++i)
    ::usleep(20'000);  // until exec has set the environment
  int status = 0;
  EXPECT_EQ(::waitpid(ours, &status, 0), ours);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(::waitpid(foreign, &status, WNOHANG), 0) << "a process that does not carry the call's name was killed";
  ::kill(foreign, SIGKILL);
  ::waitpid(foreign, &status, 0);
}

TEST(InstallerJournal, a_restart_that_has_happened_is_no_longer_wanted) {
  const TemporaryFolder folder;
  auto journal = Journal::open(folder.path(), "w-1", "aa");
  ASSERT_TRUE(journal);
  EXPECT_EQ(journal->own_work(1, 0, "boot-1"), 0);
  const ActKey apply{.attempt = 1, .step = 0, .verb = Verb::apply};
  ASSERT_TRUE(journal->write_started(apply, {.session = 1, .boot = "boot-1"}));
  EXPECT_EQ(journal->own_work(1, 0, "boot-1"), 700) << "it began; how it ended is not known";
  ASSERT_TRUE(journal->write_finished(apply, {.result_code = 705, .extended_codes = {}, .details = ""}));
  EXPECT_EQ(journal->own_work(1, 0, "boot-1"), 705);
  EXPECT_EQ(journal->own_work(1, 0, "boot-2"), 700);
  EXPECT_TRUE(journal->wants_restart(1));
  EXPECT_FALSE(journal->wants_restart(2));
  EXPECT_EQ(journal->finished(apply, "boot-1")->result_code, 705);
  EXPECT_EQ(journal->finished(apply, "boot-2")->result_code, 700) << "the power was cut, and that was a restart";
  EXPECT_EQ(journal->finished(apply, "")->result_code, 705) << "a kernel that does not tell its boots apart";
  ASSERT_TRUE(journal->write_started(kInstall, {.session = 1, .boot = "boot-1"}));
  ASSERT_TRUE(journal->write_finished(kInstall, {.result_code = 0, .extended_codes = {5}, .details = "no"}));
  EXPECT_EQ(journal->finished(kInstall, "boot-2")->result_code, 0) << "a failure stays one";
}

}  // namespace
}  // namespace godwit::installer
