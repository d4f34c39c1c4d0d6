// device list|show, device group list|show|delete, device class list|show, device compliance show
#include <fmt/format.h>

#include "core/model/outcome.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

struct ListFlags {
  std::string filter{}, group{}, order{};
};

Result<int> list_devices(Context& context, const ListFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  Query query;
  std::string filter = flags.filter;
  if (filter.empty() && !flags.group.empty()) filter = "groupId eq '" + flags.group + "'";
  if (!filter.empty()) query.emplace_back("filter", filter);
  GODWIT_TRY(const auto devices, client->get_all(client->device_update("/management/devices"), query));
  Table table({"DEVICE", "GROUP", "INSTALLED", "LATEST", "DEPLOYMENT", "STATE", "CLASS"});
  for (const auto& device : devices)
    table.add(
        {text_at(device, "deviceId"), text_at(device, "groupId"),
         update_name(device.as_object().contains("installedUpdate") ? device.at("installedUpdate") : json::Value()),
         text_at(device, "onLatestUpdate") == "true" ? "yes" : "no", text_at(device, "lastDeploymentId"),
         text_at(device, "deploymentStatus"), text_at(device, "deviceClassId").substr(0, 12)});
  context.show(devices, table);
  return exit_code::ok;
}

/// One row for each text or number inside `value`, named by the way to it; what is empty is left out.
void add_members(const json::Value& value, const std::string& name, Table& table) {
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object)
      add_members(member.value(), name.empty() ? std::string(member.key()) : name + "." + std::string(member.key()),
                  table);
  } else if (const auto* list = value.if_array(); list != nullptr && !list->empty() && list->front().is_object()) {
    for (std::size_t i = 0; i < list->size(); ++i) add_members((*list)[i], fmt::format("{}[{}]", name, i), table);
  } else if (const auto* text = value.if_string()) {
    table.add({name, std::string(*text)});
  } else if (!value.is_null() && (list == nullptr || !list->empty())) {
    table.add({name, json::print(value)});
  }
}

Result<int> show_at(Context& context, const std::function<std::string(Client&)>& route) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto value, client->get(route(*client)));
  Table table({"FIELD", "VALUE"});
  add_members(value, "", table);
  context.show(value, table);
  return exit_code::ok;
}

std::string state_words(std::int64_t state) {
  switch (static_cast<AgentState>(state)) {
    case AgentState::idle: return "idle";
    case AgentState::in_progress: return "in progress";
    case AgentState::failed: return "failed";
  }
  return std::to_string(state);
}

/// What is known of the device, then what it reported, the newest first, a line each.
Result<int> show_device(Context& context, const std::string& id) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(auto value, client->get(client->godwit("/devices/" + percent_encode(id))));
  if (context.wants_json() || !value.is_object()) {
    context.show_json(value);
    return exit_code::ok;
  }
  json::Array reports;
  if (auto* found = value.as_object().if_contains("reports"); found != nullptr && found->is_array())
    reports = std::move(found->as_array());
  value.as_object().erase("reports");
  Table fields({"FIELD", "VALUE"});
  add_members(value, "", fields);
  context.show(value, fields);
  if (reports.empty()) return exit_code::ok;
  Table table({"REPORTED AT", "WORKFLOW", "STATE", "RESULT", "WHAT BECAME OF IT"});
  for (const auto& report : reports)
    table.add({text_at(report, "time").substr(0, 19), text_at(report, "workflowId").substr(0, 8),
               state_words(number_at(report, "report.state")), text_at(report, "report.result.resultCode"),
               text_at(report, "verdict")});
  fmt::print("\n");
  context.show(reports, table);
  return exit_code::ok;
}

Result<int> list_groups(Context& context, const ListFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  Query query;
  if (!flags.order.empty()) query.emplace_back("orderby", flags.order);
  GODWIT_TRY(const auto groups, client->get_all(client->device_update("/management/groups"), query));
  Table table({"GROUP", "DEVICES", "ON LATEST", "IN PROGRESS", "NEW UPDATES", "ACTIVE DEPLOYMENTS"});
  for (const auto& group : groups) {
    std::string active;
    if (const auto* list = group.as_object().if_contains("deployments"); list != nullptr && list->is_array())
      for (const auto& id : list->as_array()) active += (active.empty() ? "" : ", ") + std::string(id.as_string());
    table.add({text_at(group, "groupId"), text_at(group, "deviceCount"),
               text_at(group, "subgroupsWithOnLatestUpdateCount"),
               text_at(group, "subgroupsWithUpdatesInProgressCount"),
               text_at(group, "subgroupsWithNewUpdatesAvailableCount"), active});
  }
  context.show(groups, table);
  return exit_code::ok;
}

Result<int> list_classes(Context& context) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto classes, client->get_all(client->device_update("/management/deviceClasses")));
  Table table({"CLASS", "NAME", "COMPATIBILITY", "BEST UPDATE"});
  for (const auto& one : classes)
    table.add({text_at(one, "deviceClassId"), text_at(one, "friendlyName"),
               text_at(one, "deviceClassProperties.compatProperties"),
               update_name(one.as_object().contains("bestCompatibleUpdate") ? one.at("bestCompatibleUpdate")
                                                                            : json::Value())});
  context.show(classes, table);
  return exit_code::ok;
}

