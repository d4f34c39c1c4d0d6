#include "device/agent/health.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/text.hpp"
#include "core/trust/root_keys.hpp"
#include "device/agent/agent.hpp"
#include "device/agent/client_certificate.hpp"
#include "device/agent/control.hpp"
#include "device/agent/dialer.hpp"
#include "device/agent/installer_client.hpp"
#include "device/agent/verify.hpp"
#include "device/extension/process.hpp"
#include "device/extension/registry.hpp"

namespace godwit::agent {
namespace {

using Verdict = HealthCheck::Verdict;
constexpr ByteCount kSmallFile = 256 * 1024;
constexpr Duration kDialPatience = std::chrono::seconds(20);
constexpr Duration kInstallerPatience = std::chrono::seconds(5);
constexpr std::int64_t kEarliestYear = 2025;  // no build of this agent is older

HealthCheck good(std::string name, std::string words) { return {std::move(name), Verdict::good, std::move(words)}; }
HealthCheck bad(std::string name, std::string words) { return {std::move(name), Verdict::bad, std::move(words)}; }
HealthCheck warning(std::string name, std::string words) {
  return {std::move(name), Verdict::warning, std::move(words)};
}

HealthCheck check_agent(const AgentConfig& config) {
  const auto answer = ask_agent(config.socket, {{"op", "status"}});
  if (!answer) return warning("agent", answer.error().message);
  const auto* link = json::object_or_null(*answer, "link");
  const auto* online = link != nullptr ? json::find(*link, "online") : nullptr;
  const std::string since = link != nullptr ? json::text_or_nothing(*link, "since").value_or("") : "";
  if (online != nullptr && online->is_bool() && online->get_bool())
    return good("agent", "runs, connected since " + since);
  return bad("agent", fmt::format("runs, but is not connected since {}: {}", since,
                                  link != nullptr ? json::text_or_nothing(*link, "reason").value_or("") : ""));
}

HealthCheck check_clock() {
  const auto today = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(SystemClock{}.now()));
  const auto year = static_cast<std::int64_t>(static_cast<int>(today.year()));
  if (year >= kEarliestYear) return good("clock", format_time(SystemClock{}.now()));
  return bad("clock", fmt::format("says {}: certificates cannot be judged; set the time, or run an NTP client",
                                  format_time(SystemClock{}.now())));
}

HealthCheck check_anchors(const AgentConfig& config) {
  const auto text = read_file(config.trust_anchors, kSmallFile);
  if (!text) return bad("trust anchors", text.error().message + "; copy the service's trust-anchors.json there");
  if (const auto anchors = trust::TrustAnchors::parse(*text); !anchors)
    return bad("trust anchors", config.trust_anchors.string() + ": " + anchors.error().message);
  if (::geteuid() != 0 && ::access(config.trust_anchors.c_str(), W_OK) == 0)
    return warning("trust anchors", fmt::format("{} may be written by the agent's own user; run: chown root {}",
                                                config.trust_anchors.string(), config.trust_anchors.string()));
  return good("trust anchors", config.trust_anchors.string());
}

/// nullopt while they last, or there are none yet.
std::optional<HealthCheck> check_root_keys(const AgentConfig& config) {
  std::string end = end_of_root_keys(config, SystemClock{});
  if (end.empty()) return std::nullopt;
  return bad("root keys", std::move(end) + ": updates are refused until the service shows newer ones");
}

HealthCheck check_key(const AgentConfig& config) {
  if (!config.certificate_key.empty()) {
    const auto key = HardwareKey::open(config.certificate_key);
    return key ? good("key", "in hardware, and it opens") : bad("key", key.error().message);
  }
  struct stat info {};
  const Path file = !config.group_key_file.empty() ? config.derived_key_file()
                    : config.key_file.empty()      ? config.certificate_key_file
                                                   : config.key_file;
  if (::stat(file.c_str(), &info) != 0) return bad("key", error_from_errno("look at " + file.string(), errno).message);
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return warning("key", fmt::format("{} is open to others (mode {:04o}); run: chmod 600 {}", file.string(),
                                      info.st_mode & 07777U, file.string()));
  return good("key", file.string());
}

/// nullopt without a certificate.
std::optional<HealthCheck> check_certificate(const AgentConfig& config) {
  if (config.certificate_file.empty()) return std::nullopt;
  const auto life = life_of({.chain_file = config.certificate_file});
  if (!life) return bad("certificate", life.error().message);
  const Duration left = life->end - SystemClock{}.now();
  const std::string until = fmt::format("{} until {}", config.certificate_file.string(), format_time(life->end));
  if (left <= Duration{0}) return bad("certificate", until + ": it has ended, put a renewed one there");
  if (left <= life->notice()) return warning("certificate", until + ": renew it");
  return good("certificate", until);
}

HealthCheck check_space(const AgentConfig& config) {
  std::error_code problem;
  const auto space = std::filesystem::space(config.data, problem);
  if (problem) return bad("data folder", error_from_errno("look at " + config.data.string(), problem.value()).message);
  const std::string words = fmt::format("{} free in {}", readable_size(space.available), config.data.string());
  if (space.available <= config.download_reserve.value)
    return bad("data folder", words + "; nothing can be downloaded, make room");
  return good("data folder", words);
}

/// A connection of its own with TLS and the hub's certificate, ended before anything is said.
HealthCheck check_hub(const AgentConfig& config, Log& log) {
  const LinkSettings link = link_settings(config);
  const TlsTarget& target = link.provisioning ? link.provisioning->target : link.target;
  const SystemClock clock;
  Wakeable waiter(clock);
  if (const auto is_open = waiter.open(); !is_open) return bad("hub", is_open.error().message);
  DialSettings settings = dial_settings(config);
  settings.connect_timeout = std::min(settings.connect_timeout, kDialPatience);
  settings.time_file.clear();  // whoever asks is not the owner of the agent's files
  Dialer dialer(settings, clock, waiter, log);
  std::string way_taken;
  const auto reached = dialer.reach([&](Way way) -> Result<void> {
    GODWIT_TRY(const auto connection, dialer.dial(target, way, {}));
    connection->close();
    way_taken = name_of(way);
    return {};
  });
  if (!reached)
    return bad("hub", reached.error().message +
                          (reached.error().code == Code::timed_out ? "; check network, firewall and hub.port" : ""));
  return good("hub", target.host + " answers by " + way_taken + ", and its certificate is good");
}

HealthCheck check_installer(const AgentConfig& config, Log& log) {
  const SystemClock clock;
  RealPauses pauses;
  SocketInstaller installer({.socket = config.installer_socket, .act_time_limit = kInstallerPatience}, clock, pauses,
                            log);
  const InstallerCall call{.workflow_id = "", .stop = {}, .on_progress = {}, .patience = kInstallerPatience};
  const auto answer = installer.ask(installer::StatusRequest{}, call);
  if (!answer) return bad("installer", answer.error().message);
  return good("installer", "answers, version " + json::text_or_nothing(answer->status, "version").value_or("?"));
}

void check_extensions(const AgentConfig& config, std::vector<HealthCheck>& checks) {
  const auto registry = extension::Registry::load(config.extensions_file());
  if (!registry) {
    checks.push_back(bad("extensions", registry.error().message));
    return;
  }
  const auto is_downloader = [](const auto& entry) { return entry.type == extension::Type::content_downloader; };
  if (std::ranges::none_of(registry->list(), is_downloader))
    checks.push_back(bad("extensions", "no content downloader is registered; run: godwit-agent extension register"));
  for (const auto& entry : registry->list()) {
    const std::string name = "extension " + entry.id;
    const auto contract = extension::probe(entry);
    checks.push_back(contract ? good(name, fmt::format("loads, contract {}", *contract))
                              : bad(name, contract.error().message));
  }
}

std::string_view word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::good: return "good";
    case Verdict::warning: return "warning";
    case Verdict::bad: return "bad";
  }
  return "";
}

}  // namespace

