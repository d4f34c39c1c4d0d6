// The border of microsoft/apt:1 (an APT manifest) and godwit/deb:1 (.deb files): both end in apt-get install.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>

#include "apt_manifest.hpp"
#include "apt_system.hpp"
#include "apt_words.hpp"
#include "core/base/clock.hpp"
#include "core/base/command.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"

namespace {

using godwit::Code;
using godwit::Path;
using godwit::Result;
using godwit::author::Host;
using godwit::author::Outcome;
namespace author = godwit::author;
namespace json = godwit::json;
namespace result = godwit::result;
using namespace godwit::step_apt;

const Path kStateFolder = "/var/lib/godwit-apt";
constexpr std::string_view kRecordsName = "installedcriteria";
constexpr std::string_view kBackupName = "apt-backup.json";
constexpr std::string_view kBackupFolder = "apt-backup";
constexpr godwit::ByteCount kOwnFileLimit = 16 * 1024 * 1024;
constexpr std::int64_t kLockWaitDefault = 600;
constexpr std::int64_t kLockWaitLimit = 86400;

/// What a step wants, whichever of the two kinds it is.
struct Order {
  bool is_deb = false;
  bool is_ready = true;  // the files are on the device
  bool may_download = true;
  bool restarts_agent = false;
  std::optional<std::string> criteria{};
  std::chrono::seconds lock_wait{kLockWaitDefault};
  std::vector<Wish> wishes{};
  std::vector<std::string> words{};  // for apt-get
};

struct OrderOrTrouble {
  Order order{};
  Trouble trouble{};
};

std::string refusal(const godwit::Error& error) { return error.message; }

/// The package that a .deb file holds. Errors: invalid_argument (it is none).
Result<Wish> package_in(const Path& deb) {
  GODWIT_TRY(const godwit::CommandEnd end,
             godwit::run_command(
                 {"/usr/bin/dpkg-deb", "--showformat=${Package}:${Architecture}\t${Version}", "--show", deb.string()},
                 "", {.time = std::chrono::minutes(2)}));
  const std::string name = deb.filename().string();
  const auto tab = end.output.find('\t');
  if (!end.ok() || tab == std::string::npos)
    return godwit::fail(
        Code::invalid_argument,
        fmt::format("{} is no Debian package: {}", name, godwit::trimmed(std::string_view(end.output).substr(0, 300))));
  Wish wish{.name = end.output.substr(0, tab), .version = end.output.substr(tab + 1)};
  if (!is_package_name(wish.name) || !is_version(wish.version))
    return godwit::fail(Code::invalid_argument, name + " has a package name or version that Debian does not allow");
  return wish;
}

Trouble take_manifest(Order& order, const godwit_step& step) {
  if (step.file_count != 1)
    return {.extended_code = code::bad_manifest,
            .details = fmt::format("the step has {} files; it takes exactly one, the APT manifest", step.file_count)};
  if (!order.criteria || order.criteria->empty())
    return {.extended_code = code::no_criteria, .details = "handlerProperties.installedCriteria is missing"};
  if (step.files[0]->path.size == 0) {
    order.is_ready = false;
    return {};
  }
  const auto text = godwit::read_file(author::str(step.files[0]->path), kManifestLimit);
  if (!text) return {.extended_code = code::bad_manifest, .details = refusal(text.error())};
  const auto manifest = parse_apt_manifest(*text);
  if (!manifest) return {.extended_code = code::bad_manifest, .details = "APT manifest: " + refusal(manifest.error())};
  order.restarts_agent = manifest->restarts_agent;
  order.wishes = manifest->packages;
  for (const Wish& wish : order.wishes) order.words.push_back(apt_word(wish));
  return {};
}

Trouble take_debs(Order& order, const godwit_step& step) {
  if (step.file_count == 0)
    return {.extended_code = code::bad_deb, .details = "the step has no files; it takes at least one .deb"};
  for (std::size_t i = 0; i < step.file_count; ++i) {
    const std::string name = author::str(step.files[i]->name);
    if (!name.ends_with(".deb")) return {.extended_code = code::bad_deb, .details = name + " does not end in .deb"};
    if (step.files[i]->path.size == 0) {
      order.is_ready = false;
      continue;
    }
    const Path path = author::str(step.files[i]->path);
    auto wish = package_in(path);
    if (!wish) return {.extended_code = code::bad_deb, .details = refusal(wish.error())};
    order.wishes.push_back(*std::move(wish));
    order.words.push_back(path.string());
  }
  return {};
}

OrderOrTrouble read_order(const godwit_step& step) {
  OrderOrTrouble made;
  Order& order = made.order;
  const auto properties = json::parse_object(author::view(step.handler_properties_json));
  if (!properties) {
    made.trouble = {.extended_code = author::kRefused, .details = "handlerProperties: " + refusal(properties.error())};
    return made;
  }
  if (step.installed_criteria.data != nullptr) order.criteria = author::str(step.installed_criteria);
  if (const json::Value* wait = json::find(*properties, "lockTimeoutSeconds"); wait != nullptr && !wait->is_null()) {
    const auto seconds = json::integer_or_nothing(*properties, "lockTimeoutSeconds");
    if (!seconds || *seconds < 1 || *seconds > kLockWaitLimit) {
      made.trouble = {.extended_code = author::kRefused,
                      .details = "handlerProperties.lockTimeoutSeconds is not a whole number of 1 to 86400"};
      return made;
    }
    order.lock_wait = std::chrono::seconds(*seconds);
  }
  order.is_deb = author::view(step.handler_id).starts_with("godwit/deb:");
  if (order.is_deb) {
    const json::Value* fetch = json::find(*properties, "fetchDependencies");
    if (fetch != nullptr && !fetch->is_null() && !fetch->is_bool()) {
      made.trouble = {.extended_code = author::kRefused,
                      .details = "handlerProperties.fetchDependencies is neither true nor false"};
      return made;
    }
    order.may_download = fetch != nullptr && fetch->is_bool() && fetch->get_bool();
  }
  made.trouble = order.is_deb ? take_debs(order, step) : take_manifest(order, step);
  return made;
}

std::vector<Record> read_records(const Host& host) {
  const auto text = godwit::read_file(kStateFolder / kRecordsName, kOwnFileLimit);
  if (!text) return {};
  auto records = parse_records(*text);
  if (!records)
    host.warning("the record of installed criteria cannot be read, it starts anew: " + records.error().message);
  return records ? *std::move(records) : std::vector<Record>{};
}

Result<void> write_records(const std::vector<Record>& records) {
  GODWIT_TRY_VOID(godwit::make_folders(kStateFolder, 0755));
  return godwit::write_file_durably(kStateFolder / kRecordsName, print_records(records), 0644);
}

Outcome failed(std::uint32_t extended_code, std::string details) {
  return {result::failure, extended_code, std::move(details)};
}

/// In place: recorded under these criteria, and dpkg agrees. For .deb files that are there dpkg's word is enough.
Outcome is_installed(const Host& host, const godwit_step&, const Order& order, const AptSystem& apt) {
  const auto packages = apt.installed();
  if (!packages) return failed(author::kRefused, packages.error().message);
  if (order.is_ready)
    if (const auto missing = what_is_missing(order.wishes, *packages)) return {result::not_installed, 0, *missing};
  if (order.is_deb && order.is_ready) return {result::is_installed, 0, ""};
  const auto records = read_records(host);
  const auto mine = std::find_if(records.begin(), records.end(),
                                 [&](const Record& record) { return order.criteria == record.criteria; });
  if (mine == records.end()) return {result::not_installed, 0, "never applied under these criteria"};
  if (const auto missing = what_is_missing(mine->packages, *packages))
    return {result::not_installed, 0, "changed since it was applied: " + *missing};
  return {result::is_installed, 0, ""};
}

Outcome download(const Host& host, const godwit_step&, const Order& order, const AptSystem& apt) {
  if (!order.may_download) return {result::download_ok, 0, ""};
  if (const Trouble trouble = apt.repair()) {
    if (trouble.extended_code != code::broken) return trouble.outcome();
    host.warning(trouble.details);  // the step may bring what mends it
  }
  apt.refresh_lists();
  if (const Trouble trouble = apt.install(order.words, {.only_download = true})) return trouble.outcome();
  return {result::download_ok, 0, ""};
}

/// Notes what the step is about to touch, and fetches the .deb files of the versions that are there, as far as they are
/// still to be had. A note that is there stays: the restore that would have ended it did not.
Outcome backup(const Host& host, const godwit_step& step, const Order& order, const AptSystem& apt) {
  const Path work = author::str(step.work_dir);
  if (std::filesystem::exists(work / kBackupName)) return {result::backup_ok, 0, ""};
  const auto packages = apt.installed();
  const auto automatic = apt.automatic_packages();
  if (!packages || !automatic)
    return failed(author::kRefused, packages ? automatic.error().message : packages.error().message);
  auto names = apt.would_touch(order.words);
  if (!names) host.warning("what the step will touch is not known: " + names.error().message);
  std::vector<std::string> touched = names ? *std::move(names) : std::vector<std::string>{};
  for (const Wish& wish : order.wishes) {
    const std::string plain = wish.name.substr(0, wish.name.find(':'));
    if (std::find(touched.begin(), touched.end(), plain) == touched.end() &&
        std::find(touched.begin(), touched.end(), wish.name) == touched.end())
      touched.push_back(wish.name);
  }
  if (auto made = godwit::make_folders(work / kBackupFolder); !made)
    return failed(author::kRefused, made.error().message);
  std::vector<Before> before;
  for (const std::string& name : touched) {
    const auto found = packages->find(name);
    const std::string version = found == packages->end() ? "" : found->second.version;
    before.push_back({.name = name,
                      .version = version,
                      .is_automatic = std::find(automatic->begin(), automatic->end(), name) != automatic->end()});
    if (host.is_cancelled()) return {result::cancelled, 0, "cancelled while keeping earlier versions"};
    if (!version.empty() && !apt.fetch(name, version, work / kBackupFolder))
      host.warning(fmt::format("{} {} is nowhere to be had; a restore needs it from a repository", name, version));
  }
  ::sync();  // what the note calls kept is on the disk before the note is
  if (auto written = godwit::write_file_durably(work / kBackupName, print_backup(before)); !written)
    return failed(author::kRefused, written.error().message);
  return {result::backup_ok, 0, ""};
}

/// Nothing, when all wishes hold in dpkg's books.
Trouble verify(const Order& order, const AptSystem& apt) {
  const auto packages = apt.installed();
  if (!packages) return {.extended_code = author::kRefused, .details = packages.error().message};
  if (const auto missing = what_is_missing(order.wishes, *packages))
    return {.extended_code = code::not_as_asked, .details = "apt-get reported success, but " + *missing};
  return {};
}

/// A package system that cannot be repaired from the repositories may be by what the step brings.
Outcome install(const Host&, const godwit_step&, const Order& order, const AptSystem& apt) {
  const Trouble broken = apt.repair();
  if (broken && broken.extended_code != code::broken) return broken.outcome();
  const bool is_broken = static_cast<bool>(broken);
  if (const Trouble trouble = apt.install(order.words, {.may_download = order.may_download, .reinstalls = is_broken}))
    return is_broken ? broken.outcome() : trouble.outcome();
  if (is_broken)
    if (const Trouble trouble = apt.repair()) return trouble.outcome();
  if (const Trouble trouble = verify(order, apt)) return trouble.outcome();
  return {result::install_ok, 0, ""};
}

Outcome apply(const Host& host, const godwit_step&, const Order& order, const AptSystem& apt) {
  if (const Trouble trouble = verify(order, apt)) return trouble.outcome();
  if (order.criteria) {
    auto records = read_records(host);
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(godwit::SystemClock{}.now().time_since_epoch());
    put_record(records, {.criteria = *order.criteria, .timestamp = now.count(), .packages = order.wishes});
    if (const auto written = write_records(records); !written) return failed(author::kRefused, written.error().message);
  }
  return {order.restarts_agent ? result::apply_restart_agent : result::apply_ok, 0, ""};
}

/// The kept .deb of exactly this package, if there is one.
std::optional<std::string> kept_deb(const Path& folder, const Before& package) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() != ".deb") continue;
    const auto inside = package_in(entry.path());
    if (!inside || inside->version != package.version) continue;
    if (inside->name == package.name || inside->name.substr(0, inside->name.find(':')) == package.name)
      return entry.path().string();
  }
  return std::nullopt;
}

