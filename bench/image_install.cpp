// Brings an image onto a side as godwit/image:1 does it: compared, written, synced, read back from the medium,
// recorded, marked to be tried, and asks the kernel after each block how much of the side a power cut would find in
// memory only. `bench_image_install IMAGE SIDE FOLDER [BYTES]` prints one line of JSON. With BYTES it
// ends itself by SIGKILL once so many were handed on, and prints how many that were.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "device/slots/host_disk.hpp"
#include "device/slots/slots.hpp"
#include "device/slots/uboot_switch.hpp"

namespace {

using godwit::ByteCount;
using godwit::Bytes;
using godwit::Path;
using godwit::Result;
namespace slots = godwit::slots;

Result<Bytes> digest_of(slots::DiskFile& file, ByteCount size) {
  godwit::Sha256 hash;
  Bytes buffer(1024 * 1024, '\0');
  for (ByteCount at = 0; at < size;) {
    GODWIT_TRY(const std::size_t got, file.read_at(at, buffer));
    hash.update(std::string_view(buffer).substr(0, got));
    at += got;
  }
  return hash.finish();
}

/// Bytes of the file that are dirty or on their way to the medium, as Linux 6.5 and newer tell it; nothing else.
class Unwritten {
 public:
  explicit Unwritten(const Path& file) : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
  void look() {
    constexpr long kCachestat = 451;
    struct Range {
      std::uint64_t offset = 0, length = 0;
    } range;
    struct Stat {
      std::uint64_t cached = 0, dirty = 0, writeback = 0, evicted = 0, recently_evicted = 0;
    } stat;
    if (::syscall(kCachestat, fd_.get(), &range, &stat, 0U) != 0) return;
    most_ = std::max(most_, static_cast<std::int64_t>((stat.dirty + stat.writeback) * 4096));
  }
  /// -1: the kernel does not tell.
  [[nodiscard]] std::int64_t most() const { return most_; }

 private:
  godwit::UniqueFd fd_;
  std::int64_t most_ = -1;
};

Result<std::string> install(const Path& image_file, const Path& side, const Path& folder, ByteCount stop_at) {
  slots::HostDisk disk;
  const Path state = folder / "state";
  GODWIT_TRY(const Bytes copy,
             slots::print_uboot({.words = {{"good", "A"}}, .flag = 0}, 512, slots::UBootFormat::plain));
  GODWIT_TRY_VOID(slots::replace_durably(disk, state, copy + copy));
  slots::UBootSwitch boot(disk,
                          slots::UBootPlace{.copies = {slots::UBootCopy{state, 0}, slots::UBootCopy{state, 512}}});

  slots::Image image;
  {
    GODWIT_TRY(const auto file, disk.open(image_file, slots::OpenMode::read));
    GODWIT_TRY(image.size, file->size());
    GODWIT_TRY(image.sha256, digest_of(*file, image.size));
  }
  slots::Slots two(disk, boot,
                   {.sides = {folder / "a", side},
                    .running = slots::Side::a,
                    .contents = folder / "contents.json",
                    .attempts = 3,
                    .writer = {}});
  Unwritten unwritten(side);
  const slots::Watch watch{.on_progress =
                               [&](ByteCount done, ByteCount) {
                                 unwritten.look();
                                 if (stop_at == 0 || done < stop_at) return;
                                 std::cout << fmt::format("{{\"done\":{}}}\n", done) << std::flush;
                                 ::raise(SIGKILL);
                               },
                           .is_cancelled = [] { return false; }};
  const auto begun = std::chrono::steady_clock::now();
  GODWIT_TRY(const slots::Answer answer,
             two.install(
                 image, [&] { return slots::open_image(image_file, slots::Compression::none); }, nullptr, watch));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  if (answer.kind != slots::Answer::Kind::restart) return godwit::fail(godwit::Code::refused, answer.details);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return fmt::format("{{\"seconds\":{:.3f},\"written\":{},\"skipped\":{},\"peak_kib\":{},\"most_unwritten\":{}}}",
                     took.count(), answer.written.written, answer.written.skipped, usage.ru_maxrss, unwritten.most());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: bench_image_install IMAGE SIDE FOLDER [BYTES]\n";
    return 2;
  }
  const auto told = install(argv[1], argv[2], argv[3], argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0);
  if (!told) {
    std::cerr << "bench_image_install: " << told.error().message << '\n';
    return 1;
  }
  std::cout << *told << '\n';
  return 0;
}
