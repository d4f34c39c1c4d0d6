#include "device/extension/worker_messages.hpp"

#include <gtest/gtest.h>

namespace godwit::extension {
namespace {

Result<WorkerMessage> parse(std::string_view text) {
  const auto object = json::parse_object(text);
  GODWIT_CHECK(object.has_value());
  return parse_worker_message(*object);
}

TEST(WorkerMessages, each_message_reads_back_as_it_was_written) {
  const auto outcome = parse_worker_message(to_json(
      WorkerMessage{Outcome{.result_code = 600, .extended_code = 0xF0000001, .details = "ok", .answer = {{"a", 1}}}}));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(std::get<Outcome>(*outcome).extended_code, 0xF0000001U);
  EXPECT_EQ(std::get<Outcome>(*outcome).answer.at("a").as_int64(), 1);
  const auto progress = parse_worker_message(to_json(WorkerMessage{WorkerProgress{1, UINT64_MAX}}));
  ASSERT_TRUE(progress);
  EXPECT_EQ(std::get<WorkerProgress>(*progress).total, UINT64_MAX);
  const auto error = parse_worker_message(to_json(WorkerMessage{Error{Code::digest_mismatch, "changed"}}));
  ASSERT_TRUE(error);
  EXPECT_EQ(std::get<Error>(*error).code, Code::digest_mismatch);
}

TEST(WorkerMessages, what_breaks_the_contract_is_refused) {
  for (const std::string_view text :
       {R"({})", R"({"event":"dance"})", R"({"event":7})", R"({"event":"outcome"})",
        R"({"event":"outcome","result_code":600,"extended_code":0})",
        R"({"event":"outcome","result_code":99999,"extended_code":0,"details":""})",
        R"({"event":"outcome","result_code":-7,"extended_code":0,"details":""})",
        R"({"event":"outcome","result_code":600,"extended_code":4294967296,"details":""})",
        R"({"event":"outcome","result_code":"600","extended_code":0,"details":""})",
        R"({"event":"progress","done":-1,"total":2})", R"({"event":"progress","done":"x","total":2})",
        R"({"event":"progress"})", R"({"event":"error","code":0,"message":"fine"})",
        R"({"event":"error","code":77,"message":"?"})", R"({"event":"log","level":1})"})
    EXPECT_FALSE(parse(text)) << text;
}

TEST(WorkerMessages, a_result_code_must_belong_to_its_act) {
  const Registration step{.type = Type::step_handler, .id = "a/b:1", .path = {}, .sha256 = {}, .contract = {}};
  const auto check = [&](std::string_view verb, std::int32_t code) {
    return check_outcome(step, {{"verb", verb}}, Outcome{.result_code = code}).has_value();
  };
  EXPECT_TRUE(check("install", 605));
  EXPECT_TRUE(check("install", 0));
  EXPECT_TRUE(check("install", -1));
  EXPECT_FALSE(check("install", 700));
  EXPECT_FALSE(check("is_installed", 600));
  EXPECT_FALSE(check("is_installed", 902));
  EXPECT_FALSE(check("plan", 1));
}

TEST(WorkerMessages, calls_have_names_and_foreign_text_is_made_printable) {
  EXPECT_EQ(call_name({{"verb", "install"}, {"workflow_id", "w"}, {"attempt", 2}, {"step", 3}}), "w/2/3/install");
  EXPECT_EQ(call_name({{"verb", "plan"}}), "plan");
  EXPECT_EQ(printable("caf\xe9"), "caf?");
  EXPECT_EQ(printable("caf\xc3\xa9"), "caf\xc3\xa9");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a b");
}

}  // namespace
}  // namespace godwit::extension
