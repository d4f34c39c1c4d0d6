// device log collect|list|show|download|delete
#include <fmt/format.h>

#include <map>

#include "core/base/file.hpp"
#include "core/base/text.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

constexpr const char* kCollections = "/management/deviceDiagnostics/logCollections";

struct LogFlags {
  std::string id{};
  std::vector<std::string> agents{};
  std::string description{};
  std::string folder = ".";
  bool is_detailed = false;
};

std::string collection_path(const Client& client, const LogFlags& flags, std::string_view rest = {}) {
  return client.device_update(kCollections + ("/" + percent_encode(flags.id)) + std::string(rest));
}

/// "deviceId=a", "deviceId=a moduleId=m" or just "a".
Result<json::Object> read_agent(const std::string& text) {
  json::Object agent;
  std::string_view rest = trimmed(text);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest = trimmed(rest.substr(end));
    const std::size_t equals = word.find('=');
    const std::string_view name = equals == std::string_view::npos ? "deviceId" : word.substr(0, equals);
    if (name != "deviceId" && name != "moduleId")
      return fail(Code::invalid_argument,
                  "--agent-id '" + text + "': write \"deviceId=a\" or \"deviceId=a moduleId=m\"");
    agent[name] = word.substr(equals == std::string_view::npos ? 0 : equals + 1);
  }
  if (!agent.contains("deviceId")) return fail(Code::invalid_argument, "--agent-id '" + text + "' names no deviceId");
  return agent;
}

Result<int> collect(Context& context, const LogFlags& flags) {
  json::Array agents;
  for (const auto& text : flags.agents) {
    GODWIT_TRY(auto agent, read_agent(text));
    agents.emplace_back(std::move(agent));
  }
  GODWIT_TRY(auto* client, context.client());
  const json::Object wish{{"deviceList", std::move(agents)}, {"description", flags.description}};
  GODWIT_TRY(const auto response, client->send("PUT", collection_path(*client, flags), {}, json::print(wish)));
  GODWIT_TRY(const auto made, json::parse_object(response.body));
  if (context.wants_json())
    context.show_json(made);
  else
    fmt::print(
        "asked {} for their logs; godwit device log show --log-collection-id {} --detailed tells how far "
        "they are\n",
        counted(static_cast<std::int64_t>(flags.agents.size()), "device"), flags.id);
  return exit_code::ok;
}

Result<int> list(Context& context, const LogFlags&) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(auto collections, client->get_all(client->device_update(kCollections)));
  Table table({"COLLECTION", "STATUS", "DEVICES", "STARTED", "DESCRIPTION"});
  for (const auto& one : collections) {
    const auto* devices = json::find(one.get_object(), "deviceList");
    const std::size_t count = devices != nullptr && devices->is_array() ? devices->get_array().size() : 0;
    table.add({text_at(one, "operationId"), text_at(one, "status"), std::to_string(count),
               text_at(one, "createdDateTime").substr(0, 19), text_at(one, "description")});
  }
  context.show(json::Value(std::move(collections)), table);
  return exit_code::ok;
}

Result<int> show(Context& context, const LogFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto body, client->get(collection_path(*client, flags, flags.is_detailed ? "/detailedStatus" : "")));
  if (!flags.is_detailed || context.wants_json()) {
    context.show_json(body);
    return exit_code::ok;
  }
  Table table({"DEVICE", "MODULE", "STATUS", "CODE", "FILES", "SIZE", "DETAILS"});
  GODWIT_TRY(const auto* devices, json::array(body.get_object(), "deviceStatus", "the answer"));
  for (const auto& device : *devices)
    table.add({text_at(device, "deviceId"), text_at(device, "moduleId"), text_at(device, "status"),
               text_at(device, "resultCode"), std::to_string(number_at(device, "godwit.fileCount")),
               readable_size(static_cast<ByteCount>(number_at(device, "godwit.byteCount"))),
               text_at(device, "godwit.details")});
  fmt::print("{} is {}\n", flags.id, text_at(body, "status"));
  context.show(body, table);
  return exit_code::ok;
}

