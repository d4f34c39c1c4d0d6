#include "device/extension/registry.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>

#include "device/extension/command.hpp"
#include "device/extension/testing/test_extensions.hpp"

namespace godwit::extension {
namespace {

using testing::TemporaryFolder;
using testing::test_library;

/// A private copy that a test may spoil.
Path copy_of(const std::string& name, const TemporaryFolder& folder) {
  const Path copy = folder / (name + ".so");
  std::filesystem::copy_file(test_library(name), copy, std::filesystem::copy_options::overwrite_existing);
  ::chmod(copy.c_str(), 0755);
  return copy;
}

TEST(Registry, what_was_added_is_found_after_a_restart_until_it_is_removed) {
  const TemporaryFolder folder;
  const Path file = folder / "state/extensions.json";
  {
    auto registry = Registry::load(file);
    ASSERT_TRUE(registry) << registry.error().message;
    EXPECT_TRUE(registry->list().empty());
    const auto added = registry->add(Type::step_handler, "test/step:1", copy_of("step", folder), true);
    ASSERT_TRUE(added) << added.error().message;
    EXPECT_EQ(added->contract, "1.7");
  }
  struct stat info {};
  ASSERT_EQ(0, ::stat(file.c_str(), &info));
  EXPECT_EQ(info.st_mode & 0777U, 0644U);
  auto again = Registry::load(file);
  ASSERT_TRUE(again) << again.error().message;
  const auto found = again->find(Type::step_handler, "test/step:1");
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->network);
  EXPECT_EQ(found->path, folder / "step.so");
  EXPECT_EQ(found->sha256, hex_encode(*sha256_of_file(folder / "step.so")));
  ASSERT_TRUE(again->remove(Type::step_handler, "test/step:1"));
  EXPECT_EQ(again->remove(Type::step_handler, "test/step:1").error().code, Code::not_found);
  EXPECT_TRUE(Registry::load(file)->list().empty());
}

TEST(Registry, a_second_registration_of_an_id_replaces_the_first) {
  const TemporaryFolder folder;
  auto registry = Registry::load(folder / "extensions.json");
  ASSERT_TRUE(registry);
  ASSERT_TRUE(registry->add(Type::step_handler, "test/step:1", copy_of("step", folder), true));
  ASSERT_TRUE(registry->add(Type::step_handler, "test/step:1", copy_of("short_table", folder), false));
  ASSERT_EQ(registry->list().size(), 1U);
  EXPECT_EQ(registry->list()[0].path.filename(), "short_table.so");
  EXPECT_FALSE(registry->list()[0].network);
}

TEST(Registry, manifest_handlers_fall_back_to_the_id_without_version) {
  const TemporaryFolder folder;
  auto registry = Registry::load(folder / "extensions.json");
  ASSERT_TRUE(registry);
  EXPECT_EQ(registry->find(Type::manifest_handler, "microsoft/update-manifest:5").error().code,
            Code::extension_missing);
  ASSERT_TRUE(registry->add(Type::manifest_handler, "microsoft/update-manifest", copy_of("planner", folder), false));
  EXPECT_TRUE(registry->find(Type::manifest_handler, "microsoft/update-manifest:5"));
  ASSERT_TRUE(registry->add(Type::manifest_handler, "microsoft/update-manifest:5", copy_of("planner", folder), false));
  EXPECT_EQ(registry->find(Type::manifest_handler, "microsoft/update-manifest:5")->id, "microsoft/update-manifest:5");
  EXPECT_FALSE(registry->find(Type::step_handler, "microsoft/update-manifest:5"));
  EXPECT_FALSE(registry->find_only(Type::content_downloader));
  EXPECT_FALSE(registry->find_downloader("https"));
}

TEST(Registry, a_downloader_is_found_by_the_scheme_that_it_was_registered_for) {
  const TemporaryFolder folder;
  const std::string hash(64, 'a');
  const auto entry = [&](const std::string& id, const std::string& options) {
    return R"({"type":"content-downloader","id":")" + id + R"(","path":"/x.so","sha256":")" + hash +
           R"(","size":1,"network":false,"contract":"1.0","options":)" + options + "}";
  };
  const std::string text = R"({"version":1,"extensions":[)" + entry("a/local:1", R"({"schemes":"file,afp"})") + "," +
                           entry("b/curl:1", "{}") + "," + entry("c/other:1", R"({"schemes":"https,coap"})") + "]}";
  ASSERT_TRUE(write_file_durably(folder / "extensions.json", text, 0644));
  const auto registry = Registry::load(folder / "extensions.json");
  ASSERT_TRUE(registry) << registry.error().message;
  EXPECT_EQ(registry->find_downloader("file")->id, "a/local:1");
  EXPECT_EQ(registry->find_downloader("https")->id, "b/curl:1");
  EXPECT_EQ(registry->find_downloader("coap")->id, "c/other:1");
  EXPECT_NE(registry->find_downloader("ftp").error().message.find("--option schemes=ftp"), std::string::npos);
  EXPECT_FALSE(registry->find_downloader(""));
}

