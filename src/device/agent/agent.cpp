#include "device/agent/agent.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <optional>

#include "core/twin/dialect.hpp"
#include "device/agent/control.hpp"
#include "device/agent/effects.hpp"
#include "device/agent/executor.hpp"
#include "device/agent/history.hpp"
#include "device/agent/idle_memory.hpp"
#include "device/agent/inbox.hpp"
#include "device/agent/installer_client.hpp"
#include "device/agent/journal.hpp"
#include "device/agent/log_desk.hpp"
#include "device/agent/log_uploader.hpp"
#include "device/agent/outbox.hpp"
#include "device/agent/reporter.hpp"
#include "device/agent/status.hpp"
#include "device/agent/verify.hpp"
#include "device/extension/leftovers.hpp"

namespace godwit::agent {
namespace {

constexpr Duration kEnumeratorTimeLimit = std::chrono::minutes(5);
constexpr Duration kTrimAfter = std::chrono::seconds(3);  // of silence: memory goes back to the system

/// Jitter is asked for by three threads.
class SharedRandom final : public Random {
 public:
  explicit SharedRandom(Random& random) : random_(random) {}
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) override {
    const std::lock_guard lock(mutex_);
    return random_.below(bound);
  }

 private:
  Random& random_;
  std::mutex mutex_;
};

/// One agent for one data folder; the lock goes with the process.
Result<UniqueFd> lock_folder(const Path& data) {
  GODWIT_TRY_VOID(make_folders(data));
  GODWIT_TRY(auto fd, open_file(data / "agent.lock", O_RDWR | O_CREAT, 0600));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK)
    return fail(Code::conflict, "another agent uses " + data.string() +
                                    "; end it first, or give this one a folder of its own (agent.data)");
  return tl::unexpected<Error>{error_from_errno("lock " + data.string(), errno)};
}

EffectSettings effect_settings(const AgentConfig& config) {
  EffectSettings settings;
  settings.downloads = config.downloads_folder();
  settings.verify = {.trust_anchors = config.trust_anchors,
                     .root_keys_file = config.root_keys_file(),
                     .device_properties = config.device_properties(),
                     .time_file = config.time_file()};
  settings.installer_patience = config.installer_patience;
  return settings;
}

extension::Limits extension_limits(const AgentConfig& config) {
  extension::Limits limits;
  limits.time_limit = config.download_time_limit;
  limits.cancel_grace = config.extension_cancel_grace;
  limits.memory = config.extension_memory.value;
  return limits;
}

/// A device with many parts on slow buses may need a while to count them.
extension::Limits enumerator_limits(const AgentConfig& config) {
  extension::Limits limits = extension_limits(config);
  limits.time_limit = kEnumeratorTimeLimit;
  return limits;
}

LogUploadSettings log_settings(const AgentConfig& config) {
  LogUploadSettings settings{.device_id = config.device_id, .sources = {}, .folder = config.log_copies_folder()};
  settings.limits.bytes_per_source = config.log_bytes.value;
  settings.limits.files_per_source = static_cast<std::size_t>(config.log_files);
  settings.sources.push_back({.name = "agent", .path = config.own_log_folder()});
  settings.sources.push_back({.name = "agent", .path = config.journal_file()});
  for (const auto& text : config.log_paths)
    if (auto source = parse_log_path(text)) settings.sources.push_back(*std::move(source));
  for (const auto& unit : config.log_units) settings.sources.push_back({.name = "journal", .unit = unit});
  return settings;
}

/// What somebody on the device may ask and tell.
class Desk {
 public:
  Desk(const AgentConfig& config, Executor& executor, Link& way_out, const Clock& clock)
      : config_(config),
        executor_(executor),
        way_out_(way_out),
        clock_(clock),
        link_({.hub = config.hub_host, .since = clock.now()}) {}

  void handle(const Input& input) {
    if (const auto* offline = std::get_if<LinkOffline>(&input)) set_link(false, offline->reason);
    if (std::holds_alternative<LinkOnline>(input)) set_link(true, "");
  }

