#include "script_call.hpp"

#include <gtest/gtest.h>

#include "core/model/outcome.hpp"

namespace godwit::step_script {
namespace {

std::vector<std::string> arguments(std::string_view properties, json::Object component = {},
                                   Action action = Action::install) {
  const auto made = make_call(
      action, properties,
      {.work_folder = "/w", .result_file = "/w/r.json", .installed_criteria = {}, .component = std::move(component)});
  if (!made.call) return {made.refusal.details};
  auto words = made.call->arguments;
  words.resize(words.size() - 4);  // --work-folder /w --result-file /w/r.json
  return words;
}
using Words = std::vector<std::string>;

TEST(ScriptCall, both_api_versions_have_their_spelling) {
  EXPECT_EQ(arguments(R"({"scriptFileName":"a.sh"})"), Words{"--action-install"});
  EXPECT_EQ(arguments(R"({"scriptFileName":"a.sh","apiVersion":"1.0"})", {}, Action::is_installed),
            Words{"--action-is-installed"});
  EXPECT_EQ(arguments(R"({"scriptFileName":"a.sh","apiVersion":"1.1"})", {}, Action::is_installed),
            (Words{"--action", "is-installed"}));
  EXPECT_EQ(arguments(R"({"scriptFileName":"a.sh","apiVersion":"1.1"})", {}, Action::download),
            (Words{"--action", "download"}));
  EXPECT_EQ(arguments(R"({"scriptFileName":"a.sh","apiVersion":"1.1"})", {}, Action::apply),
            (Words{"--action", "apply"}));
}

TEST(ScriptCall, what_every_script_gets_comes_last) {
  const auto made = make_call(
      Action::install, R"({"scriptFileName":"a.sh","arguments":"--x 1"})",
      {.work_folder = "/w", .result_file = "/w/r.json", .installed_criteria = "1.0; rm -rf /", .component = {}});
  ASSERT_TRUE(made.call);
  EXPECT_EQ(made.call->script_file_name, "a.sh");
  EXPECT_EQ(made.call->arguments, (Words{"--action-install", "--x", "1", "--work-folder", "/w", "--result-file",
                                         "/w/r.json", "--installed-criteria", "1.0; rm -rf /"}));
}

// faults: 48
TEST(ScriptCall, arguments_are_split_at_spaces_and_nothing_in_them_has_a_meaning) {
  EXPECT_EQ(arguments(R"({"scriptFileName":"a.sh","arguments":"  --a   'b c' $(reboot) ; `x` | > \"q\"  "})"),
            (Words{"--action-install", "--a", "'b", "c'", "$(reboot)", ";", "`x`", "|", ">", "\"q\""}));
}

TEST(ScriptCall, component_values_are_filled_in) {
  const json::Object component{
      {"id", "m-1"}, {"name", "left motor"}, {"group", "motors"}, {"properties", json::Object{{"bus", "3"}}}};
  EXPECT_EQ(
      arguments(
          R"({"scriptFileName":"a.sh","arguments":"--id --component-id-val --n --component-name-val --component-model-val --component-prop-val bus --component-prop-val none end"})",
          component),
      (Words{"--action-install", "--id", "m-1", "--n", "left motor", "n/a", "3", "n/a", "end"}));
  EXPECT_EQ(arguments(R"({"scriptFileName":"a.sh","arguments":"--component-group-val --component-prop-val"})"),
            (Words{"--action-install", "n/a", "n/a"}));
}

TEST(ScriptCall, properties_that_break_a_rule_are_refused_with_their_name) {
  struct Case {
    std::string properties;
    std::uint32_t code;
    std::string says;
  };
  const std::string long_arguments = R"({"scriptFileName":"a.sh","arguments":")" + std::string(9000, 'x') + "\"}";
  std::string many;
  for (int i = 0; i < 300; ++i) many += "x ";
  for (const Case& c : {Case{"{}", erc::script_no_file_name, "scriptFileName"},
                        Case{R"({"scriptFileName":7})", erc::script_no_file_name, "scriptFileName"},
                        Case{R"({"scriptFileName":"../a.sh"})", erc::script_no_file_name, "plain"},
                        Case{R"({"scriptFileName":"/bin/sh"})", erc::script_no_file_name, "plain"},
                        Case{R"({"scriptFileName":"a.sh","apiVersion":"2.0"})", erc::handler_refused, "apiVersion"},
                        Case{R"({"scriptFileName":"a.sh","apiVersion":1})", erc::handler_refused, "apiVersion"},
                        Case{R"({"scriptFileName":"a.sh","arguments":["a"]})", erc::handler_refused, "arguments"},
                        Case{long_arguments, erc::handler_refused, "8192"},
                        Case{R"({"scriptFileName":"a.sh","arguments":")" + many + "\"}", erc::handler_refused, "256"},
                        Case{"[]", erc::handler_refused, "handlerProperties"}}) {
    const auto made = make_call(Action::install, c.properties, {});
    ASSERT_FALSE(made.call) << c.properties;
    EXPECT_EQ(made.refusal.extended_code, c.code) << made.refusal.details;
    EXPECT_NE(made.refusal.details.find(c.says), std::string::npos) << made.refusal.details;
  }
}

}  // namespace
}  // namespace godwit::step_script
