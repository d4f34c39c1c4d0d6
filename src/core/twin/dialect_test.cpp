// Goal: what we write is what clients of each contract model expect, letter by letter; what we read forgives what they
// are known to do differently.
#include "core/twin/dialect.hpp"

#include <gtest/gtest.h>

#include "core/twin/twin.hpp"

namespace godwit::twin {
namespace {

json::Object object(std::string_view text) { return json::parse_object(text).value(); }

DesiredUpdate goal() {
  return {.action = Action::process_deployment,
          .workflow_id = "6f8b2f1e",
          .retry_timestamp = "",
          .root_key_package_url = "https://files.example/rootkeys.json",
          .manifest = R"({"manifestVersion":"5"})",
          .manifest_signature = "h.p.s",
          .file_urls = {{"f1", "https://files.example/f1"}, {"f2", "https://files.example/f2"}}};
}

TEST(DesiredPatch, for_model_3_holds_the_members_in_order) {
  EXPECT_EQ(
      json::print(desired_patch(goal(), ContractModel::v3, {})),
      R"({"deviceUpdate":{"__t":"c","service":{"workflow":{"action":3,"id":"6f8b2f1e"},"rootKeyPackageUrl":"https://files.example/rootkeys.json",)"
      R"("updateManifest":"{\"manifestVersion\":\"5\"}","updateManifestSignature":"h.p.s",)"
      R"("fileUrls":{"f1":"https://files.example/f1","f2":"https://files.example/f2"}}}})");
}

TEST(DesiredPatch, for_models_1_and_2_holds_known_keys_only) {
  for (const ContractModel model : {ContractModel::v1, ContractModel::v2}) {
    json::Object present = desired_patch(goal(), ContractModel::v3, {});  // left by an earlier agent of model 3
    present["deviceUpdate"].as_object()["service"].as_object()["workflow"].as_object()["extra"] = 1;
    merge_plain(present, desired_patch(goal(), model, present));
    const json::Object& service = present["deviceUpdate"].as_object()["service"].as_object();
    std::vector<std::string> keys;
    for (const auto& member : service) keys.emplace_back(member.key());
    EXPECT_EQ(keys, (std::vector<std::string>{"workflow", "updateManifest", "updateManifestSignature", "fileUrls"}));
    EXPECT_EQ(json::print(service.at("workflow").as_object()), R"({"action":3,"id":"6f8b2f1e"})");
    EXPECT_EQ(json::print(desired_patch(goal(), model, {})).find("rootKeyPackageUrl"), std::string::npos);
  }
}

TEST(DesiredPatch, merged_into_the_twin_makes_the_goal_so_whatever_was_there) {
  DesiredUpdate first = goal();
  first.retry_timestamp = "2026-11-22T10:15:00Z";
  first.file_urls = {{"old", "https://files.example/old"}, {"f1", "https://files.example/earlier"}};
  json::Object desired;
  merge_plain(desired, desired_patch(first, ContractModel::v3, desired));
  EXPECT_EQ(read_desired(desired).value(), first);
  const json::Object patch = desired_patch(goal(), ContractModel::v3, desired);
  EXPECT_TRUE(patch.at("deviceUpdate").at("service").at("fileUrls").at("old").is_null());
  EXPECT_TRUE(patch.at("deviceUpdate").at("service").at("workflow").at("retryTimestamp").is_null());
  merge_plain(desired, patch);
  EXPECT_EQ(read_desired(desired).value(), goal());
}

TEST(DesiredPatch, a_cancel_writes_the_workflow_only) {
  DesiredUpdate cancel = goal();
  cancel.action = Action::cancel;
  EXPECT_EQ(json::print(desired_patch(cancel, ContractModel::v3, {})),
            R"({"deviceUpdate":{"__t":"c","service":{"workflow":{"action":255,"id":"6f8b2f1e"}}}})");
  json::Object desired;
  merge_plain(desired, desired_patch(goal(), ContractModel::v3, desired));
  merge_plain(desired, desired_patch(cancel, ContractModel::v3, desired));
  EXPECT_EQ(read_desired(desired).value(), cancel);  // the rest of the deployment stays
}

TEST(ReadDesired, no_component_or_service_is_no_goal) {
  for (const char* text : {"{}", R"({"deviceUpdate":null})", R"({"deviceUpdate":{"__t":"c"}})",
                           R"({"deviceUpdate":{"service":null}})", R"({"deviceUpdate":{"service":{}}})"}) {
    const auto read = read_desired(object(text));
    ASSERT_TRUE(read) << text;
    EXPECT_FALSE(read->has_value()) << text;
  }
}

TEST(ReadDesired, nulls_and_missing_members_are_empty) {
  const auto read =
      read_desired(object(R"({"deviceUpdate":{"service":{"workflow":{"action":3,"id":"w"},"rootKeyPackageUrl":"u",
      "updateManifest":null,"fileUrls":{"a":null,"b":"x"},"later":1}}})"));
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->manifest, "");
  EXPECT_EQ((*read)->file_urls, (std::map<std::string, std::string>{{"b", "x"}}));
  const auto cancel = read_desired(
      object(R"({"deviceUpdate":{"service":{"workflow":{"action":255,"id":"nodeployment"},"fileUrls":null}}})"));
  ASSERT_TRUE(cancel);
  EXPECT_EQ((*cancel)->action, Action::cancel);
}

