// The real Disk: files and block devices of this machine. Blocking; one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/slots/disk.hpp"

namespace godwit::slots {

class HostDisk final : public Disk {
 public:
  [[nodiscard]] Result<std::unique_ptr<DiskFile>> open(const Path& path, OpenMode mode) override;
  [[nodiscard]] Result<void> rename(const Path& from, const Path& to) override;
  [[nodiscard]] Result<void> remove(const Path& path) override;
  [[nodiscard]] Result<void> sync_folder(const Path& folder) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const Path& folder) override;
  [[nodiscard]] Result<Room> room(const Path& folder) override;
};

}  // namespace godwit::slots
