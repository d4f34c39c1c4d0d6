#include "device/installer/messages.hpp"

#include <gtest/gtest.h>

namespace godwit::installer {
namespace {

Result<Request> parse(std::string_view text) {
  const auto object = json::parse_object(text);
  GODWIT_CHECK(object.has_value());
  return parse_request(*object);
}

TEST(Messages, each_request_reads_back_as_it_was_written) {
  OpenRequest open{.workflow_id = "w-1",
                   .attempt = 2,
                   .manifest = "{\"a\":1}",
                   .signature = "x.y.z",
                   .root_key_package = "{}",
                   .detached_manifest = "d",
                   .components = {{"components", json::Array{}}}};
  const auto again = parse_request(to_json(Request{open}));
  ASSERT_TRUE(again) << again.error().message;
  const auto& read = std::get<OpenRequest>(*again);
  EXPECT_EQ(read.manifest, open.manifest);
  EXPECT_EQ(read.attempt, 2U);
  EXPECT_EQ(read.detached_manifest, "d");
  EXPECT_TRUE(read.components.contains("components"));
  const auto act = parse_request(to_json(
      Request{ActRequest{.workflow_id = "w", .attempt = 1, .step = 3, .verb = Verb::restore, .files_folder = "/a"}}));
  ASSERT_TRUE(act);
  EXPECT_EQ(std::get<ActRequest>(*act).verb, Verb::restore);
  EXPECT_EQ(std::get<ActRequest>(*act).step, 3U);
  EXPECT_FALSE(std::get<ActRequest>(*act).pieces);
  ActRequest with_pieces{.workflow_id = "w", .step = 0, .verb = Verb::install, .files_folder = "/f"};
  with_pieces.pieces = Pieces{.file_id = "f-1", .ranges = {{0, 5}, {7, 1}}};
  with_pieces.pieces_file = "pieces-1";
  const auto pieces = parse_request(to_json(Request{with_pieces}));
  ASSERT_TRUE(pieces) << pieces.error().message;
  EXPECT_EQ(std::get<ActRequest>(*pieces).pieces, with_pieces.pieces);
  EXPECT_EQ(std::get<ActRequest>(*pieces).pieces_file, "pieces-1");
  EXPECT_TRUE(std::holds_alternative<CancelRequest>(*parse_request(to_json(Request{CancelRequest{"w"}}))));
  EXPECT_TRUE(std::holds_alternative<CloseRequest>(*parse_request(to_json(Request{CloseRequest{"w"}}))));
  EXPECT_TRUE(std::holds_alternative<StatusRequest>(*parse_request(to_json(Request{StatusRequest{}}))));
}

TEST(Messages, requests_that_break_a_rule_are_refused_with_the_field) {
  for (
      const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
          {"{}", "op"},
          {R"({"op":"dance"})", "dance"},
          {R"({"op":7})", "op"},
          {R"({"op":"close"})", "workflow_id"},
          {R"({"op":"close","workflow_id":""})", "workflow_id"},
          {R"({"op":"close","workflow_id":"../../etc"})", "workflow_id"},
          {R"({"op":"close","workflow_id":"."})", "workflow_id"},
          {R"({"op":"close","workflow_id":")" + std::string(65, 'a') + "\"}", "64"},
          {R"({"op":"act","workflow_id":"w","attempt":0,"step":0,"verb":"install","files_folder":""})", "attempt"},
          {R"({"op":"act","workflow_id":"w","attempt":1,"step":-1,"verb":"install","files_folder":""})", "step"},
          {R"({"op":"act","workflow_id":"w","attempt":1,"step":100,"verb":"install","files_folder":""})", "step"},
          {R"({"op":"act","workflow_id":"w","attempt":1,"step":0,"verb":"format_disk","files_folder":""})", "verb"},
          {R"({"op":"act","workflow_id":"w","attempt":1,"step":0,"verb":"install","files_folder":"relative"})",
           "files_folder"},
          {R"({"op":"act","workflow_id":"w","attempt":1,"step":0,"verb":"install","files_folder":"","pieces":{"file":"f","in":"../p","ranges":[{"offset":0,"length":1}]}})",
           "pieces"},
          {R"({"op":"act","workflow_id":"w","attempt":1,"step":0,"verb":"install","files_folder":"","pieces":{"file":"f","in":"p","ranges":[]}})",
           "pieces"},
          {R"({"op":"act","workflow_id":"w","attempt":1,"step":0,"verb":"install","files_folder":"","pieces":{"file":"f","in":"p","ranges":[{"offset":0,"length":67108865}]}})",
           "pieces"},
          {R"({"op":"act","workflow_id":"w","attempt":1,"step":0,"verb":"install"})", "files_folder"},
          {R"({"op":"open","workflow_id":"w","attempt":1,"manifest":7})", "manifest"}}) {
    const auto refused = parse(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message.find(says), std::string::npos) << text << ": " << refused.error().message;
  }
}

TEST(Messages, each_reply_reads_back_as_it_was_written) {
  Plan plan{.update_id = {{"provider", "C"}},
            .steps = {{.index = 0,
                       .path = "step_0",
                       .handler = "a/b:1",
                       .files = {{.id = "f", .name = "n", .size = 7, .sha256 = "00"}},
                       .handler_properties = {{"secret", 1}}}}};
  const auto outcome = parse_reply(to_json(Reply{
      ActOutcome{.result_code = 600, .extended_codes = {0xFFFFFFFF}, .details = "d", .plan = plan, .recorded = true}}));
  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto& read = std::get<ActOutcome>(*outcome);
  EXPECT_EQ(read.extended_codes, std::vector<ExtendedCode>{0xFFFFFFFF});
  EXPECT_TRUE(read.recorded);
  ASSERT_TRUE(read.plan);
  EXPECT_EQ(read.plan->steps[0].files, plan.steps[0].files);
  EXPECT_TRUE(read.plan->steps[0].handler_properties.empty()) << "the agent gets no properties";
  EXPECT_EQ(parse_plan(to_json(plan, PlanDetail::whole))->steps[0].handler_properties,
            plan.steps[0].handler_properties);
  EXPECT_EQ(std::get<Progress>(*parse_reply(to_json(Reply{Progress{1, 2}}))).total, 2U);
  EXPECT_EQ(std::get<LogLine>(*parse_reply(to_json(Reply{LogLine{LogLevel::warning, "l"}}))).level, LogLevel::warning);
  EXPECT_EQ(std::get<Refusal>(*parse_reply(to_json(Reply{Refusal{Code::conflict, "m"}}))).code, Code::conflict);
}

TEST(Messages, replies_that_break_a_rule_are_refused) {
  for (const std::string_view text :
       {R"({})", R"({"event":"x"})", R"({"event":"outcome"})",
        R"({"event":"outcome","result_code":1,"extended_codes":[-1],"details":""})",
        R"({"event":"outcome","result_code":1,"extended_codes":[4294967296],"details":""})",
        R"({"event":"outcome","result_code":99999999999,"extended_codes":[],"details":""})",
        R"({"event":"outcome","result_code":1,"extended_codes":[],"details":"","plan":{"update_id":{},"steps":[]}})",
        R"({"event":"progress","done":-1,"total":1})"}) {
    const auto object = json::parse_object(text);
    ASSERT_TRUE(object);
    EXPECT_FALSE(parse_reply(*object)) << text;
  }
}

}  // namespace
}  // namespace godwit::installer
