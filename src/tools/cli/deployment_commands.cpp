// device deployment create|list|show|list-devices|cancel|retry|delete
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "core/base/clock.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "core/model/text.hpp"
#include "tools/cli/app.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/update_flags.hpp"

namespace godwit::cli {
namespace {

constexpr auto kPollPause = std::chrono::milliseconds(500);

struct DeploymentFlags {
  std::string group{}, id{}, class_id{}, device{}, module{}, start{}, filter{}, order{};
  UpdateFlags update{};
  bool status = false;
  bool wait = false;
  int timeout_seconds = 3600;

  [[nodiscard]] std::string group_path() const { return "/management/groups/" + percent_encode(group); }
  [[nodiscard]] std::string path() const {
    return group_path() + (class_id.empty() ? "" : "/deviceClassSubgroups/" + percent_encode(class_id)) +
           "/deployments/" + percent_encode(id);
  }
};

void add_state_row(const json::Value& state, Table& table) {
  // Steps count from 0 on the wire, from 1 for people.
  const auto step = text_at(state, "godwit.step").empty() ? "" : std::to_string(number_at(state, "godwit.step") + 1);
  std::string code = text_at(state, "godwit.resultCode");
  if (const auto extended = text_at(state, "godwit.extendedResultCode"); !extended.empty() && extended != "00000000")
    code += " / " + extended;
  std::string details = text_at(state, "godwit.resultDetails");
  if (details.empty()) {
    if (const auto parsed = parse_extended_code(text_at(state, "godwit.extendedResultCode")); parsed && *parsed != 0)
      details = std::string(extended_code_text(*parsed));
  }
  table.add({text_at(state, "deviceId"), text_at(state, "deviceState"), text_at(state, "godwit.phase"), step,
             text_at(state, "retryCount"), code, details});
}

// Device states of every subgroup of the deployment, or of the one asked for.
Result<json::Array> device_states(Client& client, const DeploymentFlags& flags) {
  std::vector<std::string> classes;
  if (!flags.class_id.empty()) {
    classes.push_back(flags.class_id);
  } else {
    GODWIT_TRY(const auto deployment, client.get(client.device_update(flags.path())));
    if (const auto* list = deployment.as_object().if_contains("deviceClassSubgroups");
        list != nullptr && list->is_array())
      for (const auto& one : list->as_array()) classes.emplace_back(one.as_string());
  }
  json::Array all;
  Query query;
  if (!flags.filter.empty()) query.emplace_back("filter", flags.filter);
  for (const auto& one : classes) {
    GODWIT_TRY(auto states,
               client.get_all(client.device_update(flags.group_path() + "/deviceClassSubgroups/" + percent_encode(one) +
                                                   "/deployments/" + percent_encode(flags.id) + "/devicestates"),
                              query));
    all.insert(all.end(), states.begin(), states.end());
  }
  return all;
}

Result<int> list_devices(Context& context, const DeploymentFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto states, device_states(*client, flags));
  Table table({"DEVICE", "STATE", "PHASE", "STEP", "RETRIES", "CODE", "DETAILS"});
  for (const auto& state : states) add_state_row(state, table);
  context.show(states, table);
  return exit_code::ok;
}

Result<int> create(Context& context, const DeploymentFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  const std::string start = flags.start.empty() ? format_time(SystemClock().now()) : flags.start;
  const json::Object body{{"deploymentId", flags.id},
                          {"groupId", flags.group},
                          {"startDateTime", start},
                          {"update", json::Object{{"updateId", json::Object{{"provider", flags.update.provider},
                                                                            {"name", flags.update.name},
                                                                            {"version", flags.update.version}}}}}};
  GODWIT_TRY(const auto response, client->send("PUT", client->device_update(flags.path()), {}, json::print(body)));
  GODWIT_TRY(const auto deployment, json::parse_object(response.body));
  if (context.wants_json())
    context.show_json(deployment);
  else
    fmt::print("deployment {} of {}/{} {} to group {} starts {}\n", flags.id, flags.update.provider, flags.update.name,
               flags.update.version, flags.group, text_at(deployment, "startDateTime"));
  return exit_code::ok;
}

Result<int> list(Context& context, const DeploymentFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  Query query;
  if (!flags.order.empty()) query.emplace_back("orderby", flags.order);
  GODWIT_TRY(
      const auto deployments,
      client->get_all(client->device_update(
                          flags.group_path() +
                          (flags.class_id.empty() ? "" : "/deviceClassSubgroups/" + percent_encode(flags.class_id)) +
                          "/deployments"),
                      query));
  Table table({"DEPLOYMENT", "UPDATE", "START", "CANCELED", "RETRIED"});
  for (const auto& one : deployments)
    table.add({text_at(one, "deploymentId"), update_name(one.at("update")), text_at(one, "startDateTime").substr(0, 19),
               text_at(one, "isCanceled"), text_at(one, "isRetried")});
  context.show(deployments, table);
  return exit_code::ok;
}

std::string progress_text(const json::Value& state) {
  const auto phase = text_at(state, "godwit.phase");
  const auto device = text_at(state, "deviceId");
  const auto device_state = text_at(state, "deviceState");
  if (device_state != "InProgress") return device + "  " + device_state;
  if (phase.empty()) return device + "  offered";
  std::string text = device + "  " + phase;
  if (const auto steps = number_at(state, "godwit.steps"); steps > 0)
    text += fmt::format("  step {} of {}", number_at(state, "godwit.step") + 1, steps);
  if (const auto total = number_at(state, "godwit.totalBytes"); total > 0)
    text += fmt::format("  {} of {}", readable_size(static_cast<ByteCount>(number_at(state, "godwit.doneBytes"))),
                        readable_size(static_cast<ByteCount>(total)));
  if (const auto reason = text_at(state, "godwit.waitingFor"); !reason.empty()) text += "  waits: " + printable(reason);
  return text;
}

struct Counts {
  std::int64_t total = 0, running = 0, failed = 0, succeeded = 0, canceled = 0;
};

Counts count(const json::Value& status) {
  Counts counts;
  const auto* subgroups = status.as_object().if_contains("subgroupStatus");
  if (subgroups == nullptr || !subgroups->is_array()) return counts;
  for (const auto& one : subgroups->as_array()) {
    counts.total += number_at(one, "totalDevices");
    counts.running += number_at(one, "devicesInProgressCount");
    counts.failed += number_at(one, "devicesCompletedFailedCount");
    counts.succeeded += number_at(one, "devicesCompletedSucceededCount");
    counts.canceled += number_at(one, "devicesCanceledCount");
  }
  return counts;
}

/// One device is shown with its phase, several are counted.
Result<void> draw(ProgressLine& progress, Client& client, const DeploymentFlags& flags, const Counts& counts) {
  if (counts.total != 1) {
    progress.text(fmt::format("{}: {} in progress, {} succeeded, {} failed, {} canceled",
                              counted(counts.total, "device"), counts.running, counts.succeeded, counts.failed,
                              counts.canceled));
    return {};
  }
  GODWIT_TRY(const auto states, device_states(client, flags));
  if (states.empty()) return {};
  const auto total = number_at(states[0], "godwit.totalBytes");
  if (text_at(states[0], "godwit.phase") == "downloading" && total > 0)
    progress.bytes(text_at(states[0], "deviceId") + "  downloading",
                   static_cast<ByteCount>(number_at(states[0], "godwit.doneBytes")), static_cast<ByteCount>(total));
  else
    progress.text(progress_text(states[0]));
  return {};
}

// Follows the deployment until no device is in progress. The last answer is printed by the caller.
Result<int> wait(Client& client, const DeploymentFlags& flags) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(flags.timeout_seconds);
  ProgressLine progress;
  for (;;) {
    GODWIT_TRY(const auto status, client.get(client.device_update(flags.group_path() + "/deployments/" +
                                                                  percent_encode(flags.id) + "/status")));
    const Counts counts = count(status);
    GODWIT_TRY_VOID(draw(progress, client, flags, counts));
    if (counts.total > 0 && counts.running == 0)
      return counts.failed + counts.canceled > 0 ? exit_code::deployment_failed : exit_code::ok;
    if (std::chrono::steady_clock::now() > deadline) return exit_code::timed_out;
    std::this_thread::sleep_for(kPollPause);
  }
}