  [[nodiscard]] Result<json::Object> answer(const std::string& op, const json::Object& request) {
    if (op == "status") {
      Situation now = situation();
      now.root_keys = end_of_root_keys(config_, clock_);
      json::Object status = status_json(now);
      status["text"] = status_text(now);
      return status;
    }
    if (op == "cancel") GODWIT_TRY_VOID(executor_.cancel());
    if (op == "retry") GODWIT_TRY_VOID(executor_.retry());
    if (op == "pause") GODWIT_TRY_VOID(pause(request));
    if (op == "resume") GODWIT_TRY_VOID(remove_pause(config_.pause_file()));
    if (op == "check") way_out_.check();
    constexpr std::array kOps{"cancel", "retry", "check", "pause", "resume"};
    if (std::ranges::find(kOps, op) == kOps.end())
      return fail(Code::unsupported, "op is none of status, cancel, retry, check, pause, resume");
    return json::Object{};
  }

  /// For whoever looks at the service from outside.
  [[nodiscard]] std::string in_a_line() const {
    const std::string text = status_text(situation());
    return text.substr(0, text.find('\n'));
  }

 private:
  [[nodiscard]] Situation situation() const {
    return {.record = executor_.record(),
            .reports_waiting = count_reports(config_.outbox_folder()),
            .waiting_for = executor_.waiting_for(),
            .link = link_,
            .pause = read_pause(config_.pause_file(), clock_.now())};
  }
  void set_link(bool is_online, std::string reason) {
    if (is_online != link_.is_online) link_.since = clock_.now();
    link_.is_online = is_online;
    link_.reason = std::move(reason);
  }
  [[nodiscard]] Result<void> pause(const json::Object& request) {
    constexpr std::int64_t kLongest = 366LL * 24 * 3600;
    Pause pause{.until = std::nullopt, .reason = json::text_or_nothing(request, "reason").value_or("")};
    if (request.contains("seconds")) {
      GODWIT_TRY(const auto seconds, json::integer(request, "seconds", ""));
      if (seconds < 1 || seconds > kLongest) return fail(Code::invalid_argument, "a pause has 1 second to 366 days");
      pause.until = clock_.now() + std::chrono::seconds(seconds);
    }
    return write_pause(config_.pause_file(), pause);
  }

  const AgentConfig& config_;
  Executor& executor_;
  Link& way_out_;
  const Clock& clock_;
  LinkState link_;
};

/// The deciding thread's loop: inputs and timers, one after the other.
Result<AgentEnd> turn(Executor& executor, LogDesk& logs, Desk& desk, ControlServer& control, Inbox& inbox,
                      const AgentHost& host, const Clock& clock) {
  std::optional<Duration> trim_at = clock.monotonic() + kTrimAfter;
  std::optional<Duration> alive_at;
  if (host.manager.watchdog_pause()) alive_at = clock.monotonic();
  for (;;) {
    const Duration now = clock.monotonic();
    std::optional<Duration> until;
    for (const auto& due : {executor.deadline(), control.deadline(), trim_at, alive_at})
      if (due) until = until ? std::min(*until, *due) : due;
    const int timeout = until ? static_cast<int>(std::clamp<std::int64_t>((*until - now).count(), 0, 3'600'000)) : -1;
    std::vector<pollfd> watched = control.fds();
    watched.push_back({inbox.fd(), POLLIN, 0});
    watched.push_back({host.end_fd, POLLIN, 0});
    const int ready = ::poll(watched.data(), watched.size(), timeout);
    if (ready < 0 && errno != EINTR) return tl::unexpected<Error>{error_from_errno("wait for events", errno)};
    if (ready > 0 && watched.back().revents != 0) return AgentEnd::asked;
    if (ready > 0 && watched[watched.size() - 2].revents != 0) {
      for (const auto& input : inbox.take()) {
        desk.handle(input);
        executor.handle(input);
        logs.handle(input);
      }
      trim_at = clock.monotonic() + kTrimAfter;
    }
    if (ready >= 0) control.attend(watched);
    executor.tick();
    if (executor.wants_restart()) return AgentEnd::restart;
    if (alive_at && clock.monotonic() >= *alive_at) {
      host.manager.alive();
      host.manager.status(desk.in_a_line());
      alive_at = clock.monotonic() + *host.manager.watchdog_pause();
    }
    if (trim_at && clock.monotonic() >= *trim_at) {
      release_idle_memory();
      trim_at.reset();
    }
  }
}

}  // namespace

