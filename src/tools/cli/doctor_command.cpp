// doctor: looks at what an operator's machine, a service and a device need, and says what to fix. Changes nothing.
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "core/base/clock.hpp"
#include "core/base/text.hpp"
#include "core/trust/root_keys.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

constexpr auto kClockTolerance = std::chrono::minutes(5);
constexpr std::uintmax_t kLittleSpace = std::uintmax_t{1} << 30U;
constexpr const char* kAgent = "/usr/bin/godwit-agent";
constexpr const char* kAgentConfig = "/etc/godwit/agent.toml";

enum class Verdict : std::uint8_t { good, warning, bad };
struct Finding {
  Verdict verdict = Verdict::good;
  std::string what{};
  std::string words{};
};
using Findings = std::vector<Finding>;

constexpr std::array<std::string_view, 3> kWords{"good", "warning", "bad"};

std::string_view word_of(Verdict verdict) { return kWords.at(static_cast<std::size_t>(verdict)); }

void check_clock(const json::Value& status, Findings& findings) {
  const auto theirs = parse_time(text_at(status, "time"));
  if (!theirs) return;
  const auto apart = std::chrono::abs(*theirs - SystemClock().now());
  if (apart < kClockTolerance) return;
  findings.push_back({Verdict::warning, "clock",
                      fmt::format("this machine and the service are {} s apart; tokens with an end and certificates "
                                  "need the time: run an NTP client on both",
                                  std::chrono::duration_cast<std::chrono::seconds>(apart).count())});
}

/// Devices refuse updates once the root key package has ended.
void check_root_keys(const json::Value& status, WallTime now, Findings& findings) {
  const auto end = parse_time(text_at(status, "rootKeys.expiryDateTime"));
  if (!end || *end - now > trust::kRootKeysNotice) return;
  const bool has_ended = *end <= now;
  findings.push_back({has_ended ? Verdict::bad : Verdict::warning, "root keys",
                      fmt::format("the root key package {} on {}; devices refuse updates after that: run godwitd "
                                  "root-keys renew with the root keys, then restart the service",
                                  has_ended ? "ended" : "ends", format_time(*end))});
}

void check_service(Context& context, Findings& findings) {
  const auto client = context.client();
  if (!client) {
    findings.push_back({Verdict::bad, "settings", client.error().message + "; or run: godwit login"});
    return;
  }
  Client& service = **client;
  findings.push_back({Verdict::good, "settings", service.connection().url});
  if (const auto ready = service.get("/readyz"); !ready) {
    const bool answers = ready.error().code != Code::network_failed && ready.error().code != Code::tls_failed;
    findings.push_back({Verdict::bad, "service",
                        ready.error().message + (answers ? "" : "; does godwitd run, and is its port open?")});
    if (!answers) return;
  } else {
    findings.push_back({Verdict::good, "service", "answers and is ready"});
  }
  const auto status = service.get(service.godwit("/status"));
  if (!status) {
    findings.push_back({Verdict::bad, "token", status.error().message + "; make one with: godwit token create"});
    return;
  }
  findings.push_back({Verdict::good, "token", "is accepted"});
  if (const std::string version = text_at(*status, "version"); version != GODWIT_VERSION)
    findings.push_back({Verdict::warning, "version",
                        fmt::format("the service is {}, this command {}; install the same", version, GODWIT_VERSION)});
  check_clock(*status, findings);
  check_root_keys(*status, SystemClock().now(), findings);
}

void check_secret(const Path& file, Findings& findings) {
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    findings.push_back({Verdict::bad, "secret", file.string() + " is open to others; run: chmod 600 " + file.string()});
}

/// Only where this machine has one that this user may read.
void check_data_folder(const Path& data, Findings& findings) {
  std::error_code problem;
  if (!std::filesystem::exists(data / "godwit.toml", problem)) return;
  struct stat folder {};
  if (::stat(data.c_str(), &folder) != 0) return;
  const std::size_t before = findings.size();
  for (const char* file : {"keys/root-1.pem", "keys/root-2.pem", "tls/ca-key.pem"})
    if (std::filesystem::exists(data / file, problem))
      findings.push_back({Verdict::warning, "off-line",
                          (data / file).string() + " is still on this machine; the service does not need it: copy it "
                                                   "to a safe place and remove it here"});
  for (const char* file :
       {"keys/signing.pem", "tls/server-key.pem", "admin.token", "enrolment.url", "secrets/store.key"})
    check_secret(data / file, findings);
  for (auto entry = std::filesystem::recursive_directory_iterator(data, problem);
       !problem && entry != std::filesystem::recursive_directory_iterator(); entry.increment(problem)) {
    struct stat info {};
    if (::lstat(entry->path().c_str(), &info) != 0 || info.st_uid == folder.st_uid) continue;
    findings.push_back({Verdict::bad, "owner",
                        fmt::format("{} belongs to another user than the folder; run: chown -R --reference={} {}",
                                    entry->path().string(), data.string(), data.string())});
    break;
  }
  const auto space = std::filesystem::space(data, problem);
  if (!problem && space.available < kLittleSpace)
    findings.push_back({Verdict::warning, "disk", readable_size(space.available) + " free in " + data.string()});
  if (findings.size() == before) findings.push_back({Verdict::good, "data folder", data.string()});
}

/// The agent judges itself; its table goes to our output. nullopt: this machine is no device.
std::optional<bool> check_device() {
  std::error_code problem;
  if (!std::filesystem::exists(kAgentConfig, problem) || ::access(kAgent, X_OK) != 0) return std::nullopt;
  std::fputs("\nThis machine is a device; its agent says:\n", stdout);
  std::fflush(stdout);
  const char* words[] = {kAgent, "health", nullptr};
  pid_t child = 0;
  int status = 0;
  if (::posix_spawn(&child, kAgent, nullptr, nullptr, const_cast<char* const*>(words), environ) != 0 ||
      ::waitpid(child, &status, 0) != child)
    return false;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Result<int> doctor(Context& context, const std::string& data) {
  Findings findings;
  check_service(context, findings);
  check_data_folder(data, findings);
  bool is_well = true;
  json::Array list;
  Table table({"", "CHECK", "FOUND"});
  for (const Finding& one : findings) {
    is_well = is_well && one.verdict != Verdict::bad;
    list.push_back(json::Object{{"name", one.what}, {"verdict", word_of(one.verdict)}, {"words", one.words}});
    table.add({std::string(word_of(one.verdict)), one.what, one.words});
  }
  if (context.wants_json()) {
    context.show_json(json::Object{{"healthy", is_well}, {"checks", std::move(list)}});
    return is_well ? exit_code::ok : exit_code::failed;
  }
  std::fputs(table.print(0).c_str(), stdout);
  if (const auto device = check_device()) is_well = is_well && *device;
  fmt::print("{}\n", is_well ? "Nothing stands in the way." : "What is bad above must be fixed.");
  return is_well ? exit_code::ok : exit_code::failed;
}

}  // namespace

void add_doctor_command(CLI::App& root, Context& context) {
  auto* verb =
      root.add_subcommand("doctor", "Check settings, service and, where they are here, data folder and device");
  auto data = std::make_shared<std::string>("/var/lib/godwitd");
  verb->add_option("--data", *data, "Data folder of the service of this machine")->capture_default_str();
  verb->callback([&context, data] { context.action = [data](Context& c) { return doctor(c, *data); }; });
}

}  // namespace godwit::cli
