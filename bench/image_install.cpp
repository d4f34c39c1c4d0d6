// Brings an image onto a side as godwit/image:1 does it: compared, written, synced, read back from the medium,
// recorded, marked to be tried, and asks the kernel after each block how much of the side a power cut would find in
// memory only. `bench_image_install IMAGE SIDE FOLDER [BYTES]` prints one line of JSON. With BYTES it
// ends itself by SIGKILL once so many were handed on, and prints how many that were. `bench_image_install STORED SIDE
// FOLDER INDEX` streams the image instead: it copies the pieces that are asked for out of STORED, as an agent fetches
// them.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "core/chunks/index.hpp"
#include "device/slots/chunk_writer.hpp"
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

/// Bytes of the file that are dirty or on their way to the medium, as Linux 6.5 and newer tell it; nothing else. Asked
/// of twice the window before the place that is reached: of the whole side the answer takes longer than the work.
class Unwritten {
 public:
  explicit Unwritten(const Path& file) : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
  void look(ByteCount done) {
    constexpr long kCachestat = 451;
    constexpr ByteCount kLookedAt = 2 * slots::WriterOptions{}.window;
    struct Range {
      std::uint64_t offset = 0, length = 0;
    } range{.offset = done - std::min(done, kLookedAt), .length = kLookedAt};
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

struct Bench {
  slots::HostDisk disk{};
  std::unique_ptr<slots::UBootSwitch> boot{};
  std::unique_ptr<slots::Slots> two{};
};

Result<void> set_up(Bench& bench, const Path& side, const Path& folder) {
  const Path state = folder / "state";
  GODWIT_TRY(const Bytes copy,
             slots::print_uboot({.words = {{"good", "A"}}, .flag = 0}, 512, slots::UBootFormat::plain));
  GODWIT_TRY_VOID(slots::replace_durably(bench.disk, state, copy + copy));
  bench.boot = std::make_unique<slots::UBootSwitch>(
      bench.disk, slots::UBootPlace{.copies = {slots::UBootCopy{state, 0}, slots::UBootCopy{state, 512}}});
  bench.two = std::make_unique<slots::Slots>(bench.disk, *bench.boot,
                                             slots::Places{.sides = {folder / "a", side},
                                                           .running = slots::Side::a,
                                                           .contents = folder / "contents.json",
                                                           .attempts = 3,
                                                           .writer = {}});
  return {};
}

/// Of getrusage() the peak would be that of whoever started the program, if that is larger.
std::string usage_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return fmt::format("\"peak_kib\":{}", std::stoll(line.substr(6)));
  return "\"peak_kib\":0";
}

Result<std::string> install(const Path& image_file, const Path& side, const Path& folder, ByteCount stop_at) {
  Bench bench;
  GODWIT_TRY_VOID(set_up(bench, side, folder));
  slots::Image image;
  {
    GODWIT_TRY(const auto file, bench.disk.open(image_file, slots::OpenMode::read));
    GODWIT_TRY(image.size, file->size());
    GODWIT_TRY(image.sha256, digest_of(*file, image.size));
  }
  Unwritten unwritten(side);
  const slots::Watch watch{.on_progress =
                               [&](ByteCount done, ByteCount) {
                                 unwritten.look(done);
                                 if (stop_at == 0 || done < stop_at) return;
                                 std::cout << fmt::format("{{\"done\":{}}}\n", done) << std::flush;
                                 ::raise(SIGKILL);
                               },
                           .is_cancelled = [] { return false; }};
  const auto begun = std::chrono::steady_clock::now();
  GODWIT_TRY(const slots::Answer answer,
             bench.two->install(
                 image, [&] { return slots::open_image(image_file, slots::Compression::none); }, nullptr, watch));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  if (answer.kind != slots::Answer::Kind::restart) return godwit::fail(godwit::Code::refused, answer.details);
  return fmt::format("{{\"seconds\":{:.3f},\"written\":{},\"skipped\":{},{},\"most_unwritten\":{}}}", took.count(),
                     answer.written.written, answer.written.skipped, usage_of_this_process(), unwritten.most());
}

Result<void> fetch(slots::DiskFile& stored, const Path& target, const std::vector<slots::StoredRange>& ranges) {
  GODWIT_TRY(const godwit::UniqueFd out, godwit::open_file(target, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  Bytes buffer(1024 * 1024, '\0');
  for (const slots::StoredRange& range : ranges)
    for (ByteCount at = 0; at < range.length;) {
      buffer.resize(static_cast<std::size_t>(std::min<ByteCount>(1024 * 1024, range.length - at)));
      GODWIT_TRY(const std::size_t got, stored.read_at(range.offset + at, buffer));
      GODWIT_TRY_VOID(godwit::write_all(out.get(), std::string_view(buffer).substr(0, got)));
      at += got;
    }
  return godwit::sync_fd(out.get());
}

Result<std::string> stream(const Path& stored_file, const Path& side, const Path& folder, const Path& index_file) {
  Bench bench;
  GODWIT_TRY_VOID(set_up(bench, side, folder));
  GODWIT_TRY(Bytes bytes, godwit::read_file(index_file, godwit::chunks::kIndexSizeMax));
  GODWIT_TRY(const auto index, godwit::chunks::Index::parse(std::move(bytes)));
  GODWIT_TRY(const auto stored, bench.disk.open(stored_file, slots::OpenMode::read));
  const slots::Image image{.size = index.layout().image_size, .sha256 = index.layout().image_sha256};
  slots::ArrivedPieces arrived{.file = folder / "pieces", .ranges = {}};
  ByteCount fetched = 0;
  int rounds = 0;
  const auto begun = std::chrono::steady_clock::now();
  for (;; ++rounds) {
    std::vector<slots::StoredRange> missing;
    slots::ChunkWriter writer(bench.disk, index, folder / "progress.json");
    const auto fill = [&](slots::DiskFile& target, const Path&) -> Result<slots::Slots::Filled> {
      GODWIT_TRY(missing, writer.round(target, nullptr, &arrived, {}, {}));
      return slots::Slots::Filled{.is_whole = missing.empty(), .written = writer.written()};
    };
    GODWIT_TRY(const slots::Answer answer, bench.two->install(image, fill, {}));
    if (answer.kind == slots::Answer::Kind::restart) break;
    if (answer.kind != slots::Answer::Kind::unfinished) return godwit::fail(godwit::Code::refused, answer.details);
    GODWIT_TRY_VOID(fetch(*stored, arrived.file, missing));
    arrived.ranges = missing;
    for (const slots::StoredRange& range : missing) fetched += range.length;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  return fmt::format("{{\"seconds\":{:.3f},\"fetched\":{},\"rounds\":{},{}}}", took.count(), fetched, rounds,
                     usage_of_this_process());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: bench_image_install IMAGE SIDE FOLDER [BYTES | INDEX]\n";
    return 2;
  }
  const std::string more = argc > 4 ? argv[4] : "0";
  const bool streams = !std::ranges::all_of(more, [](char c) { return c >= '0' && c <= '9'; });
  const auto told = streams ? stream(argv[1], argv[2], argv[3], more)
                            : install(argv[1], argv[2], argv[3], std::strtoull(more.c_str(), nullptr, 10));
  if (!told) {
    std::cerr << "bench_image_install: " << told.error().message << '\n';
    return 1;
  }
  std::cout << *told << '\n';
  return 0;
}
