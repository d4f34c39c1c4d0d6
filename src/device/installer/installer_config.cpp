#include "device/installer/installer_config.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/base/text.hpp"
#include "core/model/text.hpp"

namespace godwit::installer {
namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr std::int64_t kDay = 24 * kHour;

Result<void> need(const std::string& value, std::string_view key) {
  if (!value.empty()) return {};
  return fail(Code::invalid_argument, fmt::format("{} is missing: updates are chosen by it", key));
}

Result<CompatibilitySet> all_properties(const InstallerConfig& config) {
  CompatibilitySet all{{"manufacturer", config.manufacturer}, {"model", config.model}};
  for (const std::string& line : config.properties) {
    const auto equals = line.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == line.size())
      return fail(Code::invalid_argument,
                  fmt::format("device.properties: '{}' must look like \"location=plant7\"", line));
    if (!all.emplace(line.substr(0, equals), line.substr(equals + 1)).second)
      return fail(
          Code::invalid_argument,
          fmt::format("device.properties: '{}' is given twice or belongs to device.manufacturer or device.model",
                      line.substr(0, equals)));
  }
  return all;
}

}  // namespace

config::Schema InstallerConfig::schema() {
  config::Schema keys;
  keys.add({.name = "installer.data",
            .target = &data,
            .help = "Folder for work, journal, root keys and extensions.json; only root may write it."});
  keys.add({.name = "installer.socket", .target = &socket, .help = "Socket that the agent speaks to."});
  keys.add({.name = "installer.agent_user",
            .target = &agent_user,
            .help = "Name or number of the user that godwit-agent runs as; nobody else but root is heard."});
  keys.add({.name = "installer.trust_anchors",
            .target = &trust_anchors,
            .help = "Root keys that this device believes; owned by root."});

  keys.add({.name = "device.manufacturer",
            .target = &manufacturer,
            .help = "Manufacturer of the device; needed, the same as in agent.toml."});
  keys.add(
      {.name = "device.model", .target = &model, .help = "Model of the device; needed, the same as in agent.toml."});
  keys.add({.name = "device.properties",
            .target = &properties,
            .help = "More properties of the device, as \"name=value\"."});
  keys.add({.name = "device.compat_property_names",
            .target = &compat_property_names,
            .help = "Which properties an update must match: 1 to 5 names."});

  keys.add({.name = "limits.plan",
            .target = &plan,
            .help = "Longest time for making a plan from a manifest.",
            .minimum = kSecond,
            .maximum = kHour});
  keys.add({.name = "limits.is_installed",
            .target = &is_installed,
            .help = "Longest time for asking a step whether it is in place.",
            .minimum = kSecond,
            .maximum = kDay});
  keys.add({.name = "limits.download",
            .target = &download,
            .help = "Longest time for a step's own preparations.",
            .minimum = kSecond,
            .maximum = 7 * kDay});
  keys.add({.name = "limits.backup",
            .target = &backup,
            .help = "Longest time for a step's backup.",
            .minimum = kSecond,
            .maximum = 7 * kDay});
  keys.add({.name = "limits.install",
            .target = &install,
            .help = "Longest time for a step's install.",
            .minimum = kSecond,
            .maximum = 7 * kDay});
  keys.add({.name = "limits.apply",
            .target = &apply,
            .help = "Longest time for a step's apply.",
            .minimum = kSecond,
            .maximum = 7 * kDay});
  keys.add({.name = "limits.restore",
            .target = &restore,
            .help = "Longest time for a step's restore.",
            .minimum = kSecond,
            .maximum = 7 * kDay});
  keys.add({.name = "limits.cancel_grace",
            .target = &cancel_grace,
            .help = "Time for a step to end after it was asked to, before it is killed.",
            .minimum = 0,
            .maximum = kHour});
  keys.add({.name = "limits.idle_exit",
            .target = &idle_exit,
            .help = "Quiet time after which the memory of the working half is given back.",
            .minimum = 0,
            .maximum = kDay});
  keys.add(
      {.name = "limits.reserve", .target = &reserve, .help = "Space that copying payloads leaves free on the disk."});

  keys.add(
      {.name = "restart.command",
       .target = &restart_command,
       .help = "Program and arguments that restart the device when a step asks for it; an absolute path, no shell."});
  keys.add({.name = "restart.time_limit",
            .target = &restart_time_limit,
            .help = "Longest time for the restart command itself.",
            .minimum = kSecond,
            .maximum = kHour});

  keys.add({.name = "log.level",
            .target = &log_level,
            .help = "Least level that is written.",
            .choices = {"debug", "info", "warning", "error"}});
  keys.add({.name = "log.format", .target = &log_format, .help = "Form of a log line.", .choices = {"text", "json"}});
  return keys;
}