DialSettings dial_settings(const AgentConfig& config) {
  DialSettings settings;
  settings.fixed = config.transport == "auto" ? std::nullopt
                                              : std::optional(config.transport == "mqtt" ? Way::mqtt : Way::websocket);
  settings.websocket_port = std::to_string(config.websocket_port);
  settings.proxy = {.url = config.proxy,
                    .credentials_file = config.proxy_credentials_file,
                    .environment_url = config.environment_proxy,
                    .exceptions = config.environment_no_proxy};
  settings.memory_file = config.transport_file();
  settings.time_file = config.time_file();
  settings.connect_timeout = config.connect_timeout;
  return settings;
}

namespace {

ProvisioningSettings provisioning_settings(const AgentConfig& config, const TlsTarget& hub) {
  ProvisioningSettings settings;
  settings.target = hub;
  settings.target.host = settings.target.tls_name = config.provisioning_host;
  settings.target.port = std::to_string(config.provisioning_port);
  settings.request.id_scope = config.id_scope;
  settings.request.registration_id = config.registration_id;
  settings.request.client_version = "godwit-agent/" GODWIT_VERSION;
  settings.key_file = config.key_file;
  settings.group_key_file = config.group_key_file;
  settings.derived_key_file = config.derived_key_file();
  settings.file = config.assignment_file();
  settings.token_lifetime = config.token_lifetime;
  return settings;
}

/// What the words of this process are to call device and hub: as they were assigned before, if they were.
AgentConfig with_assignment(AgentConfig config) {
  if (!config.is_provisioned()) return config;
  const auto kept =
      kept_assignment(config.assignment_file(),
                      {.id_scope = config.id_scope, .registration_id = config.registration_id, .client_version = ""});
  config.hub_host = kept ? kept->hub : config.provisioning_host;
  if (kept) config.device_id = kept->device_id;
  return config;
}

}  // namespace

LinkSettings link_settings(const AgentConfig& config) {
  twin::AgentIdentity identity;
  identity.properties = config.device_properties();
  identity.compat_property_names = config.compat_property_names;
  identity.agent_version = "godwit-agent/" GODWIT_VERSION;
  LinkSettings settings;
  settings.target = {.host = config.hub_host,
                     .port = std::to_string(config.hub_port),
                     .tls_name = config.hub_tls_name,
                     .ca_file = config.ca_file,
                     .certificate = {.chain_file = config.certificate_file,
                                     .key_file = config.certificate_key_file,
                                     .key_uri = config.certificate_key}};
  if (config.is_provisioned()) settings.provisioning = provisioning_settings(config, settings.target);
  settings.session.hub_name = config.hub_name;
  settings.session.device_id = config.device_id;
  settings.session.client_type = "godwit-agent/" GODWIT_VERSION;
  settings.session.identity_patch = json::print(twin::identity_patch(identity));
  settings.session.keep_alive = config.keep_alive;
  settings.key_file = config.key_file;
  settings.token_lifetime = config.token_lifetime;
  settings.dial = dial_settings(config);
  settings.reconnect.longest_wait = config.reconnect_limit;
  settings.reconnect.spread = config.reconnect_spread;
  return settings;
}

json::Object downloader_options(const AgentConfig& config) {
  json::Object options;
  if (!config.download_ca_file.empty()) options["caFile"] = config.download_ca_file.string();
  if (!config.download_proxy.empty()) options["proxy"] = config.download_proxy;
  if (config.allow_http) options["allowHttp"] = true;
  if (config.download_max_rate.value > 0) options["maxRateBytesPerSecond"] = config.download_max_rate.value;
  return options;
}

