#include "simulator_data.hpp"

#include <gtest/gtest.h>

namespace godwit::step_simulator {
namespace {

constexpr std::string_view kDocumented = R"({"version":"1.0",
 "download":{"file.bin":{"resultCode":500,"extendedResultCode":0,"resultDetails":""},"*":{"resultCode":0,"extendedResultCode":7}},
 "backup":{"resultCode":1000},
 "install":{"resultCode":600},"apply":{"resultCode":700},"restore":{"resultCode":1100},"cancel":{"resultCode":800},
 "isInstalled":{"1.2":{"resultCode":900},"*":{"resultCode":901,"extendedResultCode":0,"resultDetails":"no"}}})";

TEST(SimulatorData, the_documented_file_is_understood) {
  const auto data = parse_simulator_data(kDocumented);
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(answer_for(data->download, "file.bin")->outcome.result_code, 500);
  EXPECT_EQ(answer_for(data->download, "other.bin")->outcome.extended_code, 7U);
  EXPECT_EQ(answer_for(data->is_installed, "1.2")->outcome.result_code, 900);
  EXPECT_EQ(answer_for(data->is_installed, "1.3")->outcome.details, "no");
  EXPECT_EQ(data->backup->outcome.result_code, 1000);
  EXPECT_EQ(data->restore->outcome.result_code, 1100);
  EXPECT_EQ(data->cancel->outcome.result_code, 800);
}

TEST(SimulatorData, missing_sections_are_no_answers) {
  const auto data = parse_simulator_data(R"({"download":{"a":{"resultCode":503}},"install":null,"later":[1]})");
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(answer_for(data->download, "b"), nullptr);
  EXPECT_EQ(answer_for(data->is_installed, "1"), nullptr);
  EXPECT_FALSE(data->install || data->apply || data->backup || data->restore || data->cancel);
}

TEST(SimulatorData, a_map_may_be_one_plain_answer) {
  const auto data = parse_simulator_data(R"({"download":{"resultCode":0,"extendedResultCode":-1,"delaySeconds":3}})");
  ASSERT_TRUE(data) << data.error().message;
  const Answer* answer = answer_for(data->download, "any");
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->outcome.extended_code, 0xFFFFFFFFU);
  EXPECT_EQ(answer->delay_seconds, 3);
}

TEST(SimulatorData, a_bad_member_is_named) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[]", "object"},
      {"{\"install\":600}", "install is no object"},
      {"{\"install\":{}}", "install.resultCode is missing"},
      {"{\"install\":{\"resultCode\":\"600\"}}", "install"},
      {"{\"install\":{\"resultCode\":600.5}}", "install"},
      {"{\"install\":{\"resultCode\":2147483648}}", "install.resultCode is 2147483648"},
      {"{\"install\":{\"resultCode\":0,\"extendedResultCode\":4294967296}}", "install.extendedResultCode"},
      {"{\"install\":{\"resultCode\":600,\"delaySeconds\":3601}}", "install.delaySeconds"},
      {"{\"install\":{\"resultCode\":600,\"resultDetails\":[]}}", "resultDetails"},
      {"{\"isInstalled\":{\"1.0\":900}}", "isInstalled[\"1.0\"] is no object"},
      {"{\"install\":{\"resultCode\":1,\"resultCode\":2}}", "resultCode"},
  };
  for (const auto& [text, says] : cases) {
    const auto data = parse_simulator_data(text);
    ASSERT_FALSE(data) << text;
    EXPECT_NE(data.error().message.find(says), std::string::npos) << text << ": " << data.error().message;
  }
  EXPECT_FALSE(parse_simulator_data("{\"x\":\"" + std::string(kDataFileLimit, 'x') + "\"}"));
}

}  // namespace
}  // namespace godwit::step_simulator