Result<int> show(Context& context, const DeploymentFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  int code = exit_code::ok;
  if (flags.wait) {
    GODWIT_TRY(code, wait(*client, flags));
  }
  GODWIT_TRY(const auto value,
             client->get(client->device_update(flags.path() + (flags.status || flags.wait ? "/status" : ""))));
  if (context.wants_json()) {
    context.show_json(value);
    return code;
  }
  if (!flags.status && !flags.wait) {
    Table table({"FIELD", "VALUE"});
    for (const auto* field : {"deploymentId", "groupId", "startDateTime", "isCanceled", "isRetried",
                              "isCloudInitiatedRollback", "deviceClassSubgroups"})
      if (const auto text = text_at(value, field); !text.empty()) table.add({field, text});
    table.add({"update", update_name(value.at("update"))});
    context.show(value, table);
    return code;
  }
  const Counts counts =
      flags.class_id.empty()
          ? count(value)
          : Counts{number_at(value, "totalDevices"), number_at(value, "devicesInProgressCount"),
                   number_at(value, "devicesCompletedFailedCount"), number_at(value, "devicesCompletedSucceededCount"),
                   number_at(value, "devicesCanceledCount")};
  fmt::print("deployment {}  {}  {}: {} succeeded, {} in progress, {} failed, {} canceled\n", flags.id,
             text_at(value, "deploymentState"), counted(counts.total, "device"), counts.succeeded, counts.running,
             counts.failed, counts.canceled);
  if (code == exit_code::deployment_failed || counts.failed > 0) {
    DeploymentFlags failed = flags;
    failed.filter = "deviceState eq 'Failed'";
    GODWIT_TRY(const auto states, device_states(*client, failed));
    Table table({"DEVICE", "STATE", "PHASE", "STEP", "RETRIES", "CODE", "DETAILS"});
    for (const auto& state : states) add_state_row(state, table);
    if (!states.empty()) std::fputs(table.print(0).c_str(), stdout);
  }
  if (code == exit_code::timed_out)
    fmt::print(stderr, "godwit: not ended after {} s; the deployment goes on\n", flags.timeout_seconds);
  return code;
}

