#include "apps/godwit-agent/local_verbs.hpp"

#include <algorithm>
#include <iostream>

#include "apps/godwit-agent/environment.hpp"
#include "core/base/config.hpp"
#include "device/agent/agent_config.hpp"
#include "device/agent/control.hpp"
#include "device/agent/health.hpp"
#include "device/agent/history.hpp"
#include "device/agent/journal.hpp"
#include "device/agent/outbox.hpp"
#include "device/agent/status.hpp"
#include "device/agent/verify.hpp"

namespace godwit::agent_app {
namespace {

using agent::AgentConfig;

constexpr int kFailed = 1;

/// What the agent's files say when it does not run.
Result<json::Object> status_of_files(const AgentConfig& config) {
  agent::Situation now;
  const auto text = read_file(config.journal_file(), agent::kJournalLimit);
  if (!text && text.error().code != Code::not_found) return tl::unexpected<Error>{text.error()};
  if (text) {
    auto parsed = agent::parse_record(*text);
    if (!parsed) return with_context(config.journal_file().string(), std::move(parsed).error());
    now.record = *std::move(parsed);
  }
  now.reports_waiting = agent::count_reports(config.outbox_folder());
  now.pause = agent::read_pause(config.pause_file(), SystemClock{}.now());
  now.root_keys = agent::end_of_root_keys(config, SystemClock{});
  json::Object status = agent::status_json(now);
  status["text"] = agent::status_text(now);
  return status;
}

/// The agent's own word, or what its files say.
Result<json::Object> status_of(const AgentConfig& config) {
  auto answer = agent::ask_agent(config.socket, {{"op", "status"}});
  if (answer || answer.error().code != Code::unavailable) return answer;
  return status_of_files(config);
}

Result<void> show_status(const AgentConfig& config, const LocalFlags& flags, std::string_view member) {
  GODWIT_TRY(json::Object status, status_of(config));
  if (flags.output == "json") {
    status.erase("text");
    status.erase("ok");
    std::cout << json::print(status) << '\n';
    return {};
  }
  std::string text = json::text_or_nothing(status, member).value_or("");
  if (!text.ends_with('\n')) text += '\n';
  std::cout << text;
  return {};
}

Result<void> show_history(const AgentConfig& config, const LocalFlags& flags) {
  GODWIT_TRY(json::Array entries, agent::read_history(config.history_file()));
  while (entries.size() > flags.count) entries.erase(entries.begin());
  if (flags.output == "json")
    std::cout << json::print(json::Object{{"entries", std::move(entries)}}) << '\n';
  else
    std::cout << agent::history_text(entries);
  return {};
}

Result<void> tell(const AgentConfig& config, json::Object request, std::string_view done) {
  GODWIT_TRY(const auto answer, agent::ask_agent(config.socket, request));
  std::cout << done << '\n';
  return {};
}

Result<void> pause(const AgentConfig& config, const LocalFlags& flags) {
  json::Object request{{"op", "pause"}, {"reason", flags.reason}};
  if (!flags.duration.empty()) {
    const auto duration = config::parse_duration(flags.duration);
    if (!duration) return with_context("--for", duration.error());
    request["seconds"] = std::chrono::duration_cast<std::chrono::seconds>(*duration).count();
  }
  return tell(config, std::move(request),
              "Updates wait before they change this device. Go on with: godwit-agent resume");
}

Result<bool> health(const AgentConfig& config, const LocalFlags& flags) {
  NullLog log;
  const auto checks = agent::check_health(config, log);
  if (flags.output == "json")
    std::cout << json::print(agent::health_json(checks)) << '\n';
  else
    std::cout << agent::health_text(checks);
  return agent::is_healthy(checks);
}

Result<int> run(const CLI::App& app, const LocalFlags& flags, const std::string& config_file) {
  GODWIT_TRY(const AgentConfig config, load_config(config_file));
  if (app.got_subcommand("status")) GODWIT_TRY_VOID(show_status(config, flags, "text"));
  if (app.got_subcommand("why")) GODWIT_TRY_VOID(show_status(config, flags, "why"));
  if (app.got_subcommand("history")) GODWIT_TRY_VOID(show_history(config, flags));
  if (app.got_subcommand("cancel"))
    GODWIT_TRY_VOID(tell(config, {{"op", "cancel"}}, "The update is being cancelled; see godwit-agent status"));
  if (app.got_subcommand("retry"))
    GODWIT_TRY_VOID(tell(config, {{"op", "retry"}}, "The update is tried again; see godwit-agent status"));
  if (app.got_subcommand("check"))
    GODWIT_TRY_VOID(
        tell(config, {{"op", "check"}}, "The agent asks the hub for its goal now; see godwit-agent status"));
  if (app.got_subcommand("pause")) GODWIT_TRY_VOID(pause(config, flags));
  if (app.got_subcommand("resume")) GODWIT_TRY_VOID(tell(config, {{"op", "resume"}}, "Updates go on"));
  if (!app.got_subcommand("health")) return 0;
  GODWIT_TRY(const bool is_healthy, health(config, flags));
  return is_healthy ? 0 : kFailed;
}

constexpr std::array kVerbs{"status", "why", "history", "cancel", "retry", "check", "pause", "resume", "health"};

}  // namespace

void add_local_verbs(CLI::App& app, LocalFlags& flags) {
  const auto with_output = [&flags](CLI::App* verb) {
    verb->add_option("-o,--output", flags.output, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    return verb;
  };
  with_output(app.add_subcommand("status", "Say what the agent does: state, update, steps, connection"));
  with_output(app.add_subcommand("why", "Say in words why this device is not (yet) updated"));
  with_output(app.add_subcommand("history", "List the updates that ended on this device, newest last"))
      ->add_option("-n,--count", flags.count, "How many")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_subcommand("cancel", "End the update that runs; what the current step changed is restored");
  app.add_subcommand("retry", "Do the last update once more; what is in place is left alone");
  app.add_subcommand("check", "Ask the hub now what this device should be, or try to connect now");
  auto* pause = app.add_subcommand("pause", "Let updates wait before they change or restart this device");
  pause->add_option("--for", flags.duration, "How long, such as 30m, 8h or 2d; without it until resume");
  pause->add_option("--reason", flags.reason, "Shown here and at the service");
  app.add_subcommand("resume", "End a pause");
  with_output(app.add_subcommand("health", "Check that this device is able to take an update"));
}

int run_local_verb(const CLI::App& app, const LocalFlags& flags, const std::string& config_file) {
  if (std::none_of(kVerbs.begin(), kVerbs.end(), [&app](const char* verb) { return app.got_subcommand(verb); }))
    return -1;
  const auto done = run(app, flags, config_file);
  if (done) return *done;
  std::cerr << "godwit-agent: " << done.error().message << '\n';
  return kFailed;
}

}  // namespace godwit::agent_app
