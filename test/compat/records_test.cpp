// Two builds share the data partition of a device with two sides: after a fall back the older one reads what the newer
// one wrote. Goal: data that an earlier build left behind (records/, made by record.py) means to this one what it meant
// then, and what a newer build added to it is passed over. Method: each file is read by the code that reads it on a
// device, first as it is, then with unknown members in each of its JSON objects.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/testing/temp_folder.hpp"
#include "device/agent/agent_config.hpp"
#include "device/agent/history.hpp"
#include "device/agent/journal.hpp"
#include "device/agent/outbox.hpp"
#include "device/extension/registry.hpp"
#include "device/installer/installer_config.hpp"
#include "device/installer/journal.hpp"
#include "device/slots/contents.hpp"

namespace godwit::compat {
namespace {

constexpr ByteCount kLimit = 1024 * 1024;

std::vector<Path> folders_in(const Path& folder) {
  std::vector<Path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_directory()) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Path> files_in(const Path& folder) {
  std::vector<Path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

/// As a newer build might have written it: two more members in every object, but not in one whose keys are data, nor in
/// an update id, which has three members by its contract.
void add_members(json::Value& value) {
  if (value.is_array())
    for (auto& element : value.get_array()) add_members(element);
  if (!value.is_object() || value.get_object().contains("provider")) return;
  for (auto& member : value.get_object())
    if (member.key() != "file_urls") add_members(member.value());
  value.get_object()["newer_word"] = "x";
  value.get_object()["newer_object"] = json::Object{{"deep", json::Array{1, 2}}};
}

std::string newer(std::string_view text) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {  // a document, or one on each line
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    auto object = json::parse_object(text.substr(begin, end - begin), {.bytes = kLimit, .depth = 12});
    EXPECT_TRUE(object) << object.error().message;
    json::Value value(*std::move(object));
    add_members(value);
    out += json::print(value.get_object()) + "\n";
    begin = end + 1;
  }
  return out;
}

/// A copy of one recorded device folder; `is_newer`: with what a newer build might have added.
class Left {
 public:
  Left(const Path& recorded, bool is_newer) {
    std::filesystem::copy(recorded, folder(), std::filesystem::copy_options::recursive);
    if (!is_newer) return;
    std::vector<Path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder()))
      if (entry.is_regular_file() && entry.path().extension() != ".toml") files.push_back(entry.path());
    for (const Path& file : files) EXPECT_TRUE(write_file_durably(file, newer(*read_file(file, kLimit))));
    for (const char* unknown : {"agent/newer.json", "installer/acts/newer.other"})
      EXPECT_TRUE(write_file_durably(folder() / unknown, "{\"version\":9}"));
  }
  [[nodiscard]] Path folder() const { return temporary_.path() / "device"; }

 private:
  TempFolder temporary_;
};

class Records : public ::testing::TestWithParam<std::tuple<Path, bool>> {
 protected:
  const Left installing_{std::get<0>(GetParam()) / "installing", std::get<1>(GetParam())};
  const Left unreported_{std::get<0>(GetParam()) / "unreported", std::get<1>(GetParam())};
  NullLog log_;
};

TEST_P(Records, an_update_that_was_under_way_goes_on_where_it_was) {
  const agent::FileJournal journal(installing_.folder() / "agent" / "journal.json");
  const auto loaded = journal.load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->problem, "");
  const agent::Record& record = loaded->record;
  EXPECT_EQ(record.state, agent::State::installing);
  ASSERT_TRUE(record.goal && record.target && record.installed);
  EXPECT_EQ(record.target->version.str(), "2.0.0");
  EXPECT_EQ(record.installed->version.str(), "1.0.0");
  ASSERT_EQ(record.steps.size(), 1U);
  EXPECT_EQ(record.steps[0].handler, "microsoft/script:1");
  EXPECT_EQ(record.steps[0].files.size(), 2U);
  EXPECT_NE(record.goal->manifest.find("--wait-in install"), std::string::npos);
  EXPECT_FALSE(record.goal->manifest_signature.empty());
  EXPECT_EQ(agent::print_record(*agent::parse_record(agent::print_record(record))), agent::print_record(record));

  const Path acts = installing_.folder() / "installer" / "acts" / (record.goal->workflow_id + ".jsonl");
  const auto journal_of_acts = installer::Journal::read(acts);
  ASSERT_TRUE(journal_of_acts) << journal_of_acts.error().message;
  EXPECT_EQ(journal_of_acts->unfinished().count({.attempt = 1, .step = 0, .verb = installer::Verb::install}), 1U);
  EXPECT_TRUE(journal_of_acts->finished({.attempt = 1, .step = 0, .verb = installer::Verb::download}));
}