CompatibilitySet InstallerConfig::compatibility() const {
  CompatibilitySet set;
  const auto all = all_properties(*this);
  if (!all) return set;
  for (const std::string& name : compat_property_names)
    if (const auto property = all->find(name); property != all->end()) set.insert(*property);
  return set;
}

Duration InstallerConfig::time_limit(Verb verb) const {
  switch (verb) {
    case Verb::is_installed: return is_installed;
    case Verb::download: return download;
    case Verb::backup: return backup;
    case Verb::install: return install;
    case Verb::apply: return apply;
    case Verb::restore: return restore;
    case Verb::cancel_note: return plan;
  }
  return plan;
}

Result<void> complete_installer_config(InstallerConfig& config, const Path& folder) {
  GODWIT_TRY_VOID(need(config.manufacturer, "device.manufacturer"));
  GODWIT_TRY_VOID(need(config.model, "device.model"));
  GODWIT_TRY(const CompatibilitySet all, all_properties(config));
  if (config.compat_property_names.empty() || config.compat_property_names.size() > 5)
    return fail(Code::invalid_argument, "device.compat_property_names must hold 1 to 5 names");
  for (const std::string& name : config.compat_property_names)
    if (!all.contains(name))
      return fail(
          Code::invalid_argument,
          fmt::format("device.compat_property_names names '{}', but device.properties has no such property", name));
  if (config.restart_command.empty() || !Path(config.restart_command.front()).is_absolute())
    return fail(Code::invalid_argument, "restart.command must begin with the absolute path of a program");
  for (Path* path : {&config.data, &config.socket, &config.trust_anchors}) {
    if (path->is_relative()) *path = folder / *path;
    *path = path->lexically_normal();
  }
  return {};
}

Result<InstallerConfig> load_installer_config(const Path& file) {
  InstallerConfig config;
  config::Schema keys = config.schema();
  GODWIT_TRY_VOID(check_private(file));
  GODWIT_TRY_VOID(keys.load_file(file));
  std::error_code problem;
  const Path absolute = std::filesystem::absolute(file, problem);
  if (auto complete = complete_installer_config(config, absolute.parent_path()); !complete)
    return with_context(file.string(), complete.error());
  return config;
}

Result<uid_t> find_user(const std::string& user) {
  if (!user.empty() && std::all_of(user.begin(), user.end(), is_ascii_digit)) {
    const auto number = to_number<uid_t>(user);
    if (!number)
      return fail(Code::invalid_argument,
                  fmt::format("installer.agent_user: {} is too large for a user's number", user));
    return *number;
  }
  std::vector<char> buffer(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return fail(
        Code::invalid_argument,
        fmt::format("installer.agent_user: there is no user '{}' on this device; make it with: useradd --system {}",
                    user, user));
  return found->pw_uid;
}

Result<void> check_private(const Path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {};
  if (info.st_uid != 0 && info.st_uid != ::geteuid())
    return fail(Code::refused,
                fmt::format("{} belongs to user {}; run: chown root {}", file.string(), info.st_uid, file.string()));
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::refused, fmt::format("{} may be written by others (mode {:04o}); run: chmod go-w {}",
                                           file.string(), info.st_mode & 07777U, file.string()));
  return {};
}

}  // namespace godwit::installer
