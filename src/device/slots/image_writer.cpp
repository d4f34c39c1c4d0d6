#include "device/slots/image_writer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "device/slots/difference_writer.hpp"

namespace godwit::slots {
namespace {

constexpr std::size_t kDigest = 32;
constexpr std::size_t kChunksAhead = 4;  // what the medium reads while one chunk is worked on

/// Asks for what comes next: at `offset` 0 all chunks ahead, then one more each time.
void read_ahead(DiskFile& target, ByteCount offset, ByteCount size, std::size_t chunk) {
  const ByteCount end = std::min<ByteCount>(offset + (1 + kChunksAhead) * chunk, size);
  const ByteCount begin = offset == 0 ? 0 : offset + kChunksAhead * chunk;
  if (begin < end) target.will_read(begin, end - begin);
}

Result<void> check_blocks(std::string_view chunk, ByteCount offset, const BlockHashes& hashes) {
  for (std::size_t at = 0; at < chunk.size(); at += hashes.block_size) {
    const auto number = static_cast<std::size_t>((offset + at) / hashes.block_size);
    if (sha256(chunk.substr(at, hashes.block_size)) !=
        std::string_view(hashes.digests).substr(number * kDigest, kDigest))
      return fail(
          Code::digest_mismatch,
          fmt::format("block {} of the image is not what the list of block hashes says; it was not written", number));
  }
  return {};
}

}  // namespace

Result<void> check_hashes(const BlockHashes& hashes, const Image& image, const WriterOptions& options) {
  if (hashes.block_size == 0 || hashes.block_size % options.grain != 0 || options.chunk % hashes.block_size != 0)
    return fail(Code::invalid_argument, fmt::format("blocks of {} bytes: they must be a multiple of {} that divides {}",
                                                    hashes.block_size, options.grain, options.chunk));
  const ByteCount blocks = (image.size + hashes.block_size - 1) / hashes.block_size;
  if (hashes.digests.size() != blocks * kDigest)
    return fail(Code::invalid_argument, fmt::format("the list of block hashes has {} bytes; {} blocks need {}",
                                                    hashes.digests.size(), blocks, blocks * kDigest));
  return {};
}

Result<Written> write_image(DiskFile& target, ImageSource& source, const Image& image, const BlockHashes* hashes,
                            const WriterOptions& options, const Watch& watch) {
  GODWIT_CHECK(options.chunk % options.grain == 0 && options.window >= options.chunk);
  if (hashes != nullptr) GODWIT_TRY_VOID(check_hashes(*hashes, image, options));
  GODWIT_TRY_VOID(target.drop_cache());  // what is compared is the medium's, not what a failed sync left in memory
  std::vector<char> wanted(options.chunk);
  std::vector<char> present(options.chunk);
  DifferenceWriter writer(target, options);
  for (ByteCount offset = 0; offset < image.size;) {
    if (watch.is_cancelled()) return cancelled();
    const auto want = static_cast<std::size_t>(std::min<ByteCount>(options.chunk, image.size - offset));
    read_ahead(target, offset, image.size, options.chunk);
    GODWIT_TRY(const std::size_t got, source.read(std::span(wanted).first(want)));
    if (got != want)
      return fail(Code::size_mismatch,
                  fmt::format("the image ends after {} bytes; the manifest says {}", offset + got, image.size));
    const std::string_view chunk(wanted.data(), want);
    if (hashes != nullptr) GODWIT_TRY_VOID(check_blocks(chunk, offset, *hashes));
    GODWIT_TRY(const std::size_t there, target.read_at(offset, std::span(present).first(want)));
    GODWIT_TRY_VOID(writer.put(offset, chunk, {present.data(), there}));
    offset += want;
    watch.on_progress(offset, image.size);
  }
  char extra = 0;
  GODWIT_TRY(const std::size_t more, source.read(std::span(&extra, 1)));
  if (more != 0)
    return fail(Code::size_mismatch,
                fmt::format("the image goes on after the {} bytes that the manifest says", image.size));
  GODWIT_TRY_VOID(writer.sync());
  return Written{.written = writer.written(), .skipped = image.size - writer.written()};
}

Result<Bytes> digest_of(DiskFile& target, ByteCount size, const WriterOptions& options, const Watch& watch,
                        const std::function<void(std::string_view)>& also) {
  GODWIT_TRY_VOID(target.drop_cache());
  std::vector<char> buffer(options.chunk);
  Sha256 sum;
  for (ByteCount offset = 0; offset < size;) {
    if (watch.is_cancelled()) return cancelled();
    const auto want = static_cast<std::size_t>(std::min<ByteCount>(options.chunk, size - offset));
    read_ahead(target, offset, size, options.chunk);
    GODWIT_TRY(const std::size_t got, target.read_at(offset, std::span(buffer).first(want)));
    if (got != want) return fail(Code::size_mismatch, fmt::format("the side ends after {} bytes", offset + got));
    sum.update({buffer.data(), got});
    also({buffer.data(), got});
    offset += got;
    watch.on_progress(offset, size);
  }
  return sum.finish();
}

Result<void> verify_image(DiskFile& target, const Image& image, const WriterOptions& options, const Watch& watch) {
  std::optional<VerityCheck> tree;
  if (image.verity) {
    GODWIT_TRY(tree, VerityCheck::open(target, image.size, *image.verity));
  }
  Result<void> tree_holds;
  GODWIT_TRY(const Bytes digest, digest_of(target, image.size, options, watch, [&](std::string_view bytes) {
               if (tree && tree_holds) tree_holds = tree->update(bytes);
             }));
  if (digest != image.sha256)
    return fail(Code::digest_mismatch, fmt::format("what was read back has the hash {}, the image {}",
                                                   hex_encode(digest), hex_encode(image.sha256)));
  GODWIT_TRY_VOID(tree_holds);
  return tree ? tree->finish() : Result<void>{};
}

}  // namespace godwit::slots
