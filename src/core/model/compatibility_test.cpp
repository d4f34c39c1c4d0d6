#include "core/model/compatibility.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(Compatibility, every_pair_of_a_set_must_match) {
  const CompatibilitySet device = {{"manufacturer", "Contoso"}, {"model", "Toaster"}, {"location", "plant7"}};
  EXPECT_TRUE(matches({{"manufacturer", "Contoso"}, {"model", "Toaster"}}, device));
  EXPECT_FALSE(matches({{"manufacturer", "Contoso"}, {"model", "Kettle"}}, device));
  EXPECT_FALSE(matches({{"manufacturer", "Contoso"}, {"colour", "red"}}, device));
  EXPECT_FALSE(matches({{"manufacturer", "contoso"}}, device));
  EXPECT_TRUE(matches_any({{{"model", "Kettle"}}, {{"model", "Toaster"}}}, device));
}

TEST(Compatibility, an_empty_set_fits_no_device) {
  EXPECT_FALSE(matches({}, {{"model", "Toaster"}}));
  EXPECT_FALSE(matches_any({}, {{"model", "Toaster"}}));
}

TEST(Compatibility, sets_are_read_within_their_limits) {
  struct Row {
    json::Value value;
    std::string fragment;
  };
  const std::vector<Row> rows = {
      {{{"manufacturer", "Contoso"}, {"model", "Toaster"}}, ""},
      {{{std::string(32, 'n'), std::string(64, 'v')}}, ""},
      {"text", "is not an object"},
      {json::Object{}, "0 properties"},
      {{{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}, {"e", "1"}, {"f", "1"}}, "6 properties"},
      {{{std::string(33, 'n'), "v"}}, "1 to 32"},
      {{{"n", std::string(65, 'v')}}, "1 to 64"},
      {{{"n", ""}}, "1 to 64"},
      {{{"n", 1}}, "not a string"},
  };
  for (const Row& row : rows) {
    const auto set = compatibility_set_from_json(row.value, "compatibility[0]");
    EXPECT_EQ(bool(set), row.fragment.empty()) << row.fragment;
    if (set)
      EXPECT_EQ(to_json(*set), row.value.as_object());
    else
      EXPECT_NE(set.error().message.find(row.fragment), std::string::npos) << set.error().message;
  }
}

TEST(ContractModel, ids_one_to_three_are_read_and_others_are_refused) {
  EXPECT_EQ(parse_contract_model("dtmi:azure:iot:deviceUpdateContractModel;1").value(), ContractModel::v1);
  EXPECT_EQ(parse_contract_model("dtmi:azure:iot:deviceUpdateContractModel;3").value(), ContractModel::v3);
  EXPECT_EQ(parse_contract_model("dtmi:azure:iot:deviceUpdateContractModel;4").error().code, Code::unsupported);
  EXPECT_FALSE(parse_contract_model("dtmi:azure:iot:deviceUpdateModel;3"));
  EXPECT_EQ(contract_model_id(ContractModel::v2), "dtmi:azure:iot:deviceUpdateContractModel;2");
  EXPECT_EQ(contract_model_name(ContractModel::v1), "Device Update Model V1");
}

// The expected digests were made with sha1sum over the canonical text of docs/reference/formats/device-class-id.md.
TEST(DeviceClass, id_is_the_sha1_of_the_canonical_form) {
  const DeviceClass toaster{.compatibility = {{"model", "Toaster"}, {"manufacturer", "Contoso"}},
                            .contract = ContractModel::v3};
  EXPECT_EQ(toaster.id(), "e384eb450f2e9c2aa342251958b8260ca4e78c74");
  EXPECT_NE(toaster.id(), (DeviceClass{toaster.compatibility, ContractModel::v2}.id()));
}

TEST(DeviceClass, shifting_text_between_name_and_value_changes_the_id) {
  EXPECT_NE((DeviceClass{.compatibility = {{"ab", "c"}}}.id()), (DeviceClass{.compatibility = {{"a", "bc"}}}.id()));
  EXPECT_NE((DeviceClass{.compatibility = {{"a", "b1:c1:d"}}}.id()),
            (DeviceClass{.compatibility = {{"a", "b"}, {"c", "d"}}}.id()));
}

}  // namespace
}  // namespace godwit