TEST(Registry, libraries_that_break_the_contract_are_refused_with_the_reason) {
  const TemporaryFolder folder;
  auto registry = Registry::load(folder / "extensions.json");
  ASSERT_TRUE(registry);
  struct Case {
    std::string library;
    Type type;
    std::string says;
  };
  for (const Case& c : {Case{"major_2", Type::step_handler, "contract 2.0"},
                        Case{"without_contract", Type::step_handler, "does not export GetContractInfo"},
                        Case{"without_entry", Type::step_handler, "does not export godwit_step_handler_entry"},
                        Case{"step", Type::manifest_handler, "is not a manifest-handler"}}) {
    const auto refused = registry->add(c.type, "test/x:1", copy_of(c.library, folder), false);
    ASSERT_FALSE(refused) << c.library;
    EXPECT_EQ(refused.error().code, Code::extension_contract) << refused.error().message;
    EXPECT_NE(refused.error().message.find(c.says), std::string::npos) << refused.error().message;
  }
  ASSERT_TRUE(write_file_durably(folder / "text.so", "not a library", 0644));
  EXPECT_EQ(registry->add(Type::step_handler, "test/x:1", folder / "text.so", false).error().code,
            Code::extension_contract);
  EXPECT_EQ(registry->add(Type::step_handler, "test/x:1", folder / "none.so", false).error().code, Code::not_found);
  EXPECT_EQ(registry->add(Type::content_downloader, "test/x:1", copy_of("step", folder), true).error().code,
            Code::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(folder / "extensions.json"));
}

// faults: 49
TEST(Registry, libraries_that_others_may_change_are_refused) {
  const TemporaryFolder folder;
  auto registry = Registry::load(folder / "extensions.json");
  ASSERT_TRUE(registry);
  const Path library = copy_of("step", folder);
  ::chmod(library.c_str(), 0775);
  EXPECT_EQ(registry->add(Type::step_handler, "test/x:1", library, false).error().code, Code::extension_refused);
  ::chmod(library.c_str(), 0757);
  EXPECT_EQ(registry->add(Type::step_handler, "test/x:1", library, false).error().code, Code::extension_refused);
  ::chmod(library.c_str(), 0755);
  std::filesystem::create_directory(folder / "open");
  ::chmod((folder / "open").c_str(), 0777);
  std::filesystem::copy_file(library, folder / "open/step.so");
  EXPECT_EQ(registry->add(Type::step_handler, "test/x:1", folder / "open/step.so", false).error().code,
            Code::extension_refused);
  if (::geteuid() == 0) {
    ASSERT_EQ(0, ::chown(library.c_str(), 12345, 12345));
    const auto foreign = registry->add(Type::step_handler, "test/x:1", library, false);
    ASSERT_FALSE(foreign);
    EXPECT_NE(foreign.error().message.find("chown root"), std::string::npos) << foreign.error().message;
  }
}