Outcome restore(const Host& host, const godwit_step& step, const Order& order, const AptSystem& apt) {
  const Path work = author::str(step.work_dir);
  const auto text = godwit::read_file(work / kBackupName, kOwnFileLimit);
  if (!text && text.error().code == Code::not_found) return {result::restore_ok, 0, "nothing was changed"};
  const auto before = text ? parse_backup(*text) : tl::unexpected<godwit::Error>{text.error()};
  if (!before) return failed(code::restore_failed, "what was kept cannot be read: " + before.error().message);
  if (const Trouble trouble = apt.repair()) host.warning(trouble.details);

  const auto packages = apt.installed();
  if (!packages) return failed(code::restore_failed, packages.error().message);
  std::vector<std::string> words;
  std::vector<std::string> automatic;
  std::vector<Wish> wishes;
  for (const Before& package : *before) {
    wishes.push_back({.name = package.name, .version = package.version, .is_removal = package.version.empty()});
    if (!what_is_missing({wishes.back()}, *packages)) continue;
    words.push_back(wishes.back().is_removal
                        ? apt_word(wishes.back())
                        : kept_deb(work / kBackupFolder, package).value_or(apt_word(wishes.back())));
    if (package.is_automatic && !package.version.empty()) automatic.push_back(package.name);
  }
  if (!words.empty()) {
    const Trouble trouble = apt.install(words, {.heeds_cancel = false, .reinstalls = true});
    if (trouble) return failed(code::restore_failed, "the earlier versions could not be put back: " + trouble.details);
    if (!automatic.empty())
      if (const Trouble marks = apt.mark_automatic(automatic)) host.warning(marks.details);
  }
  const auto after = apt.installed();
  if (!after) return failed(code::restore_failed, after.error().message);
  if (const auto missing = what_is_missing(wishes, *after))
    return failed(code::restore_failed, "the earlier versions are not back: " + *missing);
  auto records = read_records(host);
  if (std::erase_if(records, [&](const Record& record) { return order.criteria == record.criteria; }) > 0)
    if (const auto written = write_records(records); !written) host.warning(written.error().message);
  if (const auto gone = godwit::remove_file_durably(work / kBackupName); !gone) host.warning(gone.error().message);
  return {result::restore_ok, 0, ""};
}

using Act = Outcome (*)(const Host&, const godwit_step&, const Order&, const AptSystem&);

template <Act kAct>
Outcome act_as(const Host& host, const godwit_step& step) {
  const OrderOrTrouble made = read_order(step);
  if (made.trouble) return made.trouble.outcome();
  if (!made.order.is_ready && kAct != is_installed)
    return failed(author::kRefused, "the files of the step are not on the device");
  const AptSystem apt(host, author::str(step.work_dir), made.order.lock_wait);
  return kAct(host, step, made.order, apt);
}

constexpr godwit_step_handler kTable{sizeof(godwit_step_handler),        author::step_act<act_as<is_installed>>,
                                     author::step_act<act_as<download>>, author::step_act<act_as<backup>>,
                                     author::step_act<act_as<install>>,  author::step_act<act_as<apply>>,
                                     author::step_act<act_as<restore>>};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
