#include "script_result.hpp"

#include <gtest/gtest.h>

#include "core/model/outcome.hpp"

namespace godwit::step_script {
namespace {

TEST(ScriptResult, a_result_file_is_read) {
  const auto file =
      parse_result_file(R"({"resultCode":0,"extendedResultCode":-1879048191,"resultDetails":"why","more":[1]})");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->result_code, 0);
  EXPECT_EQ(file->extended_code, 0x90000001U) << "a negative number is the same 32 bits";
  EXPECT_EQ(file->details, "why");
  EXPECT_EQ(parse_result_file(R"({"resultCode":0,"extendedResultCode":4294967295})")->extended_code, 0xFFFFFFFFU);
  EXPECT_EQ(parse_result_file(R"({"resultCode":600,"extendedResultCode":null,"resultDetails":null})")->result_code,
            600);
}

TEST(ScriptResult, every_malformed_shape_is_an_error) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("600"), std::string("[]"), std::string("{}"),
        std::string(R"({"resultCode":"600"})"), std::string(R"({"resultCode":600.5})"),
        std::string(R"({"resultCode":4294967296})"), std::string(R"({"resultCode":99999999999999999999})"),
        std::string(R"({"resultCode":600,"extendedResultCode":"x"})"),
        std::string(R"({"resultCode":600,"extendedResultCode":4294967296})"),
        std::string(R"({"resultCode":600,"resultDetails":7})"), std::string(R"({"resultCode":600,"resultCode":0})"),
        std::string("{\"resultCode\":600,\"resultDetails\":\"\xff\"}"), std::string(R"({"resultCode":600} x)"),
        R"({"resultCode":600,"x":")" + std::string(70000, 'x') + "\"}"})
    EXPECT_FALSE(parse_result_file(text)) << text.substr(0, 80);
}

struct Case {
  std::string name;
  Action action;
  ScriptEnd end;
  std::string file;  // "": none
  std::int32_t result_code;
  std::uint32_t extended_code;
  std::string says;
};

TEST(ScriptResult, exit_status_and_file_make_the_outcome) {
  const auto exit = [](int status) { return ScriptEnd{.exit_status = status, .last_output = "oops"}; };
  for (const Case& c : {
           Case{"good", Action::install, exit(0), R"({"resultCode":600})", 600, 0, ""},
           Case{"asks for a reboot", Action::apply, exit(0), R"({"resultCode":705})", 705, 0, ""},
           Case{"installed", Action::is_installed, exit(0), R"({"resultCode":900})", 900, 0, ""},
           Case{"not installed", Action::is_installed, exit(0), R"({"resultCode":901})", 901, 0, ""},
           Case{"a code of another family", Action::apply, exit(0), R"({"resultCode":600})", 700, 0, ""},
           Case{"is-installed answers something else", Action::is_installed, exit(0), R"({"resultCode":1})", 901, 0,
                ""},
           Case{"no file", Action::install, exit(0), "", 0, erc::script_bad_result, "oops"},
           Case{"bad file", Action::install, exit(0), "nope", 0, erc::script_bad_result, "install"},
           Case{"failure with a code", Action::install, exit(0),
                R"({"resultCode":0,"extendedResultCode":7,"resultDetails":"no valve"})", 0, 7,
                "no valve; it printed: oops"},
           Case{"failure without a code", Action::install, exit(0), R"({"resultCode":0})", 0, erc::script_no_code,
                "oops"},
           Case{"says cancelled though nobody asked", Action::install, exit(0), R"({"resultCode":-1})", 0,
                erc::script_no_code, "-1"},
           Case{"exit status beats the file", Action::install, exit(3),
                R"({"resultCode":600,"resultDetails":"half way"})", 0, 0x30501003,
                "status 3 during 'install': half way; it printed: oops"},
           Case{"highest exit status", Action::install, exit(255), "", 0, 0x305010FF, "255"},
           Case{"signal", Action::install, ScriptEnd{.signal = 11, .last_output = ""}, "", 0, 0x3050108B, "signal 11"},
           Case{"cancelled", Action::install, ScriptEnd{.signal = 15, .was_cancelled = true, .last_output = ""}, "", -1,
                0, "cancelled"},
           Case{"cancelled but ready", Action::install, ScriptEnd{.was_cancelled = true, .last_output = ""},
                R"({"resultCode":600})", 600, 0, ""},
       }) {
    const auto outcome =
        conclude(c.action, c.end,
                 c.file.empty() ? Result<ResultFile>(fail(Code::not_found, "the script did not write it"))
                                : parse_result_file(c.file));
    EXPECT_EQ(outcome.result_code, c.result_code) << c.name;
    EXPECT_EQ(outcome.extended_code, c.extended_code) << c.name;
    EXPECT_NE(outcome.details.find(c.says), std::string::npos) << c.name << ": " << outcome.details;
  }
}

}  // namespace
}  // namespace godwit::step_script
