// device c2d-message send|purge, device tag
#include <fmt/format.h>

#include <algorithm>

#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

constexpr ByteCount kFileLimit = 8 * 1024 * 1024;
constexpr std::size_t kIdsPerCall = 10'000;

struct SendFlags {
  std::string device{}, module{}, data{}, file{}, ack{}, message_id{}, correlation_id{}, user_id{}, content_type{},
      encoding{};
  std::vector<std::string> properties{};
  std::int64_t seconds = 0;
};

/// "name=value" into `object`; `what` is the flag.
Result<void> add_pair(json::Object& object, const std::string& pair, const char* what) {
  const std::size_t equals = pair.find('=');
  if (equals == std::string::npos || equals == 0)
    return fail(Code::invalid_argument, std::string(what) + " '" + pair + "' is not NAME=VALUE");
  object[pair.substr(0, equals)] = pair.substr(equals + 1);
  return {};
}

Result<int> send(Context& context, const SendFlags& flags) {
  json::Object body;
  if (flags.file.empty()) {
    body["bodyText"] = flags.data;
  } else {
    GODWIT_TRY(const std::string bytes, read_file(flags.file, kFileLimit));
    body["bodyBase64"] = base64_encode(bytes);
  }
  for (const auto& [name, value] :
       {std::pair{"messageId", &flags.message_id}, std::pair{"correlationId", &flags.correlation_id},
        std::pair{"userId", &flags.user_id}, std::pair{"contentType", &flags.content_type},
        std::pair{"contentEncoding", &flags.encoding}, std::pair{"ack", &flags.ack}})
    if (!value->empty()) body[name] = *value;
  if (flags.seconds > 0) body["timeToLiveInSeconds"] = flags.seconds;
  json::Object properties;
  for (const std::string& pair : flags.properties) GODWIT_TRY_VOID(add_pair(properties, pair, "--property"));
  if (!properties.empty()) body["properties"] = properties;
  GODWIT_TRY(auto* client, context.client());
  std::string path = "/devices/" + percent_encode(flags.device);
  if (!flags.module.empty()) path += "/modules/" + percent_encode(flags.module);
  GODWIT_TRY(const auto response, client->send("POST", client->godwit(path + "/messages"), {}, json::print(body)));
  GODWIT_TRY(const auto answer, json::parse(response.body));
  if (context.wants_json())
    context.show_json(answer);
  else
    fmt::print("queued for {} until {}\n", flags.device, text_at(answer, "expiryTime"));
  return exit_code::ok;
}

Result<int> purge(Context& context, const std::string& device) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("DELETE", "/devices/" + percent_encode(device) + "/commands"));
  GODWIT_TRY(const auto answer, json::parse(response.body));
  if (context.wants_json())
    context.show_json(answer);
  else
    fmt::print("purged {} messages of {}\n", number_at(answer, "totalMessagesPurged"), device);
  return exit_code::ok;
}

struct TagFlags {
  std::vector<std::string> set{}, unset{}, devices{};
  std::string where{}, file{};
};

/// One id on each line; blanks around it and empty lines do not count.
Result<std::vector<std::string>> ids_from(const std::string& file) {
  GODWIT_TRY(const std::string text, read_file(file, kFileLimit));
  std::vector<std::string> ids;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    line.erase(0, line.find_first_not_of(" \t\r"));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) ids.push_back(std::move(line));
  }
  if (ids.empty()) return fail(Code::invalid_argument, "'" + file + "' names no device");
  return ids;
}

struct TagTotals {
  std::int64_t changed = 0;
  std::int64_t failed = 0;
  json::Array failures{};
};

Result<void> tag_some(Client& client, const json::Object& body, TagTotals& totals) {
  client.wait_for_answers(std::chrono::minutes(10));
  GODWIT_TRY(const auto response, client.send("POST", client.godwit("/devices:tag"), {}, json::print(body)));
  GODWIT_TRY(const auto answer, json::parse_object(response.body, {.bytes = kFileLimit, .depth = 8}));
  totals.changed += number_at(answer, "changedCount");
  totals.failed += number_at(answer, "failedCount");
  GODWIT_TRY(const json::Array* failures, json::array(answer, "failures", "the answer"));
  totals.failures.insert(totals.failures.end(), failures->begin(), failures->end());
  return {};
}

