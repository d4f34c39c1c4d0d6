// faults: 52, 54, 55, 59. What agent and installer keep on the disk, with the power cut before every call that changes
// it, and with everything forgotten that a disk may forget. What was answered for is there; what was under way is there
// or not, whole; nothing is damaged; and the work goes on. Then each fsync is left out: the suite must notice every
// one.
#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <memory>

#include "core/base/testing/temp_folder.hpp"
#include "device/agent/history.hpp"
#include "device/agent/journal.hpp"
#include "device/agent/outbox.hpp"
#include "device/installer/journal.hpp"
#include "device/installer/workspace.hpp"
#include "power/cut_disk.hpp"

namespace godwit::power {
namespace {

/// A story: acts one after the other on what lies in a folder, and a judge of what is found there after a cut.
struct Story {
  std::string name;
  std::vector<std::function<void(const Path&)>> acts;
  /// `done` acts had returned, at most one more was under way. Gives what is wrong; "" if nothing.
  std::function<std::string(const Path&, std::size_t done)> judge;
};

/// In memory where there is such a place: what counts is which fsync is asked for, not how long this disk takes.
Path quick_place() { return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; }

/// Plays a story once and cuts it everywhere.
class Cutter {
 public:
  explicit Cutter(const Story& story) : story_(story) {
    std::filesystem::create_directories(live());
    disk_ = std::make_unique<CutDisk>(live());
    for (const auto& act : story.acts) {
      act(live());
      ends_.push_back(disk_->calls());
    }
    disk_->stop();
  }

  /// What is wrong at the first cut that something is wrong at; "" if nothing.
  std::string run(std::size_t without = SIZE_MAX) {
    for (std::size_t cut = 0; cut <= disk_->calls(); ++cut) {
      const auto done = static_cast<std::size_t>(
          std::count_if(ends_.begin(), ends_.end(), [cut](std::size_t end) { return end <= cut; }));
      for (const Left left : kAllLeft) {
        const Path found = folder_.path() / "found";
        disk_->lay_out(found, cut, left, without);
        ++cuts;
        if (const std::string wrong = story_.judge(found, done); !wrong.empty())
          return story_.name + ": cut before " + disk_->describe(cut) + ", left " + left_name(left) + ", " +
                 std::to_string(done) + " acts had returned: " + wrong;
      }
    }
    return "";
  }
  [[nodiscard]] std::vector<std::size_t> fsyncs() const { return disk_->fsyncs(); }
  [[nodiscard]] std::string describe(std::size_t call) const { return disk_->describe(call); }
  std::size_t cuts = 0;