TEST(ReadDesired, what_is_wrong_is_named) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {R"({"deviceUpdate":7})", "desired.deviceUpdate must be an object"},
      {R"({"deviceUpdate":{"service":"x"}})", "deviceUpdate.service must be an object"},
      {R"({"deviceUpdate":{"service":{"updateManifest":"x"}}})", "service.workflow is missing"},
      {R"({"deviceUpdate":{"service":{"workflow":{"id":"w"}}}})", "workflow.action is missing"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":"3","id":"w"}}}})", "workflow.action must be an integer"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":1,"id":"w"}}}})", "action is 1, known are 3"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":3}}}})", "workflow.id is missing"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":3,"id":""}}}})", "workflow.id is empty"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":3,"id":"w"}}}})", "rootKeyPackageUrl is missing"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":3,"id":"w","retryTimestamp":5}}}})",
       "retryTimestamp must be a string"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":3,"id":"w"},"rootKeyPackageUrl":"u","updateManifest":{}}}})",
       "updateManifest must be a string"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":3,"id":"w"},"rootKeyPackageUrl":"u","fileUrls":[]}}})",
       "fileUrls must be an object"},
      {R"({"deviceUpdate":{"service":{"workflow":{"action":3,"id":"w"},"rootKeyPackageUrl":"u","fileUrls":{"f":1}}}})",
       "fileUrls.f is not a string"},
  };
  for (const auto& [text, fragment] : rows) {
    const auto read = read_desired(object(text));
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Code::bad_json);
    EXPECT_NE(read.error().message.find(fragment), std::string::npos) << read.error().message;
  }
}

// faults: 45; the id becomes a folder of the device
TEST(ReadDesired, a_workflow_id_that_is_no_plain_name_is_refused) {
  for (const std::string& id : {std::string(".."), std::string("."), std::string("../x"), std::string("a/b"),
                                std::string("a b"), std::string(129, 'x')}) {
    json::Object desired = desired_patch(goal(), ContractModel::v3, {});
    desired["deviceUpdate"].as_object()["service"].as_object()["workflow"].as_object()["id"] = id;
    EXPECT_FALSE(read_desired(desired)) << id;
  }
}

TEST(Reported, identity_looks_like_the_original_agents) {
  const AgentIdentity identity{
      .properties = {{"location", "plant7"}, {"manufacturer", "Contoso"}, {"model", "Toaster"}},
      .compat_property_names = {"manufacturer", "model"},
      .contract = ContractModel::v3,
      .agent_version = "Godwit;agent/0.1.0"};
  const json::Object patch = identity_patch(identity);
  EXPECT_EQ(
      json::print(patch),
      R"({"deviceUpdate":{"__t":"c","agent":{"deviceProperties":{"manufacturer":"Contoso","model":"Toaster","location":"plant7","interfaceId":null,)"
      R"("contractModelId":"dtmi:azure:iot:deviceUpdateContractModel;3","aduVer":"Godwit;agent/0.1.0"},"compatPropertyNames":"manufacturer,model"}}})");
  const ReportedAgent read = read_reported(patch);
  ASSERT_TRUE(read.identity) << read.identity_problem;
  EXPECT_EQ(read.identity->properties, identity.properties);
  EXPECT_EQ(read.identity->compat_property_names, identity.compat_property_names);
  EXPECT_EQ(read.identity->contract, ContractModel::v3);
  EXPECT_EQ(read.identity->agent_version, identity.agent_version);
  EXPECT_FALSE(read.report);
}

AgentReport success() {
  return {.state = AgentState::idle,
          .workflow_id = "6f8b",
          .action = Action::process_deployment,
          .retry_timestamp = "2026-11-22",
          .installed_update = UpdateId::parse("Contoso", "Toaster", "1.2.0").value(),
          .result = InstallResult{.result_code = result::apply_ok,
                                  .extended_codes = {0, 0xA0000FFF},
                                  .details = "",
                                  .steps = {{result::apply_ok, 0, ""}, {result::install_skipped, 0, "was there"}}},
          .progress = std::nullopt};
}