TEST_P(Records, a_report_that_waits_is_sent_and_the_history_is_kept) {
  auto outbox = agent::Outbox::open(unreported_.folder() / "agent" / "outbox", log_);
  ASSERT_TRUE(outbox) << outbox.error().message;
  ASSERT_NE(outbox->front(), nullptr);
  EXPECT_TRUE(outbox->front()->is_final);
  EXPECT_NE(outbox->front()->patch.find("\"resultCode\":700"), std::string::npos);
  EXPECT_EQ(outbox->size(), 1U);

  const auto entries = agent::read_history(unreported_.folder() / "agent" / "history.json");
  ASSERT_TRUE(entries) << entries.error().message;
  EXPECT_EQ(entries->size(), 2U);
  const std::string table = agent::history_text(*entries);
  for (const char* words : {"succeeded", "/1.0.0", "/2.0.0"}) EXPECT_NE(table.find(words), std::string::npos) << table;
}

TEST_P(Records, each_journal_of_acts_and_each_registration_is_read) {
  for (const Left* left : {&installing_, &unreported_}) {
    for (const Path& file : files_in(left->folder() / "installer" / "acts"))
      if (file.extension() == ".jsonl") {
        const auto journal = installer::Journal::read(file);
        EXPECT_TRUE(journal) << file << ": " << journal.error().message;
      }
    for (const auto& [half, count] : {std::pair("agent", 1U), std::pair("installer", 3U)}) {
      const auto registry = extension::Registry::load(left->folder() / half / "extensions.json");
      ASSERT_TRUE(registry) << half << ": " << registry.error().message;
      EXPECT_EQ(registry->list().size(), count);
    }
  }
}

TEST_P(Records, the_configuration_is_read) {
  const auto agent = agent::load_agent_config(installing_.folder() / "agent.toml");
  ASSERT_TRUE(agent) << agent.error().message;
  EXPECT_EQ(agent->device_id, "device-1");
  const auto installer = installer::load_installer_config(installing_.folder() / "installer.toml");
  EXPECT_TRUE(installer) << installer.error().message;
}

INSTANTIATE_TEST_SUITE_P(OfEachBuild, Records,
                         ::testing::Combine(::testing::ValuesIn(folders_in(GODWIT_RECORDS)), ::testing::Bool()),
                         [](const auto& each) {
                           std::string name = std::get<0>(each.param).filename().string();
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
                           return name + (std::get<1>(each.param) ? "_with_newer_members" : "_as_it_was");
                         });

// What is on the data partition of a device with two sides besides.
TEST(Contents, of_the_sides_are_read_with_what_a_newer_build_added) {
  const std::string digest(64, 'a');
  const std::string recorded = R"({"format":1,"B":{"sha256":")" + digest +
                               R"(","size":67108864,"attempts":3,"lastWords":"no"}})"
                               "\n";
  for (const std::string& text : {recorded, newer(recorded)}) {
    const auto contents = slots::parse_contents(text);
    ASSERT_TRUE(contents) << contents.error().message;
    ASSERT_TRUE(contents->of(slots::Side::b));
    EXPECT_EQ(contents->of(slots::Side::b)->image.size, 67108864U);
    EXPECT_FALSE(contents->of(slots::Side::b)->image.verity);
    EXPECT_EQ(slots::print_contents(*contents), recorded) << "what has not got the new words is written as before";
  }
}

}  // namespace
}  // namespace godwit::compat
