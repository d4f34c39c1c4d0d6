#include "apps/godwitd/instances.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "apps/godwitd/init.hpp"
#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "core/model/ids.hpp"
#include "server/hub/provisioning/registration_id.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::daemon {
namespace {

constexpr std::size_t kUrlKeyBytes = 32;
constexpr std::size_t kMostInstances = 100;

[[nodiscard]] std::string scope_of(const Config& config) {
  return config.dps_id_scope.empty() ? hub::default_id_scope(config.hub_name) : config.dps_id_scope;
}

/// Devices are told apart by these two.
[[nodiscard]] Result<void> check_distinct(const Config& first, const std::vector<InstanceFolder>& further) {
  std::map<std::string, std::string> names{{lower_case(first.hub_name), first.api_instance},
                                           {lower_case(first.api_host), first.api_instance}};
  std::map<std::string, std::string> scopes{{lower_case(scope_of(first)), first.api_instance}};
  for (const auto& one : further) {
    if (const auto [there, is_new] = names.emplace(lower_case(one.config.hub_name), one.id); !is_new)
      return fail(Code::conflict, fmt::format("the instances '{}' and '{}' both have the hub name '{}'", there->second,
                                              one.id, one.config.hub_name));
    if (const auto [there, is_new] = scopes.emplace(lower_case(scope_of(one.config)), one.id); !is_new)
      return fail(Code::conflict, fmt::format("the instances '{}' and '{}' both have the id scope '{}'", there->second,
                                              one.id, scope_of(one.config)));
  }
  return {};
}

[[nodiscard]] Result<void> check_id(const Config& first, const std::string& id) {
  if (const std::string reason = check_instance_id(id); !reason.empty())
    return fail(Code::invalid_argument, "the instance '" + id.substr(0, 64) + "' " + reason);
  if (id == first.api_instance) return fail(Code::conflict, "'" + id + "' is the first instance of this installation");
  return {};
}

}  // namespace

Result<std::vector<InstanceFolder>> find_instances(const Config& first, const Layout& installation) {
  std::vector<InstanceFolder> found;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(installation.instances(), problem)) {
    const std::string id = entry.path().filename().string();
    if (id.starts_with('.')) continue;  // one that was being made
    GODWIT_TRY_VOID(check_id(first, id));
    const Layout layout = installation.instance(id);
    GODWIT_TRY(Config config, load_instance_config(first, id, layout.instance_config()));
    found.push_back({.id = id, .config = std::move(config), .layout = layout});
  }
  if (found.size() > kMostInstances)
    return fail(Code::too_large,
                fmt::format("there are {} instances, at most {} may be", found.size(), kMostInstances));
  std::ranges::sort(found, {}, &InstanceFolder::id);
  GODWIT_TRY_VOID(check_distinct(first, found));
  return found;
}

Result<void> create_instance(const Config& first, const Layout& installation, const std::string& id,
                             const std::string& hub_name) {
  GODWIT_TRY_VOID(check_id(first, id));
  GODWIT_TRY(auto others, find_instances(first, installation));
  const Layout target = installation.instance(id);
  std::error_code ignored;
  if (std::filesystem::exists(target.data, ignored))
    return fail(Code::conflict, "there is an instance '" + id + "' already");
  Config config = first;
  config.api_instance = id;
  config.hub_name = hub_name;
  config.dps_id_scope.clear();
  config.dps_assigned_hub.clear();
  GODWIT_TRY_VOID(check_config(config));
  others.push_back({.id = id, .config = config, .layout = target});
  GODWIT_TRY_VOID(check_distinct(first, others));

  const Layout unfinished{installation.instances() / ("." + id + "." + std::to_string(::getpid()))};
  GODWIT_TRY_VOID(make_folders(installation.instances()));
  GODWIT_TRY_VOID(remove_tree(unfinished.data));
  for (const char* folder : {"secrets", "db"}) GODWIT_TRY_VOID(make_folders(unfinished.data / folder));
  GODWIT_TRY_VOID(write_file_durably(unfinished.url_key(), base64_encode(random_bytes(kUrlKeyBytes)) + "\n"));
  const std::string text =
      "# What this instance has of its own; every other key is that of the installation.\n"
      "# godwitd run --print-config explains the keys.\n\n[hub]\nname = \"" +
      hub_name + "\"\n";
  GODWIT_TRY_VOID(write_file_durably(unfinished.instance_config(), text, 0644));
  std::filesystem::rename(unfinished.data, target.data, ignored);
  if (ignored) return tl::unexpected<Error>{error_from_errno("make " + target.data.string(), ignored.value())};
  return sync_folder(installation.instances());
}

Result<void> remove_instance(const Layout& installation, const std::string& id, const std::string& confirmed) {
  if (const std::string reason = check_instance_id(id); !reason.empty())
    return fail(Code::invalid_argument, "the instance '" + id.substr(0, 64) + "' " + reason);
  const Layout layout = installation.instance(id);
  std::error_code problem;
  if (!std::filesystem::is_directory(layout.data, problem))
    return fail(Code::not_found, "there is no further instance '" + id + "'");
  if (confirmed != id)
    return fail(Code::invalid_argument, "this deletes all devices, updates and payloads of '" + id +
                                            "'; if that is what you want, add --delete-everything " + id);
  // A service that runs holds the database.
  if (std::filesystem::exists(layout.database(), problem)) {
    SystemClock clock;
    NullLog log;
    GODWIT_TRY(const auto sealer, load_or_make_sealer(layout));
    if (const auto store = store::open_sqlite_store(layout.database(), sealer, clock, log); !store)
      return with_context("stop godwitd first, if it runs", store.error());
  }
  const Path aside = installation.instances() / ("." + id + ".removed");
  GODWIT_TRY_VOID(remove_tree(aside));
  std::filesystem::rename(layout.data, aside, problem);  // from here on it is gone, whatever is cut off
  if (problem) return tl::unexpected<Error>{error_from_errno("move " + layout.data.string(), problem.value())};
  return remove_tree(aside);
}

std::string describe_instances(const Config& first, const Layout& installation,
                               const std::vector<InstanceFolder>& further) {
  std::string out = fmt::format("{:<24} {:<36} {:<20} {}\n", "INSTANCE", "HUB NAME", "ID SCOPE", "FOLDER");
  out += fmt::format("{:<24} {:<36} {:<20} {}\n", first.api_instance, first.hub_name, scope_of(first),
                     installation.data.string());
  for (const auto& one : further)
    out += fmt::format("{:<24} {:<36} {:<20} {}\n", one.id, one.config.hub_name, scope_of(one.config),
                       one.layout.data.string());
  return out;
}

}  // namespace godwit::daemon
