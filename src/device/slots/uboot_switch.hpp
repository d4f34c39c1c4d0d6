// U-Boot's environment in two copies, in either of two formats:
//   plain      crc32, then "key=value\0"... : what `env export -c` and `mkenvimage` make. Both copies are alike; the
//              loader takes copy 0 where its sum holds and copy 1 otherwise. The copy that was not read is written and
//              synced first, by the loader's script too: whatever is torn, the other one is whole.
//   redundant  crc32, one flag byte, then the words: CONFIG_SYS_REDUNDAND_ENVIRONMENT, as libubootenv and
//              `mkenvimage -r` write it. The copy with the newer flag counts; the other one is overwritten.
// The state lives in copies of one sector where the loader has no safe environment of its own (Debian's build for
// QEMU).
// Either the boot script counts the attempts, or U-Boot itself does (CONFIG_BOOTCOUNT_ENV, redundant format): then
// `bootcmd` starts `try` while `upgrade_available` is 1 and `good` otherwise, and `altbootcmd` gives up.
#pragma once

#include <array>

#include "device/slots/boot_switch.hpp"
#include "device/slots/boot_words.hpp"
#include "device/slots/disk.hpp"

namespace godwit::slots {

enum class UBootFormat : std::uint8_t { plain, redundant };

struct UBootCopy {
  Path path;
  ByteCount offset = 0;
};

struct UBootPlace {
  std::array<UBootCopy, 2> copies;
  std::size_t size = 512;  // bytes of each copy: 64 .. 1 MiB
  UBootFormat format = UBootFormat::plain;
  AttemptCounter counter = AttemptCounter::script;
};

/// crc32 of IEEE 802.3, as U-Boot and zlib have it.
[[nodiscard]] std::uint32_t crc32_of(std::string_view bytes);

struct UBootEnvironment {
  BootWords words;
  std::uint8_t flag = 0;  // of redundant copies: counts up with each write, 255 is followed by 0
};

/// Errors: refused when sum or words do not hold.
[[nodiscard]] Result<UBootEnvironment> parse_uboot(std::string_view copy, UBootFormat format);
/// `size` bytes. Errors: too_large.
[[nodiscard]] Result<Bytes> print_uboot(const UBootEnvironment& environment, std::size_t size, UBootFormat format);

class UBootSwitch final : public BootSwitch {
 public:
  UBootSwitch(Disk& disk, UBootPlace place) : disk_(disk), place_(std::move(place)) {}
  [[nodiscard]] Result<BootState> read() override;
  [[nodiscard]] Result<void> write(const BootState& state) override;

 private:
  struct Found {
    std::array<Result<UBootEnvironment>, 2> copies;
    std::array<Bytes, 2> raw;
    std::size_t current = 0;  // the copy that counts
  };
  [[nodiscard]] Result<Found> find();
  [[nodiscard]] Result<void> put(std::size_t copy, const UBootEnvironment& environment, const Found& found);

  Disk& disk_;
  UBootPlace place_;
};

}  // namespace godwit::slots