Result<int> tag(Context& context, const TagFlags& flags) {
  json::Object tags;
  for (const std::string& pair : flags.set) GODWIT_TRY_VOID(add_pair(tags, pair, "--set"));
  for (const std::string& name : flags.unset) tags[name] = nullptr;
  if (tags.empty()) return fail(Code::invalid_argument, "give --set NAME=VALUE or --unset NAME");
  std::vector<std::string> ids = flags.devices;
  if (!flags.file.empty()) {
    GODWIT_TRY(ids, ids_from(flags.file));
  }
  if (ids.empty() == flags.where.empty())
    return fail(Code::invalid_argument,
                "say which devices: -d ID (again and again), --from-file FILE, or --where CONDITION");
  GODWIT_TRY(auto* client, context.client());
  TagTotals totals;
  if (!flags.where.empty()) {
    GODWIT_TRY_VOID(context.confirm("Tag every device where " + flags.where + "?"));
    GODWIT_TRY_VOID(tag_some(*client, {{"tags", tags}, {"queryCondition", flags.where}}, totals));
  }
  for (std::size_t from = 0; from < ids.size(); from += kIdsPerCall) {
    json::Array some;
    for (std::size_t i = from; i < std::min(ids.size(), from + kIdsPerCall); ++i) some.emplace_back(ids[i]);
    GODWIT_TRY_VOID(tag_some(*client, {{"tags", tags}, {"deviceIds", std::move(some)}}, totals));
  }
  Table table({"DEVICE", "PROBLEM"});
  for (const auto& failure : totals.failures) table.add({text_at(failure, "deviceId"), text_at(failure, "message")});
  if (context.wants_json()) {
    context.show_json(json::Object{
        {"changedCount", totals.changed}, {"failedCount", totals.failed}, {"failures", std::move(totals.failures)}});
  } else {
    fmt::print("tagged {}\n", counted(totals.changed, "device"));
    if (!table.empty()) std::fputs(table.print(terminal_width()).c_str(), stdout);
  }
  return totals.failed == 0 ? exit_code::ok : exit_code::failed;
}

void add_tag_command(CLI::App& device, Context& context) {
  auto* sub = device.add_subcommand("tag", "Set tags of many devices at once, for instance their group");
  auto flags = std::make_shared<TagFlags>();
  sub->add_option("--set", flags->set, "NAME=VALUE; may be repeated");
  sub->add_option("--unset", flags->unset, "Name of a tag to remove; may be repeated");
  auto* ids = sub->add_option("--device-id,-d", flags->devices, "Device id; may be repeated");
  auto* where = sub->add_option("--where", flags->where, "Condition, e.g. \"tags.site = 'x'\"")->excludes(ids);
  sub->add_option("--from-file", flags->file, "File with a device id on each line")->excludes(ids)->excludes(where);
  sub->callback([&context, flags] { context.action = [flags](Context& c) { return tag(c, *flags); }; });
}

}  // namespace

void add_message_commands(CLI::App& device, Context& context) {
  auto* messages = device.add_subcommand("c2d-message", "Messages that wait for a device");
  messages->require_subcommand(1);
  auto* sub = messages->add_subcommand("send", "Queue a message for a device");
  auto flags = std::make_shared<SendFlags>();
  sub->add_option("--device-id,-d", flags->device, "Device id")->required();
  sub->add_option("--module-id,-m", flags->module, "Module id");
  auto* data = sub->add_option("--data,--da", flags->data, "Text of the message");
  sub->add_option("--data-file-path,--dfp", flags->file, "File with the bytes of the message")->excludes(data);
  sub->add_option("--property,-p", flags->properties, "NAME=VALUE; may be repeated");
  sub->add_option("--message-id,--mid", flags->message_id, "Message id");
  sub->add_option("--correlation-id,--cid", flags->correlation_id, "Correlation id");
  sub->add_option("--user-id,--uid", flags->user_id, "User id");
  sub->add_option("--content-type,--ct", flags->content_type, "For instance application/json");
  sub->add_option("--content-encoding,--ce", flags->encoding, "For instance utf-8");
  sub->add_option("--ack", flags->ack, "Which ends to report in the feedback")
      ->check(CLI::IsMember({"none", "positive", "negative", "full"}));
  sub->add_option("--time-to-live", flags->seconds, "Seconds until it expires")->check(CLI::PositiveNumber);
  sub->callback([&context, flags] { context.action = [flags](Context& c) { return send(c, *flags); }; });
  auto device_id = std::make_shared<std::string>();
  auto* purge_command = messages->add_subcommand("purge", "Drop what waits for a device");
  purge_command->add_option("--device-id,-d", *device_id, "Device id")->required();
  purge_command->callback(
      [&context, device_id] { context.action = [device_id](Context& c) { return purge(c, *device_id); }; });
  add_tag_command(device, context);
}

}  // namespace godwit::cli
