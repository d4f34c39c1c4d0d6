// GRUB's environment block: 1024 bytes, "# GRUB Environment Block\n", "key=value\n", filled up with '#'.
// It is written in place, never renamed: GRUB does not replay a journal, so on a journalled file system it would go on
// seeing the old file, and an O_TRUNC as grub-editenv does it leaves a moment with an empty one. All our words lie in
// the first 512 bytes, so the switch is one sector. The file system must have no journal (ext2).
#pragma once

#include "device/slots/boot_switch.hpp"
#include "device/slots/boot_words.hpp"
#include "device/slots/disk.hpp"

namespace godwit::slots {

inline constexpr std::size_t kGrubBlock = 1024;
inline constexpr std::size_t kSector = 512;

/// Errors: refused for anything that GRUB would not read.
[[nodiscard]] Result<BootWords> parse_grub_block(std::string_view block);
/// 1024 bytes. Errors: too_large when the words do not fit into the first sector.
[[nodiscard]] Result<Bytes> print_grub_block(const BootWords& words);

class GrubSwitch final : public BootSwitch {
 public:
  GrubSwitch(Disk& disk, Path grubenv) : disk_(disk), path_(std::move(grubenv)) {}
  [[nodiscard]] Result<BootState> read() override;
  [[nodiscard]] Result<void> write(const BootState& state) override;

 private:
  Disk& disk_;
  Path path_;
};

}  // namespace godwit::slots
