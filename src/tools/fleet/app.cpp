#include "tools/fleet/app.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <csignal>
#include <iostream>

#include "tools/fleet/runs.hpp"

namespace godwit::fleet {
namespace {

constexpr std::size_t kMostDevices = 1'000'000;
constexpr ByteCount kKeyFileLimit = 4096;

std::atomic<bool> should_stop{false};

struct Flags {
  std::string address = "localhost:8883";
  std::string keys;
  std::string group_key_file;
  std::string prefix = "device-";
  std::string source = "127.10.0.1";
  std::string output = "table";
  std::string scenario;
  std::string json_file;
  bool has_seed = false;
  std::size_t devices = 0;
  std::size_t first = 0;
  std::size_t smallest_backoff_ms = 500;
  std::size_t largest_backoff_ms = 30'000;
};

using Verb = Result<json::Object> (*)(RunOptions, const Tell&, const std::atomic<bool>&);

/// A load of 19,000 devices is 19,000 descriptors; the usual soft limit of 1024 is for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<void> resolve(const std::string& address, RunOptions& options) {
  const auto colon = address.rfind(':');
  unsigned port = 8883;
  const std::string name = address.substr(0, colon);
  if (colon != std::string::npos) {
    const char* end = address.data() + address.size();
    const auto [stop, error] = std::from_chars(address.data() + colon + 1, end, port);
    if (error != std::errc{} || stop != end || port == 0 || port > 65535)
      return fail(Code::invalid_argument, fmt::format("'{}' does not end in a port", address));
  }
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int problem = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (problem != 0) return fail(Code::network_failed, fmt::format("host '{}': {}", name, ::gai_strerror(problem)));
  options.hub = *reinterpret_cast<const sockaddr_in*>(found->ai_addr);
  options.hub.sin_port = htons(static_cast<std::uint16_t>(port));
  ::freeaddrinfo(found);
  if (options.host.empty()) options.host = name;
  return {};
}

Result<std::string> read_group_key(const Path& file) {
  GODWIT_TRY(std::string text, read_file(file, kKeyFileLimit));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

/// The scenario's devices: the first ones of a file, or its own names with derived keys.
Result<void> fill_scenario(const Flags& flags, RunOptions& options) {
  GODWIT_TRY(auto scenario, load_scenario(flags.scenario));
  if (flags.has_seed) scenario.seed = options.seed;
  if (!flags.keys.empty()) {
    GODWIT_TRY(options.identities, read_keys(flags.keys, flags.first, scenario.devices()));
  } else {
    GODWIT_TRY(const std::string key, read_group_key(flags.group_key_file));
    std::vector<std::string> names;
    names.reserve(scenario.devices());
    for (std::size_t i = 0; i < scenario.devices(); ++i) names.push_back(device_name(place_of(scenario, i)));
    auto derived = derive_keys(key, names);
    if (!derived) return with_context(flags.group_key_file, derived.error());
    options.identities = *std::move(derived);
  }
  options.scenario = std::move(scenario);
  return {};
}

Result<void> fill(const Flags& flags, RunOptions& options, bool connects) {
  if (connects && options.hub_name.empty())
    return fail(Code::invalid_argument, "say with --hub-name which hub the tokens are for");
  if (connects && options.ca.empty())
    return fail(Code::invalid_argument, "say with --ca which CA certificate the hub is checked against");
  if (flags.keys.empty() && flags.group_key_file.empty())
    return fail(Code::invalid_argument, "say with --keys or --group-key-file who the devices are");
  if (connects) GODWIT_TRY_VOID(resolve(flags.address, options));
  GODWIT_TRY(options.first_source, parse_ip4(flags.source));
  options.smallest_backoff = std::chrono::milliseconds(flags.smallest_backoff_ms);
  options.largest_backoff = std::chrono::milliseconds(std::max(flags.smallest_backoff_ms, flags.largest_backoff_ms));
  if (!flags.scenario.empty()) return fill_scenario(flags, options);
  if (!flags.keys.empty()) {
    GODWIT_TRY(options.identities, read_keys(flags.keys, flags.first, flags.devices));
    return {};
  }
  if (flags.devices == 0) return fail(Code::invalid_argument, "say with --devices how many devices to derive keys for");
  GODWIT_TRY(const std::string text, read_group_key(flags.group_key_file));
  auto derived = derive_keys(text, flags.prefix, flags.first, flags.devices);
  if (!derived) return with_context(flags.group_key_file, derived.error());
  options.identities = *std::move(derived);
  return {};
}

/// "connect_ms.p99   12.5", one line a figure.
void print_lines(const json::Object& object, const std::string& before, std::string& out) {
  for (const auto& member : object) {
    const std::string name = before + std::string(member.key());
    if (member.value().is_object())
      print_lines(member.value().as_object(), name + ".", out);
    else
      out += fmt::format("  {:<32}{}\n", name, json::print(member.value()));
  }
}

void print(const json::Object& figures, bool is_json) {
  std::string text;
  if (is_json) {
    text = json::print(figures) + "\n";
  } else if (json::text_or_nothing(figures, "event") == "now") {
    for (const auto& member : figures)
      if (member.key() != "event")
        text +=
            fmt::format("{}{} {}", text.empty() ? "" : ", ", std::string(member.key()), json::print(member.value()));
    text += "\n";
  } else {
    print_lines(figures, "", text);
    text += "\n";
  }
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void add_target_options(CLI::App& app, Flags& flags, RunOptions& options) {
  app.add_option("--hub", flags.address, "HOST:PORT of the hub, MQTT over TLS")->capture_default_str();
  app.add_option("--hub-name", options.hub_name, "Name of the hub in user names and token scopes");
  app.add_option("--host", options.host, "Name the certificate must carry, when it is not the one of --hub");
  app.add_option("--ca", options.ca, "CA certificate (PEM)");
  auto* keys =
      app.add_option("--keys", flags.keys, "File with lines of: device key-in-base64, or of connection strings");
  auto* group = app.add_option("--group-key-file", flags.group_key_file,
                               "File with a group key in base64; device keys are derived from it");
  keys->excludes(group);
  app.add_option("--prefix", flags.prefix, "With a group key: devices are called PREFIX0, PREFIX1, ...")
      ->capture_default_str();
  app.add_option("--devices", flags.devices, "How many devices; with --keys the default is all")
      ->check(CLI::Range(std::size_t{1}, kMostDevices));
  app.add_option("--first", flags.first, "Leave so many devices out, for several processes")->capture_default_str();
}

void add_connection_options(CLI::App& app, Flags& flags, RunOptions& options) {
  app.add_option("--source", flags.source, "First source address when the hub is on loopback")->capture_default_str();
  app.add_option("--devices-per-source", options.devices_per_source, "Devices that share a source address")
      ->check(CLI::Range(1, 20'000))
      ->capture_default_str();
  app.add_option("--connecting", options.connecting, "Connections that log in at a time")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--connects-per-second", options.connects_per_second, "0: as fast as logins end")
      ->capture_default_str();
  app.add_option("--connect-seconds", options.connect_seconds, "Give up when not all are ready by then")
      ->capture_default_str();
  app.add_option("--backoff-ms", flags.smallest_backoff_ms, "Wait at most so long after a first failure")
      ->capture_default_str();
  app.add_option("--largest-backoff-ms", flags.largest_backoff_ms, "Never wait longer")->capture_default_str();
  app.add_flag("--resume", options.resume, "Resume TLS sessions; without it each handshake is a full one");
  app.add_flag("--clean", options.is_clean, "Clean sessions: the hub forgets subscriptions");
  app.add_option("--seed", options.seed,
                 "Of all chance here; the same seed, the same run. Goes before a scenario's own")
      ->each([&flags](const std::string&) { flags.has_seed = true; })
      ->capture_default_str();
  app.add_option("--server-pid", options.server, "A server on this machine: give figures per second of its CPU time");
  app.add_option("-o,--output", flags.output, "table, or json: one object a line")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_option("--subscribe", options.filters, "Subscribe to these filters instead of the verb's own");
}

/// One JSON object a line: what the registry takes, a hundred at a time, to know the scenario's devices and their tags.
void print_registrations(const RunOptions& options) {
  for (std::size_t i = 0; i < options.identities.size(); ++i) {
    const std::string key = base64_encode(options.identities[i].key.reveal());
    json::Object tags;
    for (const auto& [name, value] : tags_of(*options.scenario, place_of(*options.scenario, i))) tags[name] = value;
    const json::Object device{
        {"id", options.identities[i].id.str()},
        {"importMode", "createOrUpdate"},
        {"authentication",
         json::Object{{"type", "sas"}, {"symmetricKey", json::Object{{"primaryKey", key}, {"secondaryKey", key}}}}},
        {"tags", std::move(tags)}};
    std::fputs((json::print(device) + "\n").c_str(), stdout);
  }
}

void add_scenario_verbs(CLI::App& app, Flags& flags, Verb& verb) {
  auto* run = app.add_subcommand("run", "Devices that take updates, as a scenario file says")->fallthrough();
  run->add_option("scenario", flags.scenario, "SCENARIO.toml")->required();
  run->add_option("--json", flags.json_file, "Write the figures of the end as one JSON object into this file");
  run->callback([&verb] { verb = run_scenario; });
  auto* devices =
      app.add_subcommand("devices", "Print what the registry has to know of a scenario's devices")->fallthrough();
  devices->add_option("scenario", flags.scenario, "SCENARIO.toml")->required();
}

void add_verbs(CLI::App& app, RunOptions& options, Verb& verb) {
  const auto add = [&](const char* name, const char* what, Verb run) {
    auto* sub = app.add_subcommand(name, what)->fallthrough();
    sub->callback([&verb, run] { verb = run; });
    return sub;
  };
  const auto add_seconds = [&](CLI::App* sub, const char* what) {
    sub->add_option("--seconds", options.seconds, what)->capture_default_str();
  };
  auto* connect = add("connect", "Connect all devices and hold them", run_connect);
  add_seconds(connect, "Hold so long; 0: until SIGTERM");
  connect->add_option("--steps", options.steps, "Connect so many at first, then so many, and say the figures of each")
      ->delimiter(',');
  for (auto* sub : {add("twins", "Twin GETs", run_twins), add("reports", "Reported patches", run_reports)}) {
    add_seconds(sub, "Work so long");
    sub->add_option("--in-flight", options.in_flight, "Unanswered requests of the whole fleet")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    sub->add_option("--per-second", options.per_second, "Requests a second; 0: as fast as answers come")
        ->capture_default_str();
    if (sub->get_name() == "twins") continue;
    sub->add_option("--filler", options.filler, "Bytes of text in each patch")
        ->check(CLI::Range(0, 4000))
        ->capture_default_str();
    sub->add_option("--first-sequence", options.first_sequence, "Number patches from here, to continue a ledger");
    sub->add_option("--ledger", options.ledger, "Append a line for each acknowledged patch");
  }
  auto* watch = add("watch", "Wait for desired patches", run_watch);
  add_seconds(watch, "Wait at most so long; 0: until SIGTERM");
  watch->add_option("--expect", options.expected, "Patches each device waits for")->capture_default_str();
  auto* verify = add("verify", "Compare the twins with a ledger; exit code 1 when a promise is broken", run_verify);
  verify->add_option("--ledger", options.ledger, "Written by reports")->required();
}

int fail_with(const Error& error) {
  std::cerr << "godwit-fleet: " << error.message << "\n";
  return 1;
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("A virtual fleet for load tests: thousands of devices on the real protocol");
  app.set_version_flag("--version", std::string("godwit-fleet ") + GODWIT_VERSION);
  app.require_subcommand(1);
  Flags flags;
  RunOptions options;
  options.host.clear();
  Verb verb = nullptr;
  add_target_options(app, flags, options);
  add_connection_options(app, flags, options);
  add_verbs(app, options, verb);
  add_scenario_verbs(app, flags, verb);
  CLI11_PARSE(app, argc, argv);

  raise_descriptor_limit();
  std::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, [](int) { should_stop = true; });
  if (const auto filled = fill(flags, options, verb != nullptr); !filled) return fail_with(filled.error());
  if (verb == nullptr) {
    print_registrations(options);
    return 0;
  }
  const bool is_json = flags.output == "json";
  const auto figures = verb(
      std::move(options), [is_json](const json::Object& milestone) { print(milestone, is_json); }, should_stop);
  if (!figures) return fail_with(figures.error());
  print(*figures, is_json);
  if (!flags.json_file.empty())
    if (const auto written = write_file_durably(flags.json_file, json::print(*figures) + "\n", 0644); !written)
      return fail_with(written.error());
  const auto* broken = json::find(*figures, "broken");
  return broken != nullptr && broken->to_number<std::int64_t>() > 0 ? 1 : 0;
}

}  // namespace godwit::fleet