/// Of the whole group, of one class, of one device or of one module.
std::string route_of(Client& client, const DeploymentFlags& flags, const std::string& verb) {
  if (!flags.class_id.empty()) return client.device_update(flags.path() + ":" + verb);
  std::string path = "/groups/" + percent_encode(flags.group) + "/deployments/" + percent_encode(flags.id);
  if (!flags.device.empty()) path += "/devices/" + percent_encode(flags.device);
  if (!flags.module.empty()) path += "/modules/" + percent_encode(flags.module);
  return client.godwit(path + ":" + verb);
}

Result<int> act(Context& context, const DeploymentFlags& flags, const std::string& verb) {
  GODWIT_TRY(auto* client, context.client());
  const std::string route = route_of(*client, flags, verb);
  GODWIT_TRY(const auto response, client->send("POST", route));
  GODWIT_TRY(const auto answer, json::parse(response.body.empty() ? "{}" : response.body));
  if (context.wants_json())
    context.show_json(answer);
  else
    fmt::print("{} of deployment {} in group {}{} was asked for\n", verb, flags.id, flags.group,
               flags.device.empty() ? "" : " on device " + flags.device);
  return exit_code::ok;
}

Result<int> remove(Context& context, const DeploymentFlags& flags) {
  GODWIT_TRY_VOID(context.confirm("Delete deployment '" + flags.id + "' and its history?"));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto gone, client->send("DELETE", client->device_update(flags.path())));
  (void)gone;
  if (!context.wants_json()) fmt::print("deleted deployment {}\n", flags.id);
  return exit_code::ok;
}

