#include "core/twin/diagnostics.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace godwit::twin {
namespace {

json::Object object(std::string_view text) { return json::parse_object(text).value(); }

TEST(Diagnostics, a_request_has_the_shape_that_existing_agents_read) {
  const LogRequest request{.operation_id = "op-1", .upload_url = "https://h/c?sig=x"};
  const json::Object patch = log_request_patch(request);
  EXPECT_EQ(
      json::print(patch),
      R"({"diagnosticInformation":{"__t":"c","service":{"operationId":"op-1","storageSasUrl":"https://h/c?sig=x"}}})");
  EXPECT_EQ(**read_log_request(patch), request);
}

TEST(Diagnostics, a_section_without_a_request_holds_none) {
  for (const char* text : {"{}", R"({"diagnosticInformation":null})", R"({"diagnosticInformation":{"__t":"c"}})",
                           R"({"diagnosticInformation":{"service":{}}})"})
    EXPECT_EQ(*read_log_request(object(text)), std::nullopt) << text;
}

TEST(Diagnostics, an_id_that_could_lead_out_of_a_folder_is_refused) {
  for (const std::string& id : std::vector<std::string>{"", ".", "..", "a/b", "a\\b", "a b", std::string(257, 'x')}) {
    EXPECT_NE(check_log_operation_id(id), "") << id;
    if (id.empty()) continue;
    json::Object service{{"operationId", id}, {"storageSasUrl", "https://h"}};
    const json::Object desired{{"diagnosticInformation", json::Object{{"service", std::move(service)}}}};
    EXPECT_FALSE(read_log_request(desired)) << id;
  }
  EXPECT_EQ(check_log_operation_id("Op-1.x_y~z"), "");
}

TEST(Diagnostics, an_outcome_comes_back_as_it_was_and_foreign_shapes_are_understood) {
  const LogOutcome outcome{.operation_id = "op-1", .result_code = log_code::no_logs, .details = "nothing in /var/log"};
  EXPECT_EQ(read_log_outcome(log_outcome_patch(outcome)), outcome);
  // The original agent has no details, and its number may be text.
  EXPECT_EQ(read_log_outcome(
                object(R"({"diagnosticInformation":{"__t":"c","agent":{"resultCode":"200","operationId":"op-1"}}})")),
            (LogOutcome{.operation_id = "op-1", .result_code = log_code::ok}));
  EXPECT_EQ(read_log_outcome(object(R"({"deviceUpdate":{}})")), std::nullopt);
  EXPECT_EQ(read_log_outcome(object(R"({"diagnosticInformation":{"agent":{"operationId":"x"}}})")), std::nullopt);
}

TEST(Diagnostics, the_acknowledgement_does_not_echo_the_credential) {
  const std::string text =
      json::print(log_ack_patch({.operation_id = "op-1", .upload_url = "https://h/c?sig=secret"}, 200, "", 7));
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_EQ(text,
            R"({"diagnosticInformation":{"__t":"c","service":{"value":{"operationId":"op-1","storageSasUrl":null},)"
            R"("ac":200,"ad":"","av":7}}})");
}

TEST(Diagnostics, every_code_has_words) {
  for (const std::int64_t code : {200, 0, -1, -2, -3, -4, -5, -6, -7, 42}) EXPECT_FALSE(log_code_words(code).empty());
  EXPECT_EQ(log_code_words(42), "the agent reports code 42");
}

}  // namespace
}  // namespace godwit::twin