TEST(Reported, a_success_looks_like_the_original_agents) {
  EXPECT_EQ(
      json::print(report_patch(success())),
      R"({"deviceUpdate":{"__t":"c","agent":{"state":0,"workflow":{"action":3,"id":"6f8b","retryTimestamp":"2026-11-22"},)"
      R"("installedUpdateId":"{\"provider\":\"Contoso\",\"name\":\"Toaster\",\"version\":\"1.2.0\"}",)"
      R"("lastInstallResult":{"resultCode":700,"extendedResultCodes":"00000000,A0000FFF","resultDetails":"","stepResults":{)"
      R"("step_0":{"resultCode":700,"extendedResultCodes":"00000000","resultDetails":""},)"
      R"("step_1":{"resultCode":603,"extendedResultCodes":"00000000","resultDetails":"was there"}}}}},"godwit":{"progress":null}})");
}

TEST(Reported, a_report_merged_into_the_twin_is_read_back) {
  AgentReport running = success();
  running.state = AgentState::in_progress;
  running.result->result_code = result::in_progress;
  running.progress = Progress{.phase = "downloading", .step = 1, .steps = 2, .done_bytes = 10, .total_bytes = 20};
  json::Object reported;
  merge_plain(reported, report_patch(running));
  EXPECT_EQ(reported.at("deviceUpdate").at("agent").at("lastInstallResult").as_object().if_contains("stepResults"),
            nullptr);
  merge_plain(reported, progress_patch(Progress{
                            .phase = "installing", .step = 1, .steps = 2, .done_bytes = 20, .total_bytes = 20}));
  const ReportedAgent half = read_reported(reported);
  ASSERT_TRUE(half.report && half.report->progress);
  EXPECT_EQ(half.report->progress->phase, "installing");
  EXPECT_EQ(half.report->progress->done_bytes, 20);
  EXPECT_TRUE(half.report->result->steps.empty());

  AgentReport end = success();
  end.retry_timestamp = "";
  merge_plain(reported, report_patch(end));
  const ReportedAgent read = read_reported(reported);
  ASSERT_TRUE(read.report);
  EXPECT_EQ(read.report->state, AgentState::idle);
  EXPECT_EQ(read.report->workflow_id, "6f8b");
  EXPECT_EQ(read.report->retry_timestamp, "");
  EXPECT_EQ(read.report->installed_update, end.installed_update);
  EXPECT_EQ(read.report->result, end.result);
  EXPECT_FALSE(read.report->progress);
}

TEST(Reported, texts_and_code_lists_are_cut_to_what_the_wire_takes) {
  AgentReport report = success();
  report.result->details = std::string(5000, 'x');
  report.result->extended_codes.assign(20, 1);
  const json::Object patch = report_patch(report);
  const auto& result = patch.at("deviceUpdate").at("agent").at("lastInstallResult").as_object();
  EXPECT_EQ(result.at("resultDetails").as_string().size(), 1024U);
  EXPECT_EQ(result.at("extendedResultCodes").as_string().size(), 9U * 8 + 8);
  EXPECT_TRUE(check_patch(patch, Limits{}));
}

TEST(Reported, the_largest_report_is_within_the_limits_of_a_hub) {
  AgentReport report = success();
  report.result->details = std::string(5000, 'x');
  report.result->steps.assign(10, {.result_code = 700, .extended_code = 1, .details = std::string(5000, 'y')});
  const json::Object patch = report_patch(report);
  EXPECT_TRUE(check_patch(patch, Limits{})) << "32 KB for the section, 4 KB for a text";
  EXPECT_LT(json::print(patch).size(), 16U * 1024);
}

TEST(Reported, ack_echoes_the_goal_without_signature_and_urls) {
  EXPECT_EQ(
      json::print(ack_patch(goal(), 200, "", 17)),
      R"({"deviceUpdate":{"__t":"c","service":{"value":{"workflow":{"action":3,"id":"6f8b2f1e","retryTimestamp":null},)"
      R"("rootKeyPackageUrl":"https://files.example/rootkeys.json","updateManifest":"{\"manifestVersion\":\"5\"}","updateManifestSignature":null,"fileUrls":null},)"
      R"("ac":200,"ad":"","av":17}}})");
  EXPECT_EQ(read_reported(ack_patch(goal(), 406, "no", 17)).ack_status, 406);
}

