// Which partitions, and files beside them, a device has, from slots.toml, and which side really runs: by the root
// device that the kernel mounted or by its command line, never by a file that an update could have left. Plain values,
// filled once per call.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/config.hpp"
#include "device/slots/disk_check.hpp"
#include "device/slots/host_disk.hpp"
#include "device/slots/slots.hpp"
#include "device/slots/uboot_switch.hpp"

namespace godwit::slots {

inline constexpr std::size_t kMostPairs = 8;
inline constexpr std::size_t kPairName = 32;

/// "" if a pair may be called that: 1..32 of a-z 0-9 and '-', else what is wrong, as the end of a sentence.
[[nodiscard]] std::string check_pair_name(std::string_view name);

struct SlotsConfig {
  // slots
  std::string a;  // "PARTLABEL=...", "PARTUUID=...", "LABEL=...", "UUID=..." or an absolute path
  std::string b;
  Path data = "/var/lib/godwit/slots";    // on the data partition
  std::vector<std::string> other_disk{};  // what need not lie on the disk of side A: "b", "boot", "data", "pairs"
  std::int64_t attempts = 3;
  Path command_line = "/proc/cmdline";

  // boot
  std::string loader = "uboot";  // uboot, grub, systemd-boot, custom
  Path grubenv = "/boot/grub/grubenv";
  std::string environment;         // uboot: partition or file with both copies
  std::string environment_second;  // uboot: where the second copy lies elsewhere
  std::int64_t first_offset = 0;
  std::int64_t second_offset = 512;
  config::ByteSize environment_size{512};
  std::string format = "plain";
  std::string counter = "script";
  Path entries = "/efi/loader/entries";  // systemd-boot
  std::string entry_a = "side-a";
  std::string entry_b = "side-b";
  std::vector<std::string> command{};  // custom

  // health
  std::vector<std::string> health_command{"/usr/bin/godwit-agent", "health"};
  Duration health_time = std::chrono::minutes(5);
  Duration health_pause = std::chrono::seconds(5);
  Path panic_log{};

  // trial
  Duration trial_time = std::chrono::minutes(15);
  std::vector<std::string> restart_command{"/usr/bin/systemctl", "reboot"};

  // what switches together with the side: name, place of A, place of B
  config::Blocks pairs{
      .columns = {{"name", "How an update names it: lower case letters, digits and '-', at most 32."},
                  {"a",
                   "Where it lies for side A: a partition, as slots.a, or the absolute path of a file on a mounted "
                   "file system, whose folder exists."},
                  {"b", "The same for side B."}}};

  [[nodiscard]] config::Schema schema();
};

/// Errors: invalid_argument naming file and key; not_found; refused when others may write the file.
[[nodiscard]] Result<SlotsConfig> load_slots_config(const Path& file);

/// Where names of partitions are looked up; tests bring their own.
struct Host {
  Path disk_names = "/dev/disk";  // by-partlabel/, by-partuuid/, by-label/, by-uuid/
  Path root = "/";
  DiskWorld disks{};
  Path efi_variables = "/sys/firmware/efi/efivars";
};

/// The path behind a word such as "PARTLABEL=side-a", links resolved. Errors: not_found, invalid_argument.
[[nodiscard]] Result<Path> find_partition(const std::string& word, const Host& host);

/// Finds and checks both sides: they exist, differ, and exactly one of them runs. Leaves the pairs out, which may lie
/// where only root can look.
/// Errors: not_found, invalid_argument, refused (the running system is on neither side, or on both).
[[nodiscard]] Result<Places> find_places(const SlotsConfig& config, const Host& host);

/// Finds the pairs: they exist (of a file its folder), and each half lies in a place of its own. Errors: not_found,
/// invalid_argument, refused.
[[nodiscard]] Result<std::vector<Pair>> find_pairs(const SlotsConfig& config, const Places& places, const Host& host);

/// That the sides, pairs, the boot state and the data folder are where they belong: on one disk, no pair where
/// something else lies, and both halves alike in size. Errors: refused with what to do; not_found; io_failed.
[[nodiscard]] Result<void> check_disks(const SlotsConfig& config, const Places& places, Disk& disk, const Host& host);

/// Errors: invalid_argument, not_found.
[[nodiscard]] Result<std::unique_ptr<BootSwitch>> make_boot_switch(const SlotsConfig& config, Disk& disk,
                                                                   const Host& host);

/// The slots of this device as its slots.toml has them. Stays where it is: the boot switch writes through its disk.
struct Device {
  SlotsConfig config;
  Places places;
  HostDisk disk{};
  std::unique_ptr<BootSwitch> boot{};
};
/// Fills `device`. Errors: as load_slots_config(), find_places(), find_pairs(), check_disks() and make_boot_switch().
[[nodiscard]] Result<void> open_device(Device& device, const Path& slots_file);

}  // namespace godwit::slots