TEST(Registry, ids_follow_their_rule) {
  for (const std::string_view good : {"microsoft/script:1", "a/b", "Contoso/my-step_2.x:12345"})
    EXPECT_EQ(check_extension_id(good), "") << good;
  for (const std::string_view bad : {"", "a/", "/b", "ab", "a/b:", "a/b:123456", "a/b:x", "a b/c:1", "../etc:1",
                                     "a/b/c", "a/b:1:2", "a/..", "a/b\n"})
    EXPECT_NE(check_extension_id(bad), "") << bad;
  EXPECT_NE(check_extension_id(std::string(70, 'a') + "/b"), "");
}

TEST(Registry, a_damaged_or_open_file_is_refused_with_its_place) {
  const TemporaryFolder folder;
  const Path file = folder / "extensions.json";
  const std::string hash(64, 'a');
  const auto entry = [&](const std::string& members) { return R"({"version":1,"extensions":[{)" + members + "}]}"; };
  const std::string good = R"("type":"step-handler","id":"a/b:1","path":"/x/y.so","sha256":")" + hash +
                           R"(","size":5,"network":false,"contract":"1.0")";
  EXPECT_TRUE(parse_registrations(entry(good)));
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("{}"), std::string(R"({"version":2,"extensions":[]})"),
        std::string(R"({"version":1,"extensions":[7]})"), entry(R"("type":"step-handler")"),
        entry(good + R"(,"id":"again/x:1")"),
        entry(R"("type":"x","id":"a/b:1","path":"/x","sha256":")" + hash + R"(","size":5,"contract":"1.0")"),
        entry(R"("type":"step-handler","id":"a/b:1","path":"x/y.so","sha256":")" + hash +
              R"(","size":5,"contract":"1.0")"),
        entry(R"("type":"step-handler","id":"a/b:1","path":"/x/../y.so","sha256":")" + hash +
              R"(","size":5,"contract":"1.0")"),
        entry(R"("type":"step-handler","id":"a/b:1","path":"/x/y.so","sha256":"AB","size":5,"contract":"1.0")"),
        entry(R"("type":"step-handler","id":"a/b:1","path":"/x/y.so","sha256":")" + hash +
              R"(","size":-5,"contract":"1.0")"),
        entry(good).substr(0, entry(good).size() - 2) + ",{" + good + "}]}"})
    EXPECT_FALSE(parse_registrations(bad)) << bad;

  ASSERT_TRUE(write_file_durably(file, "{ damaged", 0644));
  const auto damaged = Registry::load(file);
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message.find(file.string()), std::string::npos);
  ASSERT_TRUE(write_file_durably(file, entry(good), 0666));
  EXPECT_EQ(Registry::load(file).error().code, Code::refused);
}

TEST(Registry, the_command_registers_lists_and_removes) {
  const TemporaryFolder folder;
  const Path file = folder / "extensions.json";
  const std::vector<Type> installer{Type::step_handler, Type::manifest_handler};
  std::ostringstream out;
  const auto done = register_extension(
      file, installer,
      {.type = "step-handler", .id = "test/step:1", .library = copy_of("step", folder), .network = false}, out);
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_TRUE(list_extensions(file, out));
  EXPECT_NE(out.str().find("step-handler          test/step:1"), std::string::npos) << out.str();
  ASSERT_TRUE(remove_extension(file, "step-handler", "test/step:1", out));
  const auto other_half =
      register_extension(file, installer, {.type = "content-downloader", .id = "test/d:1", .library = "x"}, out);
  ASSERT_FALSE(other_half);
  EXPECT_NE(other_half.error().message.find("godwit-agent"), std::string::npos);
  EXPECT_FALSE(register_extension(file, installer, {.type = "gadget", .id = "test/d:1", .library = "x"}, out));
}

}  // namespace
}  // namespace godwit::extension
