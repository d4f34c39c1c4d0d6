#include "apps/godwit-agent/enrol_verb.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include "apps/godwit-agent/environment.hpp"
#include "core/base/bytes.hpp"
#include "core/base/service_manager.hpp"
#include "core/trust/sas.hpp"
#include "device/agent/control.hpp"
#include "device/agent/enrolment.hpp"

namespace godwit::agent_app {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);
constexpr Duration kConnectPatience = std::chrono::seconds(30);
constexpr Duration kLook = std::chrono::milliseconds(100);
constexpr const char* kAgentUser = "godwit-agent";

std::string own_host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? std::string(name) : std::string();
}

/// "-": from standard input, so that the key in it is in no list of processes and no shell's history.
Result<agent::EnrolmentUrl> read_url(const EnrolFlags& flags) {
  std::string text = flags.url;
  if (text == "-") {
    text.clear();
    for (char c = 0; text.size() <= agent::kEnrolmentUrlLimit && std::cin.get(c) && c != '\n';) text += c;
    if (text.ends_with('\r')) text.pop_back();
  }
  return agent::parse_enrolment_url(text);
}

/// The agent alone reads its key.
Result<void> write_key(const Path& file, const std::string& key) {
  GODWIT_TRY_VOID(write_file_durably(file, key + "\n", 0600));
  const struct passwd* user = ::getpwnam(kAgentUser);
  if (user == nullptr) return {};  // without the package: whoever runs the agent owns the file
  if (::chown(file.c_str(), user->pw_uid, user->pw_gid) == 0) return {};
  return tl::unexpected<Error>{error_from_errno("give " + file.string() + " to the agent's user", errno)};
}

Result<void> start_agent() {
  if (const auto started = systemctl({"restart", "godwit-installer.socket", "godwit-agent.service"}); !started)
    return fail(Code::unavailable, "the configuration is written, but the agent did not start (" +
                                       started.error().message + "); see: journalctl -u godwit-agent.service");
  return {};
}

/// Errors: timed_out with what the agent says of its connection.
Result<void> wait_until_connected(const Path& config_file) {
  GODWIT_TRY(const auto config, load_config(config_file));
  const SystemClock clock;
  std::string reason = "the agent does not answer";
  for (const Duration end = clock.monotonic() + kConnectPatience; clock.monotonic() < end;) {
    if (const auto answer = agent::ask_agent(config.socket, {{"op", "status"}}); answer) {
      const auto* link = json::object_or_null(*answer, "link");
      const auto* online = link != nullptr ? json::find(*link, "online") : nullptr;
      if (online != nullptr && online->is_bool() && online->get_bool()) return {};
      if (link != nullptr) reason = json::text_or_nothing(*link, "reason").value_or(reason);
    }
    std::this_thread::sleep_for(kLook);
  }
  return fail(Code::timed_out, "the agent runs, but is not connected: " + reason +
                                   "; it goes on trying, see: "
                                   "godwit-agent health");
}

}  // namespace

void add_enrol_verb(CLI::App& app, EnrolFlags& flags) {
  auto* verb = app.add_subcommand("enrol", "Bring this device to a service, by the URL that the service printed");
  verb->add_option("url", flags.url, "'https://host:port#FINGERPRINT-KEY', in quotes; - reads it from standard input")
      ->required();
  verb->add_option("--manufacturer", flags.manufacturer, "Manufacturer of the device; updates are made for it")
      ->required();
  verb->add_option("--model", flags.model, "Model of the device; updates are made for it")->required();
  verb->add_option("--id", flags.id, "Id of this device, such as its serial number; else its host name");
  verb->add_option("--folder", flags.folder, "Where the configuration goes")->capture_default_str();
  verb->add_flag("--again", flags.again, "Replace the configuration of an earlier enrolment");
  verb->add_flag("--no-start", flags.only_write, "Write only; else the agent is started and its connection awaited");
}

Result<void> enrol(const EnrolFlags& flags) {
  const Path folder = flags.folder;
  const Path agent_file = folder / "agent.toml";
  std::error_code ignored;
  if (!flags.again && std::filesystem::exists(agent_file, ignored))
    return fail(Code::conflict, agent_file.string() +
                                    " is there already: this device belongs to a service; --again "
                                    "replaces it");
  if (::geteuid() != 0 && folder == Path("/etc/godwit"))
    return fail(Code::refused, "the configuration belongs to root; run it with sudo");
  GODWIT_TRY(const auto url, read_url(flags));
  const agent::DeviceWords words{.registration_id = flags.id.empty() ? own_host_name() : flags.id,
                                 .manufacturer = flags.manufacturer,
                                 .model = flags.model};
  const SystemClock clock;
  auto service = agent::fetch_enrolment(url, clock, kPatience);
  if (!service) return with_context("ask " + url.host + ":" + url.port, service.error());

  // Before anything is written: an earlier enrolment stays whole when this one cannot be.
  const std::string agent_toml = agent::print_agent_toml(url, *service, words);
  agent::AgentConfig config;
  GODWIT_TRY_VOID(config.schema().load_text(agent_toml, agent_file.string()));
  if (auto good = agent::complete_agent_config(config, folder); !good)
    return with_context("--id, --manufacturer or --model", good.error());

  GODWIT_TRY_VOID(make_folders(folder, 0755));
  const std::string key = trust::derive_device_key(url.group_key.reveal(), words.registration_id);
  GODWIT_TRY_VOID(write_key(folder / "device.key", base64_encode(key)));
  GODWIT_TRY_VOID(write_file_durably(folder / "ca.pem", service->ca_pem, 0644));
  GODWIT_TRY_VOID(write_file_durably(folder / "trust-anchors.json", service->trust_anchors, 0644));
  GODWIT_TRY_VOID(write_file_durably(folder / "installer.toml", agent::print_installer_toml(words), 0644));
  GODWIT_TRY_VOID(write_file_durably(agent_file, agent_toml, 0644));
  std::cout << "This device is '" << words.registration_id << "', manufacturer " << words.manufacturer << ", model "
            << words.model << "; its configuration is in " << folder.string() << "\n";
  if (flags.only_write || !is_systemd_here()) {
    std::cout << "Next: start godwit-installer and godwit-agent\n";
    return {};
  }
  GODWIT_TRY_VOID(start_agent());
  GODWIT_TRY_VOID(wait_until_connected(agent_file));
  std::cout << "It is connected to " << url.host << " and takes updates from now on\n";
  return {};
}

}  // namespace godwit::agent_app