 private:
  [[nodiscard]] Path live() const { return folder_.path() / "live"; }
  const TempFolder folder_{quick_place()};
  const Story& story_;
  std::unique_ptr<CutDisk> disk_;
  std::vector<std::size_t> ends_;
};

// ---- the agent's journal
// ----------------------------------------------------------------------------------------------

agent::Record record_number(std::size_t number) {
  agent::Record record;
  if (number == 0) return record;
  record.state = agent::State::verifying;
  record.goal.emplace();
  record.goal->workflow_id = "w" + std::to_string(number);
  record.goal->manifest = std::string(700 * number, 'm');  // several sectors
  record.attempt = static_cast<std::uint32_t>(number);
  return record;
}

Story agent_journal() {
  Story story{.name = "the agent's journal", .acts = {}, .judge = {}};
  for (std::size_t i = 1; i <= 3; ++i)
    story.acts.push_back([i](const Path& folder) {
      GODWIT_CHECK(agent::FileJournal(folder / "journal.json").save(record_number(i)).has_value());
    });
  story.judge = [](const Path& folder, std::size_t done) -> std::string {
    agent::FileJournal journal(folder / "journal.json");
    const auto loaded = journal.load();
    if (!loaded) return "it cannot be loaded: " + loaded.error().message;
    if (!loaded->problem.empty()) return "it is damaged: " + loaded->problem;
    if (loaded->record != record_number(done) && loaded->record != record_number(done + 1))
      return "it holds attempt " + std::to_string(loaded->record.attempt);
    return journal.save(record_number(9)) ? "" : "it cannot be written any more";
  };
  return story;
}

// ---- reports that wait
// ------------------------------------------------------------------------------------------------

agent::OutboxEntry report(const std::string& workflow, bool is_final) {
  return {.number = 0,
          .workflow_id = workflow,
          .attempt = 1,
          .is_final = is_final,
          .patch = R"({"p":")" + std::string(900, 'p') + R"("})"};
}

std::string texts(agent::Outbox& outbox) {
  std::string all;
  while (const auto* entry = outbox.front()) {
    all += (all.empty() ? "" : ",") + entry->workflow_id + (entry->is_final ? "!" : "");
    GODWIT_CHECK(entry->patch.size() > 900);
    GODWIT_CHECK(outbox.remove(entry->number).has_value());
  }
  return all;
}

Story outbox() {
  const auto with_outbox = [](const std::function<Result<void>(agent::Outbox&)>& act) {
    return [act](const Path& folder) {
      NullLog log;
      auto box = agent::Outbox::open(folder / "outbox", log);
      GODWIT_CHECK(box.has_value());
      GODWIT_CHECK(act(*box).has_value());
    };
  };
  Story story{.name = "the outbox", .acts = {}, .judge = {}};
  story.acts = {with_outbox([](agent::Outbox& box) { return box.put(report("a", false)); }),
                with_outbox([](agent::Outbox& box) { return box.put(report("a", true)); }),
                with_outbox([](agent::Outbox& box) { return box.put(report("b", false)); }),
                with_outbox([](agent::Outbox& box) { return box.remove(box.front()->number); }),
                with_outbox([](agent::Outbox& box) { return box.put(report("b", true)); })};
  story.judge = [](const Path& folder, std::size_t done) -> std::string {
    constexpr std::array<std::string_view, 7> kAfter{"", "a", "a,a!", "a,a!,b", "a!,b", "a!,b,b!", "a!,b,b!"};
    NullLog log;
    auto box = agent::Outbox::open(folder / "outbox", log);
    if (!box) return "it cannot be opened: " + box.error().message;
    const std::string here = texts(*box);
    if (here != kAfter.at(done) && here != kAfter.at(done + 1)) return "it holds " + here;
    return box->put(report("c", true)) ? "" : "nothing can be put any more";
  };
  return story;
}

// ---- the installer's journal
// ------------------------------------------------------------------------------------------

constexpr installer::ActKey kInstall{.attempt = 1, .step = 0, .verb = installer::Verb::install};
constexpr installer::ActKey kApply{.attempt = 1, .step = 0, .verb = installer::Verb::apply};

Result<installer::Journal> open_journal(const Path& folder) {
  return installer::Journal::open(folder / "acts", "w-1", std::string(64, 'a'));
}

Story installer_journal() {
  const auto with_journal = [](const std::function<Result<void>(installer::Journal&)>& act) {
    return [act](const Path& folder) {
      auto journal = open_journal(folder);
      GODWIT_CHECK(journal.has_value());
      GODWIT_CHECK(act(*journal).has_value());
    };
  };
  const installer::ActOutcome failed{.result_code = 0, .extended_codes = {7}, .details = std::string(1000, 'd')};
  Story story{.name = "the installer's journal", .acts = {}, .judge = {}};
  story.acts = {
      with_journal([](installer::Journal&) { return Result<void>{}; }),
      with_journal([](installer::Journal& j) { return j.write_started(kInstall, {.session = 77, .boot = "b"}); }),
      with_journal([](installer::Journal& j) {
        return j.write_finished(kInstall, {.result_code = 600, .extended_codes = {}, .details = "done"});
      }),
      with_journal([](installer::Journal& j) { return j.write_started(kApply, {.session = 78, .boot = "b"}); }),
      with_journal([failed](installer::Journal& j) { return j.write_finished(kApply, failed); }),
      with_journal([](installer::Journal& j) { return j.write_cancelled(1); })};
  story.judge = [](const Path& folder, std::size_t done) -> std::string {
    if (done >= 1 && read_file(folder / "acts" / "w-1.jsonl", 1 << 20).value_or("").empty()) return "it is lost";
    auto journal = open_journal(folder);
    if (!journal) return "it cannot be opened: " + journal.error().message;
    const auto install = journal->finished(kInstall);
    const auto apply = journal->finished(kApply);
    if (done >= 2 && !install && journal->unfinished().count(kInstall) == 0) return "an act that began is forgotten";
    if (done >= 3 && (!install || install->result_code != 600)) return "an act that ended is forgotten";
    if (done < 2 && install) return "an act has ended that never began";
    if (done >= 4 && !apply && journal->unfinished().count(kApply) == 0)
      return "the second act that began is forgotten";
    if (done >= 5 && (!apply || apply->details.size() != 1000)) return "a failure is forgotten";
    if (done >= 6 && !journal->is_cancelled(1)) return "a cancel is forgotten";
    if (done < 5 && journal->is_cancelled(1)) return "it is cancelled too early";
    return journal->write_cancelled(2) && open_journal(folder)->is_cancelled(2) ? "" : "it cannot be written any more";
  };
  return story;
}

// ---- the installer's opened workflows
// -----------------------------------------------------------------------------------

Story workspaces() {
  const auto opened = [](std::uint32_t attempt) {
    installer::OpenedWorkflow workflow{
        .workflow_id = "w-1", .attempt = attempt, .manifest_sha256 = std::string(64, 'a')};
    workflow.plan.update_id = {{"provider", "C"}, {"name", std::string(800, 'n')}, {"version", "1.0"}};
    workflow.plan.steps.push_back({.index = 0, .path = "step_0", .handler = "a/b:1"});
    return workflow;
  };
  Story story{.name = "the opened workflow", .acts = {}, .judge = {}};
  story.acts = {
      [opened](const Path& f) { GODWIT_CHECK(installer::Workspaces(f / "work").save(opened(1)).has_value()); },
      [opened](const Path& f) { GODWIT_CHECK(installer::Workspaces(f / "work").save(opened(2)).has_value()); },
      [](const Path& f) { GODWIT_CHECK(installer::Workspaces(f / "work").remove("w-1").has_value()); }};
  story.judge = [opened](const Path& folder, std::size_t done) -> std::string {
    installer::Workspaces work(folder / "work");
    const auto loaded = work.load("w-1");
    const bool may_be_gone = done == 0 || done >= 2;
    if (!loaded && !may_be_gone) return "it is lost: " + loaded.error().message;
    if (!loaded && loaded.error().code != Code::not_found) return "it is damaged: " + loaded.error().message;
    if (loaded && done < 3 && loaded->attempt != done && loaded->attempt != done + 1)
      return "it holds attempt " + std::to_string(loaded->attempt);
    return work.save(opened(9)) && work.load("w-1")->attempt == 9 ? "" : "it cannot be opened any more";
  };
  return story;
}

// ---- the past
// ---------------------------------------------------------------------------------------------------------

Story history() {
  Story story{.name = "the history", .acts = {}, .judge = {}};
  for (std::size_t i = 1; i <= 3; ++i)
    story.acts.push_back([i](const Path& folder) {
      NullLog log;
      const FakeClock clock;
      agent::Record record = record_number(i);
      record.state = agent::State::failed;
      record.outcome =
          InstallResult{.result_code = 0, .extended_codes = {}, .details = std::string(900, 'x'), .steps = {}};
      agent::FileHistory(folder / "history.json", clock, log).add(record);
    });
  story.judge = [](const Path& folder, std::size_t done) -> std::string {
    const auto entries = agent::read_history(folder / "history.json");
    if (!entries) return "it cannot be read: " + entries.error().message;
    return entries->size() == done || entries->size() == done + 1
               ? ""
               : "it has " + std::to_string(entries->size()) + " entries";
  };
  return story;
}

std::vector<Story> stories() { return {agent_journal(), outbox(), installer_journal(), workspaces(), history()}; }

TEST(PowerCut, nothing_that_was_answered_for_is_lost_and_nothing_is_damaged) {
  std::size_t cuts = 0;
  for (const Story& story : stories()) {
    Cutter cutter(story);
    EXPECT_EQ(cutter.run(), "");
    cuts += cutter.cuts;
  }
  std::cout << cuts << " cut points ran\n";
  EXPECT_GT(cuts, 300U);
}

// A test of the test: what does not notice a missing fsync proves nothing about those that are there.
TEST(PowerCut, every_fsync_is_needed_and_missed) {
  std::size_t left_out = 0;
  for (const Story& story : stories()) {
    Cutter cutter(story);
    for (const std::size_t fsync : cutter.fsyncs()) {
      ++left_out;
      EXPECT_NE(cutter.run(fsync), "") << story.name << ": nobody misses " << cutter.describe(fsync);
    }
  }
  std::cout << left_out << " fsyncs were left out, one at a time\n";
}

}  // namespace
}  // namespace godwit::power
