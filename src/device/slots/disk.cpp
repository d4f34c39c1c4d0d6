#include "device/slots/disk.hpp"

#include <fmt/format.h>

namespace godwit::slots {

Result<Bytes> read_whole(Disk& disk, const Path& path, ByteCount limit) {
  GODWIT_TRY(const auto file, disk.open(path, OpenMode::read));
  GODWIT_TRY(const ByteCount size, file->size());
  if (size > limit)
    return fail(Code::too_large, fmt::format("{} has {} bytes; {} is the limit", path.string(), size, limit));
  Bytes bytes(size, '\0');
  GODWIT_TRY(const std::size_t got, file->read_at(0, bytes));
  bytes.resize(got);
  return bytes;
}

Result<void> write_new(Disk& disk, const Path& path, std::string_view bytes) {
  GODWIT_TRY(const auto file, disk.open(path, OpenMode::create));
  GODWIT_TRY_VOID(file->write_at(0, bytes));
  return file->sync();
}

Result<void> replace_durably(Disk& disk, const Path& path, std::string_view bytes) {
  Path temporary = path;
  temporary += ".new";
  GODWIT_TRY_VOID(write_new(disk, temporary, bytes));
  GODWIT_TRY_VOID(disk.rename(temporary, path));
  return disk.sync_folder(path.parent_path());
}

}  // namespace godwit::slots
