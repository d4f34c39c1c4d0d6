// On which disks partitions, files and folders lie, as the kernel's sysfs says, and what follows for a device with two
// sides: a stick with a partition of the same label must not become side B. Blocking; safe from any thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::slots {

/// By how much of the larger one the two sides may differ, in percent: partitions are aligned, and rounded by it.
inline constexpr unsigned kSidesMayDiffer = 5;

/// What the kernel says of a path; tests bring their own.
struct DeviceNumber {
  dev_t number = 0;
  bool is_block_device = false;  // otherwise the number is that of the file system that the file or folder is on
};
struct DiskWorld {
  Path sys_block = "/sys/dev/block";
  /// Of the path, or of the nearest folder above it that exists.
  std::function<Result<DeviceNumber>(const Path&)> number_of = nullptr;
};

/// As `world` says, or the kernel where it says nothing. Errors: io_failed.
[[nodiscard]] Result<DeviceNumber> number_of(const Path& path, const DiskWorld& world);

/// Names of the whole disks below `path` ("vda"), through mapped devices; empty when it is on none that can be told:
/// an overlay, a file system in memory or of several disks' own numbering. Errors: io_failed; not_found (a block
/// device that sysfs does not know).
[[nodiscard]] Result<std::set<std::string>> disks_under(const Path& path, const DiskWorld& world);

struct DiskUser {
  std::string key;   // of slots.toml: "slots.b"
  std::string word;  // in slots.other_disk: "b"
  Path path;
};
/// Errors: refused when one of `others` lies on another disk than `first` and its word is not among `excepted`.
[[nodiscard]] Result<void> check_one_disk(const DiskUser& first, const std::vector<DiskUser>& others,
                                          const std::vector<std::string>& excepted, const DiskWorld& world);

/// Errors: refused when an image that fits one side might not fit the other.
[[nodiscard]] Result<void> check_sizes(ByteCount a, ByteCount b);

}  // namespace godwit::slots
