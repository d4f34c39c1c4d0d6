#include "server/service/inventory/placement.hpp"

#include <gtest/gtest.h>

namespace godwit::service {
namespace {

constexpr const char* kModel = "dtmi:azure:iot:deviceUpdateModel;3";

json::Object object(std::string_view text) { return json::parse_object(text).value(); }

const char* kGood =
    R"({"deviceUpdate":{"agent":{"deviceProperties":{"manufacturer":"Contoso","model":"Toaster","place":"x",
  "contractModelId":"dtmi:azure:iot:deviceUpdateContractModel;2"},"compatPropertyNames":"manufacturer,model"}}})";

Placement placed(std::string_view tags, std::string_view reported, const std::string& model_id = kModel) {
  const json::Object section = object(reported);
  return place(object(tags), section, twin::read_reported(section), model_id);
}

}  // namespace

TEST(Placement, class_and_group_come_from_properties_and_tag) {
  const Placement placement = placed(R"({"ADUGroup":"plant-7"})", kGood);
  ASSERT_TRUE(placement.device_class) << placement.problem;
  EXPECT_EQ(placement.group.str(), "plant-7");
  EXPECT_EQ(placement.device_class->compatibility,
            (CompatibilitySet{{"manufacturer", "Contoso"}, {"model", "Toaster"}}))
      << "only the named properties";
  EXPECT_EQ(placement.device_class->contract, ContractModel::v2);
  EXPECT_EQ(placed("{}", kGood).group.str(), "$default");
  EXPECT_EQ(placed(R"({"ADUGroup":null})", kGood).group.str(), "$default");
}

TEST(Placement, the_first_failed_check_is_named_with_a_sentence) {
  struct Case {
    std::string_view tags, reported;
    std::string model_id;
    std::string_view check;
  };
  const Case cases[] = {
      {"{}", "{}", "", health_check::model_id},
      {"{}", kGood, "not a model", health_check::model_id},
      {"{}",
       R"({"deviceUpdate":{"agent":{"deviceProperties":{"model":"T","contractModelId":"dtmi:azure:iot:deviceUpdateContractModel;9"},"compatPropertyNames":"model"}}})",
       kModel, health_check::interface_id},
      {"{}", "{}", kModel, health_check::compat_names},
      {"{}",
       R"({"deviceUpdate":{"agent":{"deviceProperties":{"model":"T","contractModelId":"dtmi:azure:iot:deviceUpdateContractModel;3"},"compatPropertyNames":"model,colour"}}})",
       kModel, health_check::compat_values},
      {R"({"ADUGroup":"two words"})", kGood, kModel, health_check::group},
      {R"({"ADUGroup":7})", kGood, kModel, health_check::group},
      {R"({"ADUGroup":"$default"})", kGood, kModel, health_check::group},
      {R"({"ADUGroup":"Uncategorized"})", kGood, kModel, health_check::group},
  };
  for (const Case& one : cases) {
    const Placement placement = placed(one.tags, one.reported, one.model_id);
    EXPECT_FALSE(placement.device_class) << one.check;
    EXPECT_EQ(placement.failed_check, one.check) << placement.problem;
    EXPECT_NE(placement.problem, "") << one.check;
  }
}

TEST(Placement, an_empty_model_id_is_forgiven_when_the_properties_are_usable) {
  EXPECT_TRUE(placed("{}", kGood, "").device_class);
}

TEST(Placement, model_ids_are_digital_twin_ids) {
  for (const char* good : {kModel, "dtmi:contoso:a_b:c2;999999999"}) EXPECT_TRUE(is_model_id(good)) << good;
  for (const char* bad : {"", "dtmi:", "dtmi:a", "dtmi:a;", "dtmi:a;0", "dtmi:a;01", "dtmi::a;1", "dtmi:1a;1",
                          "dtmi:a-b;1", "dtmi:a;x", "urn:a;1", "dtmi:a:;1"})
    EXPECT_FALSE(is_model_id(bad)) << bad;
}

}  // namespace godwit::service