Result<int> show_compliance(Context& context, const std::string& group) {
  GODWIT_TRY(auto* client, context.client());
  struct Line {
    std::string name;
    json::Value value;
  };
  std::vector<Line> lines;
  if (group.empty()) {
    GODWIT_TRY(auto whole, client->get(client->device_update("/management/updateCompliance")));
    lines.push_back({"(all)", std::move(whole)});
  }
  GODWIT_TRY(const auto groups, client->get_all(client->device_update("/management/groups")));
  for (const auto& one : groups) {
    const auto id = text_at(one, "groupId");
    if (!group.empty() && id != group) continue;
    GODWIT_TRY(auto part,
               client->get(client->device_update("/management/groups/" + percent_encode(id) + "/updateCompliance")));
    lines.push_back({id, std::move(part)});
  }
  if (lines.empty())
    return fail(Code::not_found, "there is no group '" + group + "'; godwit device group list shows them");
  Table table({"GROUP", "DEVICES", "ON LATEST", "IN PROGRESS", "NEW UPDATES", "COMPLIANT"});
  json::Object all;
  for (const auto& line : lines) {
    const auto total = number_at(line.value, "totalDeviceCount");
    const auto latest = number_at(line.value, "onLatestUpdateDeviceCount");
    table.add({line.name, std::to_string(total), std::to_string(latest),
               text_at(line.value, "updatesInProgressDeviceCount"),
               text_at(line.value, "newUpdatesAvailableDeviceCount"),
               total == 0 ? "-" : fmt::format("{} %", latest * 100 / total)});
    all[line.name] = line.value;
  }
  context.show(all, table);
  return exit_code::ok;
}

Result<int> delete_group(Context& context, const std::string& group) {
  GODWIT_TRY_VOID(context.confirm("Delete group '" + group + "' and its deployment history?"));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto gone,
             client->send("DELETE", client->device_update("/management/groups/" + percent_encode(group))));
  (void)gone;
  if (!context.wants_json()) fmt::print("deleted group {}\n", group);
  return exit_code::ok;
}

void add_group_commands(CLI::App& device, Context& context) {
  auto* group = device.add_subcommand("group", "Groups, made by the twin tag ADUGroup");
  group->require_subcommand(1);
  auto* list = group->add_subcommand("list", "List groups");
  auto flags = std::make_shared<ListFlags>();
  list->add_option("--order-by", flags->order, "groupId, deviceCount, createdDateTime ... [asc|desc]");
  list->callback([&context, flags] { context.action = [flags](Context& c) { return list_groups(c, *flags); }; });
  auto id = std::make_shared<std::string>();
  auto* show = group->add_subcommand("show", "Show one group");
  show->add_option("--group-id,--gid", *id, "Group id")->required();
  show->callback([&context, id] {
    context.action = [id](Context& c) {
      return show_at(
          c, [id](Client& client) { return client.device_update("/management/groups/" + percent_encode(*id)); });
    };
  });
  auto* remove = group->add_subcommand("delete", "Delete an empty group");
  remove->add_option("--group-id,--gid", *id, "Group id")->required();
  remove->callback([&context, id] { context.action = [id](Context& c) { return delete_group(c, *id); }; });
}

}  // namespace

void add_device_commands(CLI::App& root, Context& context) {
  auto* device = root.add_subcommand("device", "Devices, groups, classes, deployments, compliance");
  device->require_subcommand(1);
  auto* list = device->add_subcommand("list", "List devices");
  auto flags = std::make_shared<ListFlags>();
  list->add_option("--filter", flags->filter, "groupId eq 'g' and deploymentStatus eq 'Failed'");
  list->add_option("--group-id,--gid", flags->group, "Only this group")->excludes("--filter");
  list->callback([&context, flags] { context.action = [flags](Context& c) { return list_devices(c, *flags); }; });

  auto* show = device->add_subcommand("show", "Show one device: installed update, progress, last result in words");
  auto id = std::make_shared<std::string>();
  show->add_option("--device-id,-d", *id, "Device id")->required();
  show->callback([&context, id] { context.action = [id](Context& c) { return show_device(c, *id); }; });
  add_group_commands(*device, context);

  auto* classes = device->add_subcommand("class", "Device classes");
  classes->require_subcommand(1);
  classes->add_subcommand("list", "List device classes")->callback([&context] {
    context.action = [](Context& c) { return list_classes(c); };
  });
  auto class_id = std::make_shared<std::string>();
  auto* class_show = classes->add_subcommand("show", "Show one device class");
  class_show->add_option("--class-id,--cid", *class_id, "Class id")->required();
  class_show->callback([&context, class_id] {
    context.action = [class_id](Context& c) {
      return show_at(c, [class_id](Client& client) {
        return client.device_update("/management/deviceClasses/" + percent_encode(*class_id));
      });
    };
  });

  auto* compliance = device->add_subcommand("compliance", "How many devices have what they should have");
  compliance->require_subcommand(1);
  auto* compliance_show = compliance->add_subcommand("show", "Counts for all devices and for each group");
  auto group = std::make_shared<std::string>();
  compliance_show->add_option("--group-id,--gid", *group, "Only this group");
  compliance_show->callback(
      [&context, group] { context.action = [group](Context& c) { return show_compliance(c, *group); }; });

  add_message_commands(*device, context);
  add_deployment_commands(*device, context);
  add_log_commands(*device, context);
}

}  // namespace godwit::cli
