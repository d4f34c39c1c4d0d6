#include "core/model/outcome.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(ExtendedCode, prints_eight_upper_case_digits_and_reads_back) {
  EXPECT_EQ(extended_code_hex(erc::script_bad_result), "30500205");
  EXPECT_EQ(extended_code_hex(0), "00000000");
  EXPECT_EQ(extended_code_hex(erc::signature_invalid), "A0200004");
  EXPECT_EQ(make_extended_code(10, 2, 4), erc::signature_invalid);
  EXPECT_EQ(parse_extended_code("a0200004").value(), erc::signature_invalid);
  EXPECT_EQ(parse_extended_code("0x1C").value(), erc::disk_full);
  for (const char* bad : {"", "0x", "123456789", "xyz", "12 ", "-1"}) EXPECT_FALSE(parse_extended_code(bad)) << bad;
}

TEST(ExtendedCode, every_code_of_ours_has_a_sentence) {
  for (const ExtendedCode code : {erc::hash_mismatch,
                                  erc::manifest_hash,
                                  erc::bad_manifest,
                                  erc::manifest_version,
                                  erc::detached_manifest,
                                  erc::no_root_key_url,
                                  erc::incompatible,
                                  erc::handler_missing,
                                  erc::handler_crashed,
                                  erc::handler_timed_out,
                                  erc::handler_contract,
                                  erc::handler_refused,
                                  erc::script_no_file_name,
                                  erc::script_bad_result,
                                  erc::script_no_code,
                                  erc::downloader_missing,
                                  erc::download_bad_url,
                                  erc::download_hash,
                                  erc::download_failed,
                                  erc::download_size,
                                  erc::disk_full,
                                  erc::signature_failed,
                                  erc::signature_structure,
                                  erc::signature_invalid,
                                  erc::root_key_disabled,
                                  erc::root_key_unknown,
                                  erc::signing_key_disabled,
                                  erc::root_package_download,
                                  erc::root_package_invalid,
                                  erc::root_package_rollback,
                                  erc::root_package_is_test,
                                  erc::installer_unreachable,
                                  erc::unexpected_state,
                                  erc::internal})
    EXPECT_FALSE(extended_code_text(code).empty()) << extended_code_hex(code);
}

TEST(ExtendedCode, families_share_a_sentence_and_unknown_numbers_have_none) {
  EXPECT_NE(extended_code_text(0x30501001).find("exit code"), std::string_view::npos);
  EXPECT_EQ(extended_code_text(0x30501001), extended_code_text(0x305010FF));
  EXPECT_NE(extended_code_text(0x40301007).find("curl"), std::string_view::npos);
  EXPECT_NE(extended_code_text(0x00000005).find("errno"), std::string_view::npos);
  EXPECT_NE(extended_code_text(erc::disk_full).find("no space"), std::string_view::npos);
  EXPECT_EQ(extended_code_text(0x30501100), "");
  EXPECT_EQ(extended_code_text(0x7FFFFFFF), "");
}

TEST(ResultCode, known_codes_have_a_sentence) {
  EXPECT_EQ(result_code_text(result::apply_ok), "The update was applied");
  EXPECT_EQ(result_code_text(result::cancelled), "The work was cancelled");
  EXPECT_EQ(result_code_text(12345), "");
}

TEST(ResultCode, a_restart_that_has_happened_leaves_the_same_success) {
  for (const std::int32_t code : {605, 606, 607, 608}) EXPECT_EQ(without_restart(code), result::install_ok);
  for (const std::int32_t code : {705, 706, 707, 708}) EXPECT_EQ(without_restart(code), result::apply_ok);
  EXPECT_EQ(without_restart(1105), result::restore_ok);
  for (const std::int32_t code : {-1, 0, 600, 603, 604, 900, 1101}) EXPECT_EQ(without_restart(code), code);
}

TEST(Details, are_cut_between_characters) {
  EXPECT_EQ(cut_details("short"), "short");
  EXPECT_EQ(cut_details("ab\xC3\xA4z", 4), "ab\xC3\xA4");
  EXPECT_EQ(cut_details("ab\xC3\xA4z", 3), "ab");
  EXPECT_EQ(cut_details("\xE2\x82\xAC", 2), "");
  EXPECT_EQ(cut_details(std::string(2000, 'x')).size(), kResultDetailsLimit);
}

TEST(States, have_the_names_of_the_api) {
  EXPECT_EQ(device_state_name(DeviceState::in_progress), "InProgress");
  EXPECT_EQ(parse_device_state("inprogress"), DeviceState::in_progress);
  EXPECT_EQ(parse_device_state("Canceled"), DeviceState::canceled);
  EXPECT_EQ(parse_device_state("Gone"), std::nullopt);
  EXPECT_EQ(deployment_state_name(DeploymentState::active_with_subgroup_failures), "ActiveWithSubgroupFailures");
}

}  // namespace
}  // namespace godwit
