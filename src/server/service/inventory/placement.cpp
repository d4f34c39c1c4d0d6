#include "server/service/inventory/placement.hpp"

#include <algorithm>

#include "core/model/text.hpp"

namespace godwit::service {
namespace {

struct Group {
  GroupId id;
  std::string problem{};
};

Group read_group(const json::Object& tags) {
  const GroupId none = *GroupId::parse(kDefaultGroup);
  const json::Value* tag = json::find(tags, "ADUGroup");
  if (tag == nullptr || tag->is_null()) return {.id = none};
  if (!tag->is_string()) return {.id = none, .problem = "the tag ADUGroup is not a string"};
  const std::string_view text = tag->as_string();
  if (text == kDefaultGroup)
    return {.id = none, .problem = "the tag ADUGroup is '$default', which is the name of the group without a tag"};
  auto id = GroupId::parse(text, "the tag ADUGroup");
  if (!id) return {.id = none, .problem = id.error().message};
  return {.id = *std::move(id)};
}

const json::Object* agent_section(const json::Object& reported) {
  const json::Object* component = json::object_or_null(reported, "deviceUpdate");
  return component == nullptr ? nullptr : json::object_or_null(*component, "agent");
}

/// Which check the missing identity fails: names or values.
std::string_view identity_check(const json::Object& reported) {
  const json::Object* agent = agent_section(reported);
  return agent != nullptr && json::find(*agent, "compatPropertyNames") != nullptr ? health_check::compat_values
                                                                                  : health_check::compat_names;
}

/// "" if the contract model that the device reports is one of ours, or absent.
std::string contract_problem(const json::Object& reported) {
  const json::Object* agent = agent_section(reported);
  const json::Object* properties = agent == nullptr ? nullptr : json::object_or_null(*agent, "deviceProperties");
  if (properties == nullptr) return {};
  const json::Value* model = json::find(*properties, "contractModelId");
  if (model == nullptr || model->is_null()) return {};
  if (!model->is_string()) return "contractModelId is not a string";
  const auto parsed = parse_contract_model(std::string_view(model->as_string()));
  return parsed ? std::string{} : parsed.error().message;
}

CompatibilitySet compatibility_of(const twin::AgentIdentity& identity) {
  CompatibilitySet set;
  for (const std::string& name : identity.compat_property_names)
    if (const auto value = identity.properties.find(name); value != identity.properties.end()) set.insert(*value);
  return set;
}

}  // namespace

bool is_model_id(std::string_view text) {
  const auto semicolon = text.rfind(';');
  if (text.size() > 2048 || !text.starts_with("dtmi:") || semicolon == std::string_view::npos) return false;
  const std::string_view version = text.substr(semicolon + 1);
  if (version.empty() || version.size() > 9 || version.front() == '0' ||
      !std::all_of(version.begin(), version.end(), is_ascii_digit))
    return false;
  std::string_view path = text.substr(5, semicolon - 5);
  for (;;) {
    const auto colon = path.find(':');
    const std::string_view segment = path.substr(0, colon);
    if (segment.empty() || is_ascii_digit(segment.front())) return false;
    if (!std::all_of(segment.begin(), segment.end(), [](char c) { return is_ascii_alphanumeric(c) || c == '_'; }))
      return false;
    if (colon == std::string_view::npos) return true;
    path.remove_prefix(colon + 1);
  }
}

Placement place(const json::Object& tags, const json::Object& reported, const twin::ReportedAgent& agent,
                const std::string& model_id) {
  Group group = read_group(tags);
  Placement placement{.group = std::move(group.id)};
  const auto unhealthy = [&placement](std::string_view check, std::string problem) {
    placement.failed_check = std::string(check);
    placement.problem = std::move(problem);
  };
  if (model_id.empty() && !agent.identity) {
    unhealthy(health_check::model_id,
              "the device has announced no model id and reported no properties; it may never have connected");
  } else if (!model_id.empty() && !is_model_id(model_id)) {
    unhealthy(health_check::model_id,
              "the model id '" + model_id.substr(0, 200) +
                  "' is not a digital twin model id such as dtmi:azure:iot:deviceUpdateModel;3");
  } else if (std::string problem = contract_problem(reported); !problem.empty()) {
    unhealthy(health_check::interface_id, std::move(problem));
  } else if (!agent.identity) {
    unhealthy(identity_check(reported),
              agent.identity_problem.empty() ? "the device has not reported its properties" : agent.identity_problem);
  } else if (!group.problem.empty()) {
    unhealthy(health_check::group, std::move(group.problem));
  } else {
    placement.device_class =
        DeviceClass{.compatibility = compatibility_of(*agent.identity), .contract = agent.identity->contract};
  }
  return placement;
}

}  // namespace godwit::service
