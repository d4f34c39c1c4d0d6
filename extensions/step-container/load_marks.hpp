// Which images podman was taking in when something ended it: the device's power, a cancel, a full disk. Each is a small
// file until all of the image is known to be on the disk.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "image_archive.hpp"

namespace godwit::step_container {

struct LoadMark {
  std::string image_id{};
  std::vector<std::string> layers{};  // as ImageInfo::layers; empty: cannot be told
  bool was_cut = false;               // of an earlier boot of the device: what was not on the disk is lost
};

/// Blocking, one thread.
class LoadMarks {
 public:
  /// `boot`: the kernel's id of this boot; empty: unknown, and every mark counts as one of an earlier boot.
  LoadMarks(Path folder, std::string boot) : folder_(std::move(folder)), boot_(std::move(boot)) {}

  /// Before podman takes the image in. Errors: those of write_file_durably().
  [[nodiscard]] Result<void> begin(const ImageInfo& image) const;
  /// After all of it is on the disk, or none. Without a mark: success.
  [[nodiscard]] Result<void> end(const std::string& image_id) const;
  /// Those that were begun and not ended, in no order.
  [[nodiscard]] std::vector<LoadMark> all() const;

 private:
  [[nodiscard]] LoadMark read(const std::string& image_id) const;

  Path folder_;
  std::string boot_;
};

}  // namespace godwit::step_container