std::vector<HealthCheck> check_health(const AgentConfig& config, Log& log) {
  std::vector<HealthCheck> checks{
      check_clock(),          check_key(config),   check_anchors(config),       check_space(config),
      check_hub(config, log), check_agent(config), check_installer(config, log)};
  if (auto certificate = check_certificate(config)) checks.insert(checks.begin() + 2, *std::move(certificate));
  if (auto root_keys = check_root_keys(config)) checks.push_back(*std::move(root_keys));
  check_extensions(config, checks);
  return checks;
}

bool is_healthy(const std::vector<HealthCheck>& checks) {
  return std::ranges::none_of(checks, [](const HealthCheck& check) { return check.verdict == Verdict::bad; });
}

std::string health_text(const std::vector<HealthCheck>& checks) {
  std::string out;
  for (const auto& check : checks)
    out += fmt::format("{:<8} {:<24} {}\n", word_of(check.verdict), check.name, check.words);
  return out + (is_healthy(checks) ? "This device can take updates.\n" : "This device cannot take updates as it is.\n");
}

json::Object health_json(const std::vector<HealthCheck>& checks) {
  json::Array list;
  for (const auto& check : checks)
    list.push_back(json::Object{{"name", check.name}, {"verdict", word_of(check.verdict)}, {"words", check.words}});
  return {{"healthy", is_healthy(checks)}, {"checks", std::move(list)}};
}

}  // namespace godwit::agent
