#include "device/slots/disk_check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>

namespace godwit::slots {
namespace {

constexpr int kDepth = 8;  // mapped devices on mapped devices

Result<DeviceNumber> kernel_number(Path path) {
  struct stat info {};
  while (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT || path == path.parent_path())
      return tl::unexpected<Error>{error_from_errno("look at " + path.string(), errno)};
    path = path.parent_path();
  }
  if (S_ISBLK(info.st_mode)) return DeviceNumber{info.st_rdev, true};
  return DeviceNumber{info.st_dev, false};
}

/// `entry`: the folder of a block device in sysfs, links resolved.
void collect(const Path& entry, std::set<std::string>& disks, int depth) {
  std::error_code problem;
  if (std::filesystem::exists(entry / "partition", problem)) {
    collect(entry.parent_path(), disks, depth);
    return;
  }
  bool is_mapped = false;
  for (std::filesystem::directory_iterator below(entry / "slaves", problem), end; !problem && below != end && depth > 0;
       below.increment(problem)) {
    is_mapped = true;
    std::error_code gone;
    if (const Path real = std::filesystem::canonical(below->path(), gone); !gone) collect(real, disks, depth - 1);
  }
  if (!is_mapped) disks.insert(entry.filename().string());
}

std::string in_words(const std::set<std::string>& disks) { return fmt::format("{}", fmt::join(disks, " and ")); }

}  // namespace

Result<DeviceNumber> number_of(const Path& path, const DiskWorld& world) {
  return world.number_of ? world.number_of(path) : kernel_number(path);
}

Result<std::set<std::string>> disks_under(const Path& path, const DiskWorld& world) {
  GODWIT_TRY(const DeviceNumber device, number_of(path, world));
  std::set<std::string> disks;
  std::error_code problem;
  const Path entry = world.sys_block / fmt::format("{}:{}", major(device.number), minor(device.number));
  const Path real = std::filesystem::canonical(entry, problem);
  if (!problem) {
    collect(real, disks, kDepth);
  } else if (device.is_block_device) {
    return fail(Code::not_found, fmt::format("it cannot be told on which disk {} lies: {} is missing; is /sys mounted?",
                                             path.string(), entry.string()));
  }
  return disks;
}

Result<void> check_one_disk(const DiskUser& first, const std::vector<DiskUser>& others,
                            const std::vector<std::string>& excepted, const DiskWorld& world) {
  GODWIT_TRY(const auto disks, disks_under(first.path, world));
  for (const DiskUser& user : others) {
    if (std::find(excepted.begin(), excepted.end(), user.word) != excepted.end()) continue;
    GODWIT_TRY(const auto own, disks_under(user.path, world));
    if (disks.empty() || own.empty() || own == disks) continue;
    return fail(Code::refused,
                fmt::format("{} ({}) lies on the disk {}, but {} ({}) on {}: take the other disk away, or, "
                            "if the device is made so, put \"{}\" into slots.other_disk",
                            user.key, user.path.string(), in_words(own), first.key, first.path.string(),
                            in_words(disks), user.word));
  }
  return {};
}

Result<void> check_sizes(ByteCount a, ByteCount b) {
  const ByteCount larger = std::max(a, b);
  const ByteCount difference = larger - std::min(a, b);
  if (difference <= larger / 100 * kSidesMayDiffer) return {};
  return fail(Code::refused,
              fmt::format("side A has {} bytes and side B {}: they may differ by {} % at most, or an image "
                          "that fits one of them never comes onto the other",
                          a, b, kSidesMayDiffer));
}

}  // namespace godwit::slots