/// Below `folder`, by the names that the devices gave; a name that would lead out of it is refused.
Result<Path> target_of(const Path& folder, const json::Value& file) {
  Path path = folder;
  const std::string name = text_at(file, "name");
  std::string_view rest = name;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    if (!is_plain_file_name(rest.substr(0, end)))
      return fail(Code::refused, "a device named a log '" + printable(name) +
                                     "', which is no plain path; nothing was "
                                     "written for it");
    path /= rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return path;
}

Result<int> download(Context& context, const LogFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  const std::string base = client->godwit("/logCollections/" + percent_encode(flags.id) + "/files");
  GODWIT_TRY(const auto files, client->get_all(base));
  ByteCount bytes = 0;
  for (const auto& file : files) {
    GODWIT_TRY(const Path path, target_of(flags.folder, file));
    GODWIT_TRY(const auto response, client->send("GET", base + "/" + percent_encode(text_at(file, "fileId"))));
    if (hex_encode(sha256(response.body)) != text_at(file, "sha256"))
      return fail(Code::digest_mismatch,
                  "what came of '" + printable(text_at(file, "name")) + "' is not what was kept");
    GODWIT_TRY_VOID(make_folders(path.parent_path(), 0755));
    GODWIT_TRY_VOID(write_file_durably(path, response.body));
    bytes += response.body.size();
    if (!context.wants_json()) fmt::print("{}\n", printable(path.string()));
  }
  if (context.wants_json())
    context.show_json(json::Object{{"fileCount", files.size()}, {"byteCount", bytes}});
  else
    fmt::print("{}, {}\n", counted(static_cast<std::int64_t>(files.size()), "file"), readable_size(bytes));
  return exit_code::ok;
}

Result<int> remove(Context& context, const LogFlags& flags) {
  GODWIT_TRY_VOID(context.confirm("Delete log collection '" + flags.id + "' with its files?"));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY([[maybe_unused]] const auto gone,
             client->send("DELETE", client->godwit("/logCollections/" + percent_encode(flags.id))));
  if (!context.wants_json()) fmt::print("deleted log collection {}\n", flags.id);
  return exit_code::ok;
}

using Command = Result<int> (*)(Context&, const LogFlags&);

std::pair<CLI::App*, std::shared_ptr<LogFlags>> add_verb(CLI::App* parent, Context& context, const std::string& name,
                                                         const std::string& help, Command run_it) {
  auto* sub = parent->add_subcommand(name, help);
  auto flags = std::make_shared<LogFlags>();
  sub->callback(
      [&context, flags, run_it] { context.action = [flags, run_it](Context& c) { return run_it(c, *flags); }; });
  if (run_it != list)
    sub->add_option("--log-collection-id,--lcid", flags->id, "Id of the collection, chosen by you")->required();
  return {sub, flags};
}

}  // namespace

void add_log_commands(CLI::App& device, Context& context) {
  auto* log = device.add_subcommand("log", "Logs of devices: ask for them, see who has sent them, fetch them");
  log->require_subcommand(1);
  const auto [ask, flags] = add_verb(log, context, "collect", "Ask up to 100 devices for their logs", collect);
  ask->add_option("--agent-id", flags->agents, "\"deviceId=a\" or \"deviceId=a moduleId=m\"; repeat for more")
      ->required();
  ask->add_option("--description", flags->description, "What it is for");
  add_verb(log, context, "list", "List collections", list);
  const auto [shown, shown_flags] = add_verb(log, context, "show", "Show a collection", show);
  shown->add_flag("--detailed", shown_flags->is_detailed, "Device by device");
  const auto [fetch, fetch_flags] = add_verb(log, context, "download", "Fetch what devices have sent", download);
  fetch->add_option("--folder", fetch_flags->folder, "Where to put it; the present folder unless given");
  add_verb(log, context, "delete", "Delete a collection and its files", remove);
}

}  // namespace godwit::cli