TEST(ReadReported, the_embedded_clients_shape_is_understood) {
  // step_0 inside lastInstallResult, one numeric extendedResultCode, an empty ack value.
  const ReportedAgent read =
      read_reported(object(R"({"deviceUpdate":{"__t":"c","agent":{"deviceProperties":{"manufacturer":"C","model":"T",
      "contractModelId":"dtmi:azure:iot:deviceUpdateContractModel;2","aduVer":"DU;lib-v1.0.0","doVer":"DU;lib"},"compatPropertyNames":"manufacturer,model",
      "state":255,"workflow":{"action":3,"id":"w1"},"installedUpdateId":"{\"provider\":\"C\",\"name\":\"T\",\"version\":\"1.0\"}",
      "lastInstallResult":{"resultCode":0,"extendedResultCode":805306472,"resultDetails":"x","step_0":{"resultCode":"0","extendedResultCode":"-1","resultDetails":"y"}}},
      "service":{"ac":406,"av":2,"value":{}}}})"));
  ASSERT_TRUE(read.identity) << read.identity_problem;
  EXPECT_EQ(read.identity->contract, ContractModel::v2);
  ASSERT_TRUE(read.report && read.report->result);
  EXPECT_EQ(read.report->state, AgentState::failed);
  EXPECT_EQ(read.report->result->extended_codes, std::vector<ExtendedCode>{0x30000068});
  ASSERT_EQ(read.report->result->steps.size(), 1U);
  EXPECT_EQ(read.report->result->steps[0], (StepResult{0, 0xFFFFFFFF, "y"}));
  EXPECT_EQ(read.report->installed_update->version.str(), "1.0");
  EXPECT_EQ(read.ack_status, 406);
}

TEST(ReadReported, an_unusable_identity_says_why) {
  const std::string good =
      R"({"deviceUpdate":{"agent":{"deviceProperties":{"manufacturer":"C","model":"T","contractModelId":"dtmi:azure:iot:deviceUpdateContractModel;3"},"compatPropertyNames":"manufacturer, model"}}})";
  ASSERT_TRUE(read_reported(object(good)).identity);
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return object(text.replace(at, from.size(), to));
  };
  const std::vector<std::pair<json::Object, std::string>> rows = {
      {{}, "no deviceUpdate component"},
      {object(R"({"deviceUpdate":{"__t":"c"}})"), "no deviceUpdate.agent"},
      {object(R"({"deviceUpdate":{"agent":{}}})"), "deviceProperties is missing"},
      {with("contractModelId", "otherModelId"), "contractModelId is missing"},
      {with("Model;3", "Model;9"), "contract model"},
      {with("manufacturer, model\"", "manufacturer,colour\""), "names 'colour' but deviceProperties has no such value"},
      {with("manufacturer, model\"", "model,model\""), "'model' twice"},
      {with("manufacturer, model\"", "\""), "1 to 32"},
      {with("manufacturer, model\"", "manufacturer,\""), "1 to 32"},
      {with("manufacturer, model\"", "a,b,c,d,e,f\""), "more than 5"},
      {with("\"C\"", "\"\""), "deviceProperties.manufacturer is not 1 to 64"},
      {with("\"C\"", "5"), "no such value"},
  };
  for (const auto& [reported, fragment] : rows) {
    const ReportedAgent read = read_reported(reported);
    EXPECT_FALSE(read.identity) << fragment;
    EXPECT_NE(read.identity_problem.find(fragment), std::string::npos) << read.identity_problem;
  }
}

TEST(ReadReported, nonsense_is_left_out_and_bounded) {
  const ReportedAgent read = read_reported(
      object(R"({"deviceUpdate":{"agent":{"state":0,"workflow":7,"installedUpdateId":"{broken","lastInstallResult":{
      "resultCode":99999999999,"extendedResultCodes":"zz,80300009,","stepResults":{"step_1":{"resultCode":700},"step_4000000000":{},"step_x":{},"step_2":3}}}},
      "godwit":{"progress":{"phase":1,"step":-5}}})"));
  ASSERT_TRUE(read.report && read.report->result);
  EXPECT_EQ(read.report->workflow_id, "");
  EXPECT_FALSE(read.report->installed_update);
  EXPECT_EQ(read.report->result->result_code, result::failure);
  EXPECT_EQ(read.report->result->extended_codes, std::vector<ExtendedCode>{erc::bad_manifest});
  ASSERT_EQ(read.report->result->steps.size(), 2U);
  EXPECT_EQ(read.report->result->steps[0], StepResult{});
  EXPECT_EQ(read.report->result->steps[1].result_code, 700);
  EXPECT_EQ(read.report->progress->step, 0);
  for (const char* state : {"1", "7", "\"x\"", "null", "0.0"})
    EXPECT_FALSE(read_reported(object(R"({"deviceUpdate":{"agent":{"state":)" + std::string(state) + "}}}")).report)
        << state;
}

}  // namespace
}  // namespace godwit::twin
