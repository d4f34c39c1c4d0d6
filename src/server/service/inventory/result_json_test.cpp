#include "server/service/inventory/result_json.hpp"

#include <gtest/gtest.h>

namespace godwit::service {
namespace {

InstallResult failed() {
  InstallResult result;
  result.result_code = result::failure;
  result.extended_codes = {0x30500205, 0xA0000005};
  result.details = "script said 5";
  result.steps = {{.result_code = 603, .extended_code = 0, .details = ""},
                  {.result_code = 0, .extended_code = 0x80000001, .details = "no"}};
  return result;
}

}  // namespace

TEST(ResultJson, a_stored_result_reads_back_equal) {
  EXPECT_EQ(read_result(store_result(failed())).value(), failed());
  EXPECT_EQ(read_result(store_result(InstallResult{})).value(), InstallResult{});
  EXPECT_FALSE(read_result("").value());
  EXPECT_FALSE(read_result(R"({"resultCode":1,"extendedCodes":["x"],"details":"","steps":[]})"));
}

TEST(ResultJson, the_api_shows_extended_codes_as_signed_numbers) {
  const auto object = api_result(failed());
  EXPECT_EQ(object.at("extendedResultCode").as_int64(), 810'549'765);
  EXPECT_EQ(object.at("stepResults").at(1).at("extendedResultCode").as_int64(), -2'147'483'647);
  EXPECT_FALSE(object.at("stepResults").at(0).as_object().contains("resultDetails")) << "absent rather than empty";
}

TEST(ResultJson, in_words_the_failed_step_and_every_code_are_named) {
  const auto object = explained_result(failed());
  EXPECT_EQ(object.at("failedStep").as_uint64(), 1U);
  EXPECT_EQ(object.at("extendedResultCodes").at(0).at("code").as_string(), "30500205");
  EXPECT_EQ(object.at("extendedResultCodes").at(0).at("text").as_string(), extended_code_text(0x30500205));
  EXPECT_FALSE(failed_step(InstallResult{.result_code = 700,
                                         .extended_codes = {},
                                         .details = "",
                                         .steps = {{.result_code = 0, .extended_code = 0, .details = ""}}}))
      << "a success has no failed step";
}

TEST(ResultJson, management_times_have_seven_digits_and_a_numeric_offset) {
  EXPECT_EQ(management_time(from_unix_ms(1'500)), "1970-01-01T00:00:01.5000000+00:00");
}

}  // namespace godwit::service
