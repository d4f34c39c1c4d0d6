#include "apt_system.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <thread>

#include "core/base/clock.hpp"
#include "core/base/command.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "support/child_process.hpp"

namespace godwit::step_apt {
namespace {

constexpr const char* kAptGet = "/usr/bin/apt-get";
constexpr const char* kAptMark = "/usr/bin/apt-mark";
constexpr const char* kDpkg = "/usr/bin/dpkg";
constexpr const char* kArchives = "/var/cache/apt/archives";
constexpr const char* kDpkgQuery = "/usr/bin/dpkg-query";
constexpr auto kLocks = std::to_array<const char*>(
    {"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"});
constexpr std::size_t kOutputLimit = 32 * 1024 * 1024;
constexpr std::chrono::milliseconds kLockPause{500};
constexpr int kLockRetries = 20;  // lost races for a lock that was free a moment ago

/// Nothing asks, nothing restarts services behind our back, conffiles stay as the device has them.
const std::vector<std::string> kEnvironment{"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true",
                                            "APT_LISTCHANGES_FRONTEND=none",  "UCF_FORCE_CONFFOLD=1",
                                            "NEEDRESTART_SUSPEND=1",          "LC_ALL=C.UTF-8"};

/// Who holds a lock that was taken with fcntl(), as apt and dpkg do; nothing: it is free.
std::optional<std::string> holder_of(const char* path) {
  const UniqueFd fd{::open(path, O_RDWR | O_CLOEXEC)};
  if (!fd) return std::nullopt;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd.get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return std::nullopt;
  const auto name = read_file(fmt::format("/proc/{}/comm", lock.l_pid), 4096);
  return fmt::format("process {} ({}) holds {}", lock.l_pid, name ? std::string(trimmed(*name)) : "?", path);
}

std::optional<std::string> holder_of_any() {
  for (const char* path : kLocks)
    if (auto holder = holder_of(path)) return holder;
  return std::nullopt;
}

bool is_lock_trouble(const ErrorLines& errors) {
  return errors.mention("Could not get lock") || errors.mention("Unable to acquire the dpkg frontend lock") ||
         errors.mention("Unable to lock directory") || errors.mention("lock was locked by another process");
}

/// An empty network has "lo" only.
bool has_network() {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net", none))
    if (entry.path().filename() != "lo") return true;
  const auto text = read_file("/proc/self/net/route", 64 * 1024);
  return text && std::count(text->begin(), text->end(), '\n') > 1;
}

std::uint32_t code_for(const ErrorLines& errors, const author::ChildEnd& end) {
  if (errors.mention("Unable to locate package") || errors.mention("was not found") ||
      errors.mention("has no installation candidate"))
    return code::not_found;
  if (errors.mention("dpkg was interrupted")) return code::broken;
  const auto status = static_cast<unsigned>(end.signal != 0 ? 128 + end.signal : end.exit_status);
  return code::apt_exit + (status & 0xFFU);
}

}  // namespace

author::Outcome Trouble::outcome() const {
  return {was_cancelled ? result::cancelled : result::failure, was_cancelled ? 0 : extended_code, details};
}

Result<std::string> AptSystem::output_of(const std::vector<std::string>& words) const {
  GODWIT_TRY(const CommandEnd end, run_command(words, "", {.time = std::chrono::minutes(5), .output = kOutputLimit}));
  if (!end.ok())
    return fail(Code::process_failed, fmt::format("{} {}: {}", words.front(), end.in_words(),
                                                  trimmed(std::string_view(end.output).substr(0, 500))));
  return end.output;
}

Result<InstalledPackages> AptSystem::installed() const {
  GODWIT_TRY(const std::string output, output_of({kDpkgQuery, "-W", "-f", std::string(kQueryFormat)}));
  return parse_dpkg_query(output);
}

Trouble AptSystem::wait_for_locks(bool heeds_cancel) const {
  const SystemClock clock;
  const Duration end = clock.monotonic() + lock_wait_;
  std::string told;
  for (;;) {
    const auto holder = holder_of_any();
    if (!holder) return {};
    if (heeds_cancel && host_.is_cancelled()) return {.details = "cancelled while " + *holder, .was_cancelled = true};
    if (*holder != told) host_.info("waiting: " + *holder);
    told = *holder;
    if (clock.monotonic() >= end)
      return {.extended_code = code::locked,
              .details = fmt::format("the package system was not free within {} s: {}", lock_wait_.count(), told)};
    std::this_thread::sleep_for(kLockPause);
  }
}

Trouble AptSystem::run_once(const Path& program, const std::vector<std::string>& words, bool heeds_cancel) const {
  ErrorLines errors;
  const author::ChildWatch watch{.on_line =
                                     [&](std::string_view line) {
                                       if (const auto percent = status_percent(line)) {
                                         host_.progress(*percent, 100);
                                         return;
                                       }
                                       if (is_status_line(line)) return;
                                       errors.take(line);
                                       host_.info(fmt::format("{}: {}", program.filename().string(), line));
                                     },
                                 .is_cancelled = [&] { return heeds_cancel && host_.is_cancelled(); },
                                 .term_grace = std::chrono::seconds(8)};
  const auto end = author::run_child(program, words, kEnvironment, work_dir_, watch);
  if (!end) return {.extended_code = author::kRefused, .details = end.error().message};
  if (end->was_cancelled)
    return {.details = program.filename().string() + " was ended because of a cancel", .was_cancelled = true};
  if (end->is_success()) return {};
  if (is_lock_trouble(errors)) return {.extended_code = code::locked, .details = errors.text()};
  std::string details = fmt::format("{} {}: {}", program.filename().string(), author::how_it_ended(*end),
                                    errors.text().empty() ? end->last_output : errors.text());
  if (!has_network() && errors.mention("Err:")) details += "; this handler has no network: register it with --network";
  return {.extended_code = code_for(errors, *end), .details = std::move(details)};
}

Trouble AptSystem::run(const Path& program, const std::vector<std::string>& words, bool heeds_cancel) const {
  for (int tried = 0;; ++tried) {
    if (Trouble trouble = wait_for_locks(heeds_cancel)) return trouble;
    Trouble trouble = run_once(program, words, heeds_cancel);
    if (trouble.extended_code != code::locked || tried >= kLockRetries) return trouble;
    std::this_thread::sleep_for(kLockPause);
  }
}

/// dpkg has taken the earlier version half away then and configures neither; apt-get -f leaves it so. The version that
/// dpkg names comes once more; what was not there before goes.
Trouble AptSystem::put_back_what_was_cut() const {
  const auto output = output_of({kDpkgQuery, "-W", "-f", std::string(kMessFormat)});
  if (!output) return {.extended_code = code::broken, .details = output.error().message};
  Trouble first;
  for (const Wish& package : packages_in_a_mess(*output)) {
    const Trouble trouble = package.is_removal
                                ? run(kDpkg, {"--force-remove-reinstreq", "--remove", package.name}, false)
                                : install({apt_word(package)}, {.heeds_cancel = false, .reinstalls = true});
    if (!first) first = trouble;
  }
  return first;
}

Trouble AptSystem::repair() const {
  if (Trouble trouble = wait_for_locks(true)) return trouble;
  const auto audit = [&] { return output_of({kDpkg, "--audit"}); };
  const auto is_whole = [&](const Result<std::string>& said) {
    std::error_code none;
    return said && trimmed(*said).empty() && std::filesystem::is_empty("/var/lib/dpkg/updates", none);
  };
  if (is_whole(audit())) return {};
  host_.warning("dpkg was interrupted earlier; finishing what it left");
  const Trouble configured = run(kDpkg, {"--force-confdef", "--force-confold", "--configure", "-a"}, false);
  if (configured.extended_code == code::locked) return configured;
  const Trouble fixed = run(
      kAptGet,
      {"-y", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "-f", "install"}, false);
  auto after = audit();
  if (is_whole(after)) return {};
  const Trouble put_back = put_back_what_was_cut();
  after = audit();
  if (is_whole(after)) return {};
  const Trouble& worse = put_back ? put_back : fixed ? fixed : configured;
  return {.extended_code = code::broken,
          .details = fmt::format("the package system is broken and could not be repaired: {}{}", worse.details,
                                 after ? "; dpkg --audit: " + after->substr(0, 300) : "")};
}

void AptSystem::refresh_lists() const {
  if (const Trouble trouble = run(kAptGet, {"-q", "update"}, true))
    host_.warning("apt-get update failed, going on with the lists that are there: " + trouble.details);
}

Trouble AptSystem::install(const std::vector<std::string>& words, const Run& how) const {
  std::vector<std::string> all{"-y",
                               "-q",
                               "--allow-downgrades",
                               "-o",
                               "APT::Cmd::Pattern-Only=true",
                               "-o",
                               "Dpkg::Use-Pty=false",  // else dpkg leads a session of its own and outlives an act
                               "-o",
                               "APT::Status-Fd=1",
                               "-o",
                               "DPkg::Lock::Timeout=30",
                               "-o",
                               "Dpkg::Options::=--force-confdef",
                               "-o",
                               "Dpkg::Options::=--force-confold"};
  if (how.only_download) all.emplace_back("--download-only");
  if (how.reinstalls) all.emplace_back("--reinstall");
  if (!how.may_download)  // no repository is known then; --no-download does not get along with .deb files
    all.insert(all.end(), {"-o", "Dir::Etc::SourceList=/dev/null", "-o", "Dir::Etc::SourceParts=/dev/null"});
  all.emplace_back("install");
  all.emplace_back("--");
  all.insert(all.end(), words.begin(), words.end());
  return run(kAptGet, all, how.heeds_cancel);
}

Result<std::vector<std::string>> AptSystem::would_touch(const std::vector<std::string>& words) const {
  std::vector<std::string> all{kAptGet,   "-s", "-y", "--allow-downgrades", "-o", "APT::Cmd::Pattern-Only=true",
                               "install", "--"};
  all.insert(all.end(), words.begin(), words.end());
  GODWIT_TRY(const std::string output, output_of(all));
  return parse_simulation(output);
}

Result<std::vector<std::string>> AptSystem::automatic_packages() const {
  GODWIT_TRY(const std::string output, output_of({kAptMark, "showauto"}));
  std::vector<std::string> names;
  std::string_view rest = output;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    if (is_package_name(rest.substr(0, end))) names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

Trouble AptSystem::mark_automatic(const std::vector<std::string>& names) const {
  std::vector<std::string> words{"auto"};
  words.insert(words.end(), names.begin(), names.end());
  return run(kAptMark, words, false);
}

bool AptSystem::fetch(const std::string& name, const std::string& version, const Path& folder) const {
  const author::ChildWatch watch{.on_line = [&](std::string_view line) { host_.debug(line); },
                                 .is_cancelled = [&] { return host_.is_cancelled(); }};
  const auto end =
      author::run_child(kAptGet, {"-q", "download", "--", name + "=" + version}, kEnvironment, folder, watch);
  if (end && end->is_success()) return true;
  // The repositories may have moved on; what apt fetched at the time may still be there.
  std::string marked;  // as in file names: the epoch's ':' is "%3a"
  for (const char c : version) marked += c == ':' ? std::string("%3a") : std::string(1, c);
  const std::string start = name.substr(0, name.find(':')) + "_" + marked + "_";
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(kArchives, problem)) {
    const std::string file = entry.path().filename().string();
    if (!file.starts_with(start) || !file.ends_with(".deb")) continue;
    std::error_code failure;
    std::filesystem::copy_file(entry.path(), folder / file, std::filesystem::copy_options::overwrite_existing, failure);
    if (!failure) return true;
  }
  return false;
}

}  // namespace godwit::step_apt
