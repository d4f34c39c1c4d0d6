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
#include "device/slots/health.hpp"
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
constexpr int kRestartNeeded = 3;  // of restore: the other side comes back with a restart
constexpr int kNo = 4;             // the slots' answer is no: on trial, fell back, not healthy
constexpr int kWatchdogSeconds = 30;

struct Flags {
  std::string config = "/etc/godwit/slots.toml";
  bool as_json = false;
  std::string watchdog;
  std::uint64_t size = 0;
  std::string sha256;
};

json::Object held_json(const slots::Held& held) {
  json::Object entry{{"sha256", godwit::hex_encode(held.image.sha256)},
                     {"size", static_cast<std::int64_t>(held.image.size)}};
  if (!held.last_words.empty()) entry["lastWords"] = held.last_words;
  json::Object pairs;
  for (const auto& [name, content] : held.pairs)
    pairs[name] =
        json::Object{{"sha256", godwit::hex_encode(content.sha256)}, {"size", static_cast<std::int64_t>(content.size)}};
  if (!pairs.empty()) entry["pairs"] = std::move(pairs);
  return entry;
}

void print_pairs(const slots::Device& device, slots::Side side, const std::optional<slots::Held>& held) {
  for (const slots::Pair& pair : device.places.pairs) {
    std::cout << "         " << pair.name << "  " << pair.of(side).string();
    const auto content = held ? held->pairs.find(pair.name) : slots::PairContents::const_iterator{};
    if (held && content != held->pairs.end())
      std::cout << "  " << content->second.size << " bytes, sha256 " << godwit::hex_encode(content->second.sha256);
    std::cout << '\n';
  }
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
    print_pairs(device, side, contents.of(side));
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

// ---- for another installer: SWUpdate, a script ----

/// "B /dev/vda4": the side that may be written, and its partition.
void print_other(const slots::Device& device) {
  const slots::Side there = slots::other(device.places.running);
  std::cout << slots::side_name(there) << ' ' << device.places.of(there).string() << '\n';
}

Result<int> show_idle(const Flags& flags) {
  slots::Device device;
  GODWIT_TRY_VOID(slots::open_device(device, flags.config));
  print_other(device);
  return 0;
}

/// Says the answer, and what the exit status is for it.
int tell(const slots::Answer& answer, int on_restart) {
  const bool is_no = answer.kind != slots::Answer::Kind::done && answer.kind != slots::Answer::Kind::restart;
  if (!answer.details.empty()) (is_no ? std::cerr << "godwit-slots: " : std::cout) << answer.details << '\n';
  if (is_no) return kNo;
  return answer.kind == slots::Answer::Kind::restart ? on_restart : 0;
}

using Ask = Result<slots::Answer> (*)(slots::Slots&, const slots::Device&, const Flags&);

template <Ask kAsk>
Result<int> ask(const Flags& flags, int on_restart) {
  slots::Device device;
  GODWIT_TRY_VOID(slots::open_device(device, flags.config));
  GODWIT_TRY_VOID(godwit::make_folders(device.config.data));
  slots::Slots door(device.disk, *device.boot, device.places);
  GODWIT_TRY(const slots::Answer answer, kAsk(door, device, flags));
  return tell(answer, on_restart);
}

Result<slots::Answer> begin(slots::Slots& door, const slots::Device& device, const Flags&) {
  slots::forget_panic(device.config);
  GODWIT_TRY(const slots::Answer answer, door.free_other());
  if (answer.kind == slots::Answer::Kind::done) print_other(device);
  return answer;
}

Result<slots::Answer> try_other(slots::Slots& door, const slots::Device&, const Flags& flags) {
  godwit::Bytes digest;
  if (!flags.sha256.empty()) {
    auto raw = godwit::hex_decode(flags.sha256);
    if (!raw || raw->size() != 32 || flags.size == 0)
      return godwit::fail(Code::invalid_argument, "--sha256 takes 64 hexadecimal digits, and needs --size");
    digest = *std::move(raw);
  }
  return door.take_over(flags.size, digest, {});
}

Result<slots::Answer> confirm(slots::Slots& door, const slots::Device& device, const Flags&) {
  const slots::HealthWatch watch{
      .on_no = [](const std::string& why) { std::cerr << "not healthy yet: " << why << '\n'; }};
  GODWIT_TRY(slots::Answer answer, door.settle([&] { return slots::wait_until_healthy(device.config, watch); }));
  if (answer.kind == slots::Answer::Kind::fell_back) answer.details += slots::panic_words(device.config);
  return answer;
}

Result<slots::Answer> restore(slots::Slots& door, const slots::Device&, const Flags&) { return door.take_back(); }

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
  auto* idle = app.add_subcommand("idle", "Print the side that does not run and its partition: \"B /dev/vda4\"");
  auto* begin_command = app.add_subcommand(
      "begin", "Take that side out of the boot loader's choice, so that another installer may write it; prints it");
  auto* try_command = app.add_subcommand(
      "try", "After it was written: read it back, record what it holds, let the boot loader try it at the next start");
  try_command->add_option("--size", flags.size, "Bytes of the image; without it the whole partition");
  try_command->add_option("--sha256", flags.sha256, "What these bytes must have; needs --size");
  auto* confirm_command = app.add_subcommand(
      "confirm",
      "After the restart: ask the health check and keep the side; says why where it was given up (status 4)");
  auto* restore_command =
      app.add_subcommand("restore", "Take back what was not confirmed; status 3: the device has to be restarted");
  CLI11_PARSE(app, argc, argv);

  const auto run = [&]() -> Result<int> {
    if (!wants_config && idle->parsed()) return show_idle(flags);
    if (!wants_config && begin_command->parsed()) return ask<begin>(flags, 0);
    if (!wants_config && try_command->parsed()) return ask<try_other>(flags, 0);
    if (!wants_config && confirm_command->parsed()) return ask<confirm>(flags, 0);
    if (!wants_config && restore_command->parsed()) return ask<restore>(flags, kRestartNeeded);
    GODWIT_TRY_VOID(wants_config              ? print_config(flags, config_flag->count() > 0)
                    : guard_command->parsed() ? guard(flags)
                                              : show_status(flags));
    return 0;
  };
  const auto status_code = run();
  if (status_code) return *status_code;
  std::cerr << "godwit-slots: " << status_code.error().message << '\n';
  return kFailed;
}
