#include "core/chunks/pack.hpp"

#include <fmt/format.h>

#include <atomic>
#include <future>
#include <memory>
#include <vector>

namespace godwit::chunks {
namespace {

struct Packed {
  Bytes frame{};
  Bytes stored_sha256{};
  Bytes sha256{};
};

Result<void> check(std::string_view image, const PackOptions& options) {
  GODWIT_TRY_VOID(check_chunk_size(options.chunk_size));
  if (options.level < kLevelMin || options.level > kLevelMax || options.jobs == 0 || options.jobs > 64)
    return fail(Code::invalid_argument, "the level or the number of threads is out of range");
  if (image.empty()) return fail(Code::invalid_argument, "the image is empty");
  if (image.size() > ByteCount{kChunkCountMax} * options.chunk_size)
    return fail(Code::too_large, fmt::format("the image has more than {} chunks; choose larger ones", kChunkCountMax));
  return {};
}

/// The chunks from `first` on, as many as there are places in `batch`, on all threads.
void pack_batch(std::string_view image, std::uint32_t chunk_size, std::uint32_t first, std::vector<Packed>& batch,
                const std::vector<std::unique_ptr<Packer>>& packers) {
  std::atomic<std::size_t> next{0};
  std::vector<std::future<void>> workers;
  for (const auto& packer : packers)
    workers.push_back(std::async(std::launch::async, [&, packer = packer.get()] {
      for (std::size_t i = next++; i < batch.size(); i = next++) {
        const std::string_view content = image.substr((first + i) * chunk_size, chunk_size);
        batch[i].frame = packer->pack(content);
        batch[i].stored_sha256 = sha256(batch[i].frame);
        batch[i].sha256 = sha256(content);
      }
    }));
  for (auto& worker : workers) worker.get();
}

}  // namespace

Result<Bytes> pack(std::string_view image, const Append& append, const PackOptions& options) {
  GODWIT_TRY_VOID(check(image, options));
  Layout layout{.chunk_size = options.chunk_size, .image_size = image.size(), .image_sha256 = sha256(image)};
  std::vector<std::unique_ptr<Packer>> packers;
  for (unsigned i = 0; i < options.jobs; ++i) packers.push_back(std::make_unique<Packer>(options.level));
  const std::uint32_t count = layout.count();
  const std::uint32_t most = options.jobs * 16;
  Bytes records;
  for (std::uint32_t first = 0; first < count; first += most) {
    std::vector<Packed> batch(std::min(most, count - first));
    pack_batch(image, options.chunk_size, first, batch, packers);
    for (const Packed& packed : batch) {
      records += print_chunk({.offset = layout.stored_size,
                              .stored = static_cast<std::uint32_t>(packed.frame.size()),
                              .stored_sha256 = packed.stored_sha256,
                              .sha256 = packed.sha256});
      layout.stored_size += packed.frame.size();
      GODWIT_TRY_VOID(append(packed.frame));
    }
  }
  return print_header(layout) + records;
}

}  // namespace godwit::chunks
