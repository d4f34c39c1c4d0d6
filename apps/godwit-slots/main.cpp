// godwit-slots: what a person and the init of a device ask about its two sides. This file is wiring: flags, slots.toml,
// the boot switch, and the real ports of the guard.
#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <iostream>

#include "core/base/command.hpp"
#include "core/base/json.hpp"
#include "device/slots/guard.hpp"
#include "device/slots/layout.hpp"

namespace {

using godwit::Code;
using godwit::Duration;
using godwit::Error;
using godwit::Result;
using godwit::UniqueFd;
namespace slots = godwit::slots;
namespace json = godwit::json;

constexpr int kFailed = 1;
constexpr int kWatchdogSeconds = 30;

struct Flags {
  std::string config = "/etc/godwit/slots.toml";
  bool as_json = false;
  std::string watchdog;
};

json::Object held_json(const slots::Held& held) {
  json::Object entry{{"sha256", godwit::hex_encode(held.image.sha256)},
                     {"size", static_cast<std::int64_t>(held.image.size)}};
  if (!held.last_words.empty()) entry["lastWords"] = held.last_words;
  return entry;
}

void print_text(const slots::Device& device, const slots::BootState& state, const slots::Contents& contents) {
  std::cout << "running  " << slots::side_name(device.places.running)
            << (state.good == device.places.running ? ", confirmed" : ", not confirmed") << '\n'
            << "loader   " << slots::in_words(state) << '\n';
  for (const slots::Side side : {slots::Side::a, slots::Side::b}) {
    std::cout << "side " << slots::side_name(side) << "   " << device.places.of(side).string();
    if (const auto& held = contents.of(side)) {
      std::cout << "  " << held->image.size << " bytes, sha256 " << godwit::hex_encode(held->image.sha256);
      if (!held->last_words.empty()) std::cout << "\n         last words: " << held->last_words;
    } else {
      std::cout << "  not written by an update";
    }
    std::cout << '\n';
  }
}

Result<void> show_status(const Flags& flags) {
  slots::Device device;
  GODWIT_TRY_VOID(slots::open_device(device, flags.config));
  GODWIT_TRY(const slots::BootState state, device.boot->read());
  GODWIT_TRY(const slots::Contents contents, slots::load_contents(device.disk, device.places.contents));
  if (!flags.as_json) {
    print_text(device, state, contents);
    return {};
  }
  json::Object root{{"running", slots::side_name(device.places.running)},
                    {"confirmed", state.good == device.places.running},
                    {"good", slots::side_name(state.good)},
                    {"attemptsLeft", state.attempts_left}};
  if (state.trial) root["trial"] = slots::side_name(*state.trial);
  if (state.failed) root["failed"] = slots::side_name(*state.failed);
  for (const slots::Side side : {slots::Side::a, slots::Side::b})
    if (const auto& held = contents.of(side)) root[slots::side_name(side)] = held_json(*held);
  std::cout << json::print(root) << '\n';
  return {};
}

/// The kernel's clock since its start: a guard that is started again goes on counting.
Duration up_time() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(now.tv_nsec));
}

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&signals, number);
  return signals;
}

/// Sleeps; false when SIGTERM or SIGINT, which are blocked everywhere else, came.
bool wait_for(Duration time) {
  const sigset_t signals = ending_signals();
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
  const timespec limit{whole.count(), 0};
  return ::sigtimedwait(&signals, nullptr, &limit) < 0;
}

/// Opens the watchdog and gives it a time. It is never disarmed: a device that hangs while it shuts down restarts, too.
Result<UniqueFd> open_watchdog(const std::string& path) {
  UniqueFd watchdog{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (watchdog.get() < 0) return tl::unexpected<Error>{godwit::error_from_errno("open " + path, errno)};
  int seconds = kWatchdogSeconds;
  ::ioctl(watchdog.get(), WDIOC_SETTIMEOUT, &seconds);  // one that has only a fixed time keeps it
  return watchdog;
}

Result<void> guard(const Flags& flags) {
  const sigset_t signals = ending_signals();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);

  UniqueFd watchdog;
  if (!flags.watchdog.empty()) {
    GODWIT_TRY(watchdog, open_watchdog(flags.watchdog));
  }
  slots::Device device;
  GODWIT_TRY_VOID(slots::open_device(device, flags.config));
  slots::GuardPorts ports{.up = up_time,
                          .feed = {},
                          .wait = wait_for,
                          .restart = [&]() -> Result<void> {
                            GODWIT_TRY(const auto done, godwit::run_command(device.config.restart_command, "", {}));
                            if (!done.ok())
                              return godwit::fail(Code::io_failed,
                                                  device.config.restart_command.front() + " " + done.in_words());
                            return {};
                          },
                          .restart_at_once =
                              [] {
                                ::sync();
                                ::reboot(RB_AUTOBOOT);
                              }};
  if (watchdog.get() >= 0)
    ports.feed = [&]() -> Result<void> {
      if (::write(watchdog.get(), "\n", 1) != 1)
        return tl::unexpected<Error>{godwit::error_from_errno("feed " + flags.watchdog, errno)};
      return {};
    };
  godwit::FdLog log{STDERR_FILENO, godwit::LogLevel::info, godwit::LogFormat::text};
  return slots::guard_trial(device.disk, *device.boot, device.places, device.config.trial_time, ports, log);
}

Result<void> print_config(const Flags& flags, bool config_was_given) {
  slots::SlotsConfig config;
  auto keys = config.schema();
  if (config_was_given) GODWIT_TRY_VOID(keys.load_file(flags.config));
  std::cout << keys.print();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  bool wants_config = false;
  CLI::App app{"The two sides of a device, A and B: which one runs, what the boot loader does next."};
  app.set_version_flag("--version", "godwit-slots " GODWIT_VERSION);
  const auto* config_flag = app.add_option("--config", flags.config, "Configuration file")->capture_default_str();
  app.add_flag("--print-config", wants_config, "Print the effective configuration and end");
  app.fallthrough();
  app.require_subcommand(0, 1);
  auto* status = app.add_subcommand("status", "Show both sides (the default)");
  status->add_flag("--json", flags.as_json, "For programs");
  auto* guard_command = app.add_subcommand(
      "guard", "Restart the device when the side that runs on trial is not confirmed in time; for init or systemd");
  guard_command->add_option("--watchdog", flags.watchdog,
                            "Feed this watchdog, such as /dev/watchdog, for as long as all is well");
  CLI11_PARSE(app, argc, argv);

  const auto done = wants_config              ? print_config(flags, config_flag->count() > 0)
                    : guard_command->parsed() ? guard(flags)
                                              : show_status(flags);
  if (done) return 0;
  std::cerr << "godwit-slots: " << done.error().message << '\n';
  return kFailed;
}