Result<AgentEnd> run_agent(const AgentConfig& written, const AgentHost& host, const Clock& clock, Random& random,
                           Log& log) {
  const AgentConfig config = with_assignment(written);
  GODWIT_TRY(const auto lock, lock_folder(config.data));
  GODWIT_TRY_VOID(make_folders(config.downloads_folder(), 0755));
  SharedRandom shared_random(random);
  FileJournal journal(config.journal_file());
  GODWIT_TRY(auto loaded, journal.load());
  if (!loaded.problem.empty())
    log.error("journal.unreadable",
              {{"reason", loaded.problem}, {"remedy", "the agent starts idle and the hub offers the goal again"}});
  GODWIT_TRY(auto outbox, Outbox::open(config.outbox_folder(), log));
  Inbox inbox;
  GODWIT_TRY_VOID(inbox.open());

  RealPauses pauses;
  SocketInstaller installer({.socket = config.installer_socket, .act_time_limit = config.act_time_limit}, clock, pauses,
                            log);
  ExtensionDownloader downloader(config.extensions_file(), extension_limits(config), downloader_options(config), log);
  ExtensionMaker maker(config.extensions_file(), config.cache_folder(), extension_limits(config), log);
  ExtensionComponents components(config.extensions_file(), enumerator_limits(config), log);
  Links links;
  Payloads payloads({.give_up_after = config.download_give_up_after,
                     .reserve = config.download_reserve.value,
                     .sources = config.download_sources,
                     .source_patience = config.download_source_patience},
                    links, downloader, maker, clock, shared_random, pauses, log);
  DeviceConsent consent(
      {.pause_file = config.pause_file(), .command = config.consent_command, .command_time = config.consent_time_limit},
      clock, pauses, log);
  DeviceEffects effects(effect_settings(config), {.installer = installer,
                                                  .payloads = payloads,
                                                  .consent = consent,
                                                  .components = components,
                                                  .pauses = pauses,
                                                  .clock = clock,
                                                  .log = log});
  Worker worker(effects, {.ended =
                              [&inbox](std::uint64_t epoch, EffectResult result) {
                                inbox.push(EffectEnded{epoch, std::move(result)});
                              },
                          .progressed =
                              [&inbox](std::uint64_t epoch, const twin::Progress& progress) {
                                inbox.push(EffectProgress{epoch, progress});
                              }});
  const auto to_inbox = [&inbox](LinkEvent event) {
    std::visit([&inbox](auto&& one) { inbox.push(Input{std::forward<decltype(one)>(one)}); }, std::move(event));
  };
  Link link(link_settings(config), to_inbox, clock, shared_random, log);
  Reporter reporter(outbox, link, clock, shared_random, log);
  FileHistory history(config.history_file(), clock, log);
  Executor executor({.journal = journal,
                     .effects = worker,
                     .reporter = reporter,
                     .history = history,
                     .links = links,
                     .clock = clock,
                     .log = log,
                     .boot = extension::boot_id()});

  ExtensionUploader uploader(config.extensions_file(), extension_limits(config), downloader_options(config), log);
  LogUploader log_uploader(
      log_settings(config), uploader, [&inbox](twin::LogOutcome outcome) { inbox.push(LogsEnded{std::move(outcome)}); },
      log);
  LogDesk logs(
      config.log_state_file(), reporter,
      [&log_uploader](twin::LogRequest request) { log_uploader.ask(std::move(request)); }, log);

  Desk desk(config, executor, link, clock);
  ControlServer control(
      [&desk](const std::string& op, const json::Object& request) { return desk.answer(op, request); }, clock, log);
  if (const auto listens = control.listen(config.socket, config.socket_permissions()); !listens)
    log.warning("control.off", {{"reason", listens.error().message},
                                {"remedy", "set agent.socket to a folder that this user may write"}});

  log.info("agent.started", {{"version", GODWIT_VERSION},
                             {"device", config.device_id},
                             {"hub", config.hub_host},
                             {"data", config.data.string()}});
  worker.begin();
  executor.start(std::move(loaded.record));
  logs.start();
  GODWIT_TRY_VOID(link.start());
  host.manager.ready();
  const auto ended = turn(executor, logs, desk, control, inbox, host, clock);
  if (ended && *ended == AgentEnd::asked) host.manager.stopping();
  link.stop();
  log_uploader.stop();  // what was under way begins again at the next start
  installer.abandon();  // an act under way goes on; the next start of the agent asks for its outcome
  worker.stop();
  log.info("agent.stopped", {{"state", state_name(executor.record().state)}});
  return ended;
}

}  // namespace godwit::agent
