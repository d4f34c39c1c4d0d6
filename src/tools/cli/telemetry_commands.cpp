// hub monitor-events, hub invoke-device-method, hub invoke-module-method
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "tools/cli/app.hpp"
#include "tools/cli/event_reader.hpp"

namespace godwit::cli {
namespace {

constexpr int kMostFailures = 10;  // connections in a row that brought nothing

struct MonitorFlags {
  std::string device{}, module{}, component{};
  std::int64_t count = 0;    // 0: until interrupted
  std::int64_t seconds = 0;  // 0: without end
};

void show_event(const Context& context, const ServerEvent& event) {
  if (event.name == "lost") {
    std::fprintf(stderr, "godwit: %s events were lost, because they came faster than they were read\n",
                 printable(event.data).c_str());
    return;
  }
  if (context.wants_json()) {
    std::printf("%s\n", event.data.c_str());
  } else if (const auto document = json::parse(event.data, {.bytes = 4 * 1024 * 1024, .depth = 64})) {
    std::string from = text_at(*document, "deviceId");
    if (const std::string module = text_at(*document, "moduleId"); !module.empty()) from += "/" + module;
    if (const std::string component = text_at(*document, "component"); !component.empty()) from += " " + component;
    std::string body;
    for (const char* member : {"body", "bodyText", "bodyBase64"})
      if (body.empty()) body = text_at(*document, member);
    const std::string properties = text_at(*document, "properties");
    std::printf("%s  %s  %s%s\n", text_at(*document, "enqueuedTime").c_str(), printable(from).c_str(),
                printable(body).c_str(), properties == "{}" ? "" : ("  " + printable(properties)).c_str());
  }
  std::fflush(stdout);
}

/// Goes on over ends of the stream: the service ends each one after a while, and restarts.
Result<int> monitor(Context& context, const MonitorFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  Query query;
  if (!flags.device.empty()) query.emplace_back("device", flags.device);
  if (!flags.module.empty()) query.emplace_back("module", flags.module);
  if (!flags.component.empty()) query.emplace_back("component", flags.component);
  const auto start = std::chrono::steady_clock::now();
  const auto is_over = [&] {
    return flags.seconds > 0 && std::chrono::steady_clock::now() - start >= std::chrono::seconds(flags.seconds);
  };
  std::int64_t seen = 0;
  std::string last_id;
  for (int failures = 0; failures < kMostFailures;) {
    EventReader reader([&](const ServerEvent& event) {
      if (flags.count > 0 && seen >= flags.count) return;
      failures = 0;
      if (event.name != "lost") ++seen;
      if (!event.id.empty()) last_id = event.id;
      show_event(context, event);
    });
    Result<void> read;
    const auto ended = client->stream(client->godwit("/hub/telemetry"), query, last_id, [&](std::string_view bytes) {
      read = reader.feed(bytes);
      return read && !is_over() && (flags.count == 0 || seen < flags.count);
    });
    if (!read) return tl::unexpected<Error>{read.error()};
    if (is_over() || (flags.count > 0 && seen >= flags.count)) return exit_code::ok;
    if (!ended && ended.error().code != Code::network_failed && ended.error().code != Code::unavailable)
      return tl::unexpected<Error>{ended.error()};
    if (!ended && ++failures == kMostFailures) return tl::unexpected<Error>{ended.error()};
    std::this_thread::sleep_for(std::chrono::milliseconds(failures == 0 ? 200 : 1000));
  }
  return exit_code::failed;
}

struct MethodFlags {
  std::string device{}, module{}, method{}, payload = "null";
  std::int64_t response_seconds = 30;
  std::int64_t connect_seconds = 0;
};

Result<int> invoke(Context& context, const MethodFlags& flags) {
  auto payload = json::parse(flags.payload);
  if (!payload) return with_context("--method-payload", Error{Code::invalid_argument, payload.error().message});
  const json::Object body{{"methodName", flags.method},
                          {"payload", *payload},
                          {"responseTimeoutInSeconds", flags.response_seconds},
                          {"connectTimeoutInSeconds", flags.connect_seconds}};
  std::string path = "/twins/" + percent_encode(flags.device);
  if (!flags.module.empty()) path += "/modules/" + percent_encode(flags.module);
  GODWIT_TRY(auto* client, context.client());
  client->wait_for_answers(std::chrono::seconds(flags.response_seconds + flags.connect_seconds + 30));
  GODWIT_TRY(const auto response, client->send("POST", path + "/methods", {}, json::print(body)));
  GODWIT_TRY(const auto answer, json::parse(response.body));
  context.show_json(answer);
  return exit_code::ok;
}

void add_method_command(CLI::App& hub, Context& context, bool is_for_module) {
  auto* sub = hub.add_subcommand(is_for_module ? "invoke-module-method" : "invoke-device-method",
                                 is_for_module ? "Call a direct method of a module and print its answer"
                                               : "Call a direct method of a device and print its answer");
  auto flags = std::make_shared<MethodFlags>();
  sub->add_option("--device-id,-d", flags->device, "Device id")->required();
  if (is_for_module) sub->add_option("--module-id,-m", flags->module, "Module id")->required();
  sub->add_option("--method-name,--mn", flags->method, "Name; component*command for a component")->required();
  sub->add_option("--method-payload,--mp", flags->payload, "JSON that the method gets");
  sub->add_option("--timeout,--to", flags->response_seconds, "Seconds in which the device must answer")
      ->check(CLI::Range(5, 300));
  sub->add_option("--connect-timeout", flags->connect_seconds, "Seconds to wait for a device that is not connected")
      ->check(CLI::Range(0, 300));
  sub->callback([&context, flags] { context.action = [flags](Context& c) { return invoke(c, *flags); }; });
}

}  // namespace

void add_telemetry_commands(CLI::App& hub, Context& context) {
  auto* monitor_command = hub.add_subcommand("monitor-events", "Print what devices send, as it comes");
  auto flags = std::make_shared<MonitorFlags>();
  monitor_command->add_option("--device-id,-d", flags->device, "Only this device and its modules");
  monitor_command->add_option("--module-id,-m", flags->module, "Only this module");
  monitor_command->add_option("--component", flags->component, "Only this component");
  monitor_command->add_option("--message-count,--mc", flags->count, "End after so many")->check(CLI::PositiveNumber);
  monitor_command->add_option("--timeout,-t", flags->seconds, "End after so many seconds")->check(CLI::PositiveNumber);
  monitor_command->callback([&context, flags] { context.action = [flags](Context& c) { return monitor(c, *flags); }; });
  add_method_command(hub, context, false);
  add_method_command(hub, context, true);
}

}  // namespace godwit::cli
