#include "device/slots/layout.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "core/base/text.hpp"
#include "device/slots/custom_switch.hpp"
#include "device/slots/grub_switch.hpp"
#include "device/slots/systemd_boot_switch.hpp"

namespace godwit::slots {
namespace {

constexpr ByteCount kCommandLineLimit = 64 * 1024;

struct NameKind {
  std::string_view prefix;
  std::string_view folder;
};
constexpr auto kNameKinds = std::to_array<NameKind>(
    {{"PARTLABEL=", "by-partlabel"}, {"PARTUUID=", "by-partuuid"}, {"LABEL=", "by-label"}, {"UUID=", "by-uuid"}});

/// Whoever writes this file chooses what root overwrites.
Result<void> check_owner(const Path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {};
  if ((info.st_uid != 0 && info.st_uid != ::geteuid()) || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::refused, fmt::format("{} must belong to root and be writable by nobody else; run: chown root {}; "
                                           "chmod go-w {}",
                                           file.string(), file.string(), file.string()));
  return {};
}

/// The word after "root=" of the kernel's command line; the last one counts.
std::string root_word(std::string_view line) {
  std::string root;
  while (!line.empty()) {
    const auto end = std::min(line.find_first_of(" \t\n"), line.size());
    if (line.substr(0, end).starts_with("root=")) root = line.substr(5, end - 5);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return root;
}

bool is_mounted_root(const Path& side, const Host& host) {
  struct stat root {};
  struct stat device {};
  return ::stat(host.root.c_str(), &root) == 0 && ::stat(side.c_str(), &device) == 0 && S_ISBLK(device.st_mode) &&
         device.st_rdev == root.st_dev;
}

Result<Side> find_running(const std::array<Path, 2>& sides, const SlotsConfig& config, const Host& host) {
  for (const Side side : {Side::a, Side::b})
    if (is_mounted_root(sides[index_of(side)], host)) return side;
  // The mounted root is something else, an overlay or a mapped device: the kernel was told where it lies.
  GODWIT_TRY(const Bytes line, read_file(config.command_line, kCommandLineLimit));
  const std::string word = root_word(line);
  if (word.empty())
    return fail(Code::refused, "the kernel's command line names no root=, so it is unknown which side runs");
  GODWIT_TRY(const Path root, find_partition(word, host));
  for (const Side side : {Side::a, Side::b})
    if (root == sides[index_of(side)]) return side;
  return fail(Code::refused, fmt::format("the running system is on {}, which is neither side A ({}) nor side B ({})",
                                         root.string(), sides[0].string(), sides[1].string()));
}

struct PairPlace {
  Path path;
  bool is_file = false;
};

/// A partition by a word or by its path, or a file that may still be missing.
Result<PairPlace> find_pair_place(const std::string& word, const Host& host) {
  const Path path = word;
  std::error_code problem;
  if (!path.is_absolute() || std::filesystem::is_block_file(path, problem)) {
    GODWIT_TRY(Path found, find_partition(word, host));
    return PairPlace{.path = std::move(found), .is_file = false};
  }
  const auto refuse = [&](std::string_view words) {
    return fail(Code::refused, fmt::format("{} {}", path.string(), words));
  };
  if (path.string().starts_with("/dev/")) return fail(Code::not_found, "there is no partition " + path.string());
  if (!is_plain_file_name(path.filename().string())) return refuse("names no file");
  const auto kind = std::filesystem::symlink_status(path, problem).type();
  if (kind == std::filesystem::file_type::symlink) return refuse("is a symbolic link; name the file itself");
  if (kind != std::filesystem::file_type::regular && kind != std::filesystem::file_type::not_found)
    return refuse("is neither a partition nor a file");
  const Path folder = std::filesystem::canonical(path.parent_path(), problem);
  if (problem || !std::filesystem::is_directory(folder, problem))
    return fail(Code::not_found, fmt::format("the folder {} does not exist; mount its file system, or make the folder",
                                             path.parent_path().string()));
  return PairPlace{.path = folder / path.filename(), .is_file = true};
}

/// FAT takes names that differ in their case for the same.
bool is_same_place(const Path& one, const Path& two) { return lower_case(one.string()) == lower_case(two.string()); }

Result<void> check_apart(const std::string& key, const Path& path, const std::string& other_key, const Path& other) {
  if (!is_same_place(path, other)) return {};
  return fail(Code::invalid_argument,
              fmt::format("{} ({}) and {} ({}) are the same place; give each a place of its own", key, path.string(),
                          other_key, other.string()));
}

std::string pair_key(const Pair& pair, Side side) {
  return fmt::format("pairs.{}.{}", pair.name, side == Side::a ? "a" : "b");
}

/// By their keys: both sides and both halves of each pair.
std::vector<std::pair<std::string, Path>> places_of(const Places& places, const std::vector<Pair>& pairs) {
  std::vector<std::pair<std::string, Path>> all{{"slots.a", places.sides[0]}, {"slots.b", places.sides[1]}};
  for (const Pair& pair : pairs)
    for (const Side side : {Side::a, Side::b}) all.emplace_back(pair_key(pair, side), pair.of(side));
  return all;
}

/// A file on a side's own file system would go with that side, and is not what the boot loader reads for both.
Result<void> check_not_on_a_side(const Pair& pair, const Places& places, const DiskWorld& world) {
  if (!pair.is_file) return {};
  for (const Side half : {Side::a, Side::b}) {
    GODWIT_TRY(const DeviceNumber on, number_of(pair.of(half).parent_path(), world));
    for (const Side side : {Side::a, Side::b}) {
      GODWIT_TRY(const DeviceNumber device, number_of(places.of(side), world));
      if (!device.is_block_device || on.is_block_device || device.number != on.number) continue;
      return fail(Code::refused, fmt::format("{} ({}) lies on side {} itself; is the file system mounted that the boot "
                                             "loader reads it from?",
                                             pair_key(pair, half), pair.of(half).string(), side_name(side)));
    }
  }
  return {};
}

Result<void> check_alike(const std::array<Path, 2>& places, Disk& disk) {
  std::array<ByteCount, 2> sizes{};
  for (std::size_t i = 0; i < 2; ++i) {
    GODWIT_TRY(const auto half, disk.open(places[i], OpenMode::read));
    GODWIT_TRY(sizes[i], half->size());
  }
  return check_sizes(sizes[0], sizes[1]);
}

}  // namespace

std::string check_pair_name(std::string_view name) {
  const bool is_word =
      std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  if (!name.empty() && name.size() <= kPairName && is_word) return {};
  return fmt::format("'{:.64}' is no name of a pair: lower case letters, digits and '-', at most {}", name, kPairName);
}

config::Schema SlotsConfig::schema() {
  constexpr std::int64_t kSecond = 1000;
  config::Schema keys;
  keys.add({.name = "slots.a",
            .target = &a,
            .help = "Partition of side A: PARTLABEL=, PARTUUID=, LABEL= or UUID= with its name, or a path; needed."});
  keys.add({.name = "slots.b", .target = &b, .help = "Partition of side B; needed."});
  keys.add({.name = "slots.data",
            .target = &data,
            .help = "Folder on the data partition that both sides see; only root may write it."});
  keys.add({.name = "slots.other_disk",
            .target = &other_disk,
            .help =
                "What may lie on another disk than side A: \"boot\" (the boot loader's state), \"data\" (slots.data), "
                "\"pairs\" or \"b\" (side B); all else is refused there."});
  keys.add({.name = "slots.attempts",
            .target = &attempts,
            .help =
                "How often the boot loader starts a new side before it goes back. A power cut on that side costs one "
                "attempt: 2 bear one cut, 3 bear two.",
            .minimum = kLeastAttempts,
            .maximum = kMostAttempts});
  keys.add({.name = "slots.command_line",
            .target = &command_line,
            .help = "The kernel's command line, where the root file system is an overlay."});
  keys.add({.name = "boot.loader",
            .target = &loader,
            .help = "Who chooses the side at boot.",
            .choices = {"uboot", "grub", "systemd-boot", "custom"}});
  keys.add({.name = "boot.grubenv", .target = &grubenv, .help = "grub: the environment block."});
  keys.add({.name = "boot.environment",
            .target = &environment,
            .help = "uboot: partition or file that holds the copies of the state."});
  keys.add({.name = "boot.environment_second",
            .target = &environment_second,
            .help = "uboot: where the second copy lies; empty: in the same place."});
  keys.add(
      {.name = "boot.first_offset", .target = &first_offset, .help = "uboot: byte of the first copy.", .minimum = 0});
  keys.add({.name = "boot.second_offset",
            .target = &second_offset,
            .help = "uboot: byte of the second copy.",
            .minimum = 0});
  keys.add({.name = "boot.environment_size",
            .target = &environment_size,
            .help = "uboot: size of each copy.",
            .minimum = 64,
            .maximum = 1024 * 1024});
  keys.add({.name = "boot.format",
            .target = &format,
            .help = "uboot: plain (env export -c) or redundant (with a flag byte).",
            .choices = {"plain", "redundant"}});
  keys.add({.name = "boot.counter",
            .target = &counter,
            .help = "uboot: who counts attempts: script (the boot script, in left) or bootcount (U-Boot with "
                    "CONFIG_BOOTCOUNT_ENV; needs the format redundant).",
            .choices = {"script", "bootcount"}});
  keys.add({.name = "boot.entries",
            .target = &entries,
            .help = "systemd-boot: folder of the entries, on the partition that the boot loader reads."});
  keys.add({.name = "boot.entry_a",
            .target = &entry_a,
            .help = "systemd-boot: side A starts from NAME.conf or NAME+LEFT-DONE.conf, made from NAME.entry."});
  keys.add({.name = "boot.entry_b", .target = &entry_b, .help = "systemd-boot: the same of side B."});
  keys.add({.name = "boot.command", .target = &command, .help = "custom: program and arguments, an absolute path."});
  keys.add({.name = "health.command",
            .target = &health_command,
            .help = "Says with exit code 0 that a new side is healthy; an absolute path, no shell. Empty: not asked."});
  keys.add({.name = "health.time_limit",
            .target = &health_time,
            .help = "How long a new side has to become healthy.",
            .minimum = kSecond,
            .maximum = 3600 * kSecond});
  keys.add({.name = "health.pause",
            .target = &health_pause,
            .help = "Time between two questions.",
            .minimum = 10,
            .maximum = 600 * kSecond});
  keys.add({.name = "health.panic_log",
            .target = &panic_log,
            .help =
                "File on the data partition into which the device's init moves what pstore kept of a kernel panic; "
                "its reason is then told of a side that fell back. Removed when an image is installed. Empty: none."});
  keys.add({.name = "trial.time_limit",
            .target = &trial_time,
            .help = "A side that nobody confirmed so long after its start is restarted by its guard, godwit-slots; "
                    "longer than health.time_limit.",
            .minimum = 10 * kSecond,
            .maximum = 24 * 3600 * kSecond});
  keys.add({.name = "trial.restart",
            .target = &restart_command,
            .help = "Program and arguments by which the guard restarts the device; an absolute path, no shell."});
  keys.add({.name = "pairs",
            .target = &pairs,
            .help =
                "What switches together with the side besides its root file system, such as a kernel: any number of "
                "these blocks, up to 8. The boot loader takes the half of the side that it starts.",
            .maximum = kMostPairs});
  return keys;
}

Result<SlotsConfig> load_slots_config(const Path& file) {
  SlotsConfig config;
  config::Schema keys = config.schema();
  GODWIT_TRY_VOID(check_owner(file));
  GODWIT_TRY_VOID(keys.load_file(file));
  const auto wrong = [&](std::string_view words) {
    return fail(Code::invalid_argument, fmt::format("{}: {}", file.string(), words));
  };
  if (config.a.empty() || config.b.empty()) return wrong("slots.a and slots.b are needed: the two partitions");
  if (!config.data.is_absolute()) return wrong("slots.data must be an absolute path");
  for (const std::string& word : config.other_disk)
    if (word != "b" && word != "boot" && word != "data" && word != "pairs")
      return wrong(fmt::format("slots.other_disk: '{}' is none of b, boot, data, pairs", word));
  std::set<std::string> names;
  for (const auto& row : config.pairs.rows) {
    if (const std::string why = check_pair_name(row[0]); !why.empty()) return wrong("pairs: " + why);
    if (!names.insert(row[0]).second) return wrong(fmt::format("pairs: two are called '{}'", row[0]));
  }
  if (config.loader == "uboot" && config.environment.empty())
    return wrong("boot.environment is missing: where U-Boot's script keeps its state");
  if (config.counter == "bootcount" && config.format != "redundant")
    return wrong("boot.counter = \"bootcount\" needs boot.format = \"redundant\": U-Boot saves one copy at a time");
  if (config.loader == "systemd-boot") {
    if (!config.entries.is_absolute()) return wrong("boot.entries must be an absolute path");
    for (const std::string& name : {config.entry_a, config.entry_b})
      if (!is_plain_file_name(name) || name.find('+') != std::string::npos)
        return wrong(
            fmt::format("'{}' is no name of an entry: boot.entry_a and boot.entry_b are plain names without "
                        "'+' and '.conf'",
                        name));
    if (config.entry_a == config.entry_b) return wrong("boot.entry_a and boot.entry_b are the same");
  }
  if (config.loader == "custom" && config.command.empty()) return wrong("boot.command is missing");
  const auto size = static_cast<std::int64_t>(config.environment_size.value);
  if (config.environment_second.empty() && std::abs(config.first_offset - config.second_offset) < size)
    return wrong("boot.first_offset and boot.second_offset are closer than boot.environment_size: the copies overlap");
  if (config.trial_time <= config.health_time)
    return wrong("trial.time_limit must be longer than health.time_limit: the guard would end what is being asked");
  if (config.restart_command.empty()) return wrong("trial.restart is empty");
  for (const auto* words : {&config.command, &config.health_command, &config.restart_command})
    if (!words->empty() && !Path(words->front()).is_absolute())
      return wrong(fmt::format("'{}' must be the absolute path of a program", words->front()));
  return config;
}

Result<Path> find_partition(const std::string& word, const Host& host) {
  Path path = word;
  for (const NameKind& kind : kNameKinds) {
    if (!word.starts_with(kind.prefix)) continue;
    const std::string name = word.substr(kind.prefix.size());
    if (!is_plain_file_name(name))
      return fail(Code::invalid_argument, fmt::format("'{}' is no name of a partition", word));
    path = host.disk_names / kind.folder / (kind.prefix.ends_with("UUID=") ? lower_case(name) : name);
  }
  if (!path.is_absolute())
    return fail(Code::invalid_argument,
                fmt::format("'{}': write PARTLABEL=NAME, PARTUUID=ID, LABEL=NAME, UUID=ID or an absolute path", word));
  std::error_code problem;
  Path real = std::filesystem::canonical(path, problem);
  if (problem) return fail(Code::not_found, fmt::format("there is no partition {} ({})", word, path.string()));
  return real;
}

Result<Places> find_places(const SlotsConfig& config, const Host& host) {
  Places places;
  GODWIT_TRY(places.sides[0], find_partition(config.a, host));
  GODWIT_TRY(places.sides[1], find_partition(config.b, host));
  if (places.sides[0] == places.sides[1])
    return fail(Code::invalid_argument,
                fmt::format("slots.a and slots.b are the same partition, {}", places.sides[0].string()));
  GODWIT_TRY(places.running, find_running(places.sides, config, host));
  places.contents = config.data / "contents.json";
  places.attempts = static_cast<int>(config.attempts);
  return places;
}

Result<std::vector<Pair>> find_pairs(const SlotsConfig& config, const Places& places, const Host& host) {
  std::vector<Pair> pairs;
  for (const auto& row : config.pairs.rows) {
    Pair pair{.name = row[0], .places = {}};
    std::array<PairPlace, 2> found;
    for (const Side side : {Side::a, Side::b}) {
      auto place = find_pair_place(row[1 + index_of(side)], host);
      if (!place) return with_context(pair_key(pair, side), place.error());
      found[index_of(side)] = *std::move(place);
      pair.places[index_of(side)] = found[index_of(side)].path;
    }
    if (found[0].is_file != found[1].is_file)
      return fail(Code::invalid_argument,
                  fmt::format("pairs.{}: {} is a {} and {} a {}; both must be partitions, or both files", pair.name,
                              found[0].path.string(), found[0].is_file ? "file" : "partition", found[1].path.string(),
                              found[1].is_file ? "file" : "partition"));
    pair.is_file = found[0].is_file;
    pairs.push_back(std::move(pair));
  }
  const auto all = places_of(places, pairs);
  for (std::size_t i = places.sides.size(); i < all.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      GODWIT_TRY_VOID(check_apart(all[i].first, all[i].second, all[k].first, all[k].second));
  return pairs;
}

Result<void> check_disks(const SlotsConfig& config, const Places& places, Disk& disk, const Host& host) {
  std::vector<DiskUser> others{{"slots.b", "b", places.sides[1]}, {"slots.data", "data", config.data}};
  if (config.loader == "grub") others.push_back({"boot.grubenv", "boot", config.grubenv});
  if (config.loader == "systemd-boot") others.push_back({"boot.entries", "boot", config.entries});
  if (config.loader == "uboot")
    for (const std::string& copy : {config.environment, config.environment_second}) {
      if (copy.empty()) continue;
      GODWIT_TRY(const Path path, find_partition(copy, host));
      others.push_back({"boot.environment", "boot", path});
    }
  for (const Pair& pair : places.pairs)
    for (const Side side : {Side::a, Side::b}) {
      const std::string key = pair_key(pair, side);
      GODWIT_TRY_VOID(check_apart(key, pair.of(side), "slots.data", places.contents));
      for (const DiskUser& user : others) {
        if (user.word != "boot") continue;
        std::error_code problem;
        const Path other = std::filesystem::weakly_canonical(user.path, problem);
        GODWIT_TRY_VOID(check_apart(key, pair.of(side), user.key, other));
        if (pair.is_file) GODWIT_TRY_VOID(check_apart(key, pair.of(side).parent_path(), user.key, other));
      }
      others.push_back({key, "pairs", pair.of(side)});
    }
  GODWIT_TRY_VOID(check_one_disk({"slots.a", "a", places.sides[0]}, others, config.other_disk, host.disks));
  for (const Pair& pair : places.pairs) {
    GODWIT_TRY_VOID(check_not_on_a_side(pair, places, host.disks));
    if (pair.is_file) continue;
    if (auto alike = check_alike(pair.places, disk); !alike) return with_context("pairs." + pair.name, alike.error());
  }
  return check_alike(places.sides, disk);
}

Result<std::unique_ptr<BootSwitch>> make_boot_switch(const SlotsConfig& config, Disk& disk, const Host& host) {
  std::unique_ptr<BootSwitch> made;
  if (config.loader == "grub") {
    made = std::make_unique<GrubSwitch>(disk, config.grubenv);
  } else if (config.loader == "systemd-boot") {
    made = std::make_unique<SystemdBootSwitch>(disk, SystemdBootPlace{.entries = config.entries,
                                                                      .names = {config.entry_a, config.entry_b},
                                                                      .variables = host.efi_variables});
  } else if (config.loader == "custom") {
    made = std::make_unique<CustomSwitch>(config.command);
  } else {
    GODWIT_TRY(const Path first, find_partition(config.environment, host));
    GODWIT_TRY(
        const Path second,
        find_partition(config.environment_second.empty() ? config.environment : config.environment_second, host));
    made = std::make_unique<UBootSwitch>(
        disk, UBootPlace{.copies = {UBootCopy{first, static_cast<ByteCount>(config.first_offset)},
                                    UBootCopy{second, static_cast<ByteCount>(config.second_offset)}},
                         .size = static_cast<std::size_t>(config.environment_size.value),
                         .format = config.format == "plain" ? UBootFormat::plain : UBootFormat::redundant,
                         .counter = config.counter == "script" ? AttemptCounter::script : AttemptCounter::bootcount});
  }
  return made;
}

Result<void> open_device(Device& device, const Path& slots_file) {
  GODWIT_TRY(device.config, load_slots_config(slots_file));
  GODWIT_TRY(device.places, find_places(device.config, {}));
  GODWIT_TRY(device.places.pairs, find_pairs(device.config, device.places, {}));
  if (auto fit = check_disks(device.config, device.places, device.disk, {}); !fit)
    return with_context(slots_file.string(), fit.error());
  GODWIT_TRY(device.boot, make_boot_switch(device.config, device.disk, {}));
  return {};
}

}  // namespace godwit::slots