/// "contoso-toaster-1-0-20261122t101500": what a deployment id may hold, new with each second.
std::string deployment_id_for(const Rollout& rollout) {
  constexpr std::size_t kNameLimit = 56;
  std::string id;
  for (const char c : (rollout.provider + "-" + rollout.name + "-" + rollout.version).substr(0, kNameLimit))
    id += is_ascii_alphanumeric(c) ? to_lower(c) : '-';
  id += '-';
  for (const char c : format_time(SystemClock().now()).substr(0, 19))
    if (c != '-' && c != ':') id += to_lower(c);
  return id;
}

}  // namespace

Result<int> deploy_and_follow(Context& context, const Rollout& rollout) {
  DeploymentFlags flags;
  flags.group = rollout.group;
  flags.id = deployment_id_for(rollout);
  flags.update.provider = rollout.provider;
  flags.update.name = rollout.name;
  flags.update.version = rollout.version;
  flags.wait = true;
  flags.timeout_seconds = rollout.timeout_seconds;
  GODWIT_TRY(const int code, create(context, flags));
  return code == exit_code::ok ? show(context, flags) : Result<int>(code);
}

void add_deployment_commands(CLI::App& device, Context& context) {
  auto* deployment = device.add_subcommand("deployment", "Deployments of an update to a group");
  deployment->require_subcommand(1);
  const auto command = [&](const std::string& name, const std::string& help, bool wants_id,
                           Result<int> (*run_it)(Context&, const DeploymentFlags&)) {
    auto* sub = deployment->add_subcommand(name, help);
    auto flags = std::make_shared<DeploymentFlags>();
    sub->add_option("--group-id,--gid", flags->group, "Group id")->required();
    if (wants_id)
      sub->add_option("--deployment-id,--did", flags->id, "Deployment id: lower case, at most 73 characters")
          ->required();
    if (name != "create")
      sub->add_option("--class-id,--cid", flags->class_id, "Only the subgroup of this device class");
    sub->callback(
        [&context, flags, run_it] { context.action = [flags, run_it](Context& c) { return run_it(c, *flags); }; });
    return std::pair{sub, flags};
  };
  const auto made = command("create", "Deploy an update to a group", true, create);
  made.second->update.add_to(*made.first);
  made.first->add_option("--start-time", made.second->start, "ISO 8601 time; default: now");

  const auto listed = command("list", "List the deployments of a group", false, list);
  listed.first->add_option("--order-by", listed.second->order, "startDateTime [asc|desc]");

  const auto shown =
      command("show", "Show a deployment; --status for counts, --wait to follow it to its end", true, show);
  shown.first->add_flag("--status", shown.second->status, "Counts of devices by state");
  shown.first->add_flag("--wait", shown.second->wait,
                        "Follow until no device is in progress (exit 0 all succeeded, 3 some failed, 4 timed out)");
  shown.first->add_option("--timeout", shown.second->timeout_seconds, "Seconds to wait")
      ->check(CLI::Range(1, 7 * 24 * 3600))
      ->capture_default_str();

  const auto states = command("list-devices", "List the devices of a deployment with state, step, code and sentence",
                              true, list_devices);
  states.first->add_option("--filter", states.second->filter, "deviceState eq 'Failed'");
  const auto add_device = [](CLI::App* sub, DeploymentFlags& flags) {
    auto* option = sub->add_option("--device,--device-id", flags.device, "Only this device");
    option->excludes(sub->get_option("--class-id"));
    sub->add_option("--module,--module-id", flags.module, "The device's update agent that is this module")
        ->needs(option);
  };
  const auto canceled = command("cancel", "Cancel a deployment for the group, one class of it or one device", true,
                                [](Context& c, const DeploymentFlags& f) { return act(c, f, "cancel"); });
  add_device(canceled.first, *canceled.second);
  const auto retried =
      command("retry", "Try again on the devices that failed, or on one that failed or was cancelled alone", true,
              [](Context& c, const DeploymentFlags& f) { return act(c, f, "retry"); });
  add_device(retried.first, *retried.second);
  command("delete", "Delete a deployment that is no longer active", true, remove);
}

}  // namespace godwit::cli
