#include "device/slots/verity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/little_endian.hpp"
#include "core/base/text.hpp"

namespace godwit::slots {
namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kDigest = 32;
constexpr std::size_t kPerBlock = kBlock / kDigest;
constexpr std::size_t kSaltLimit = 256;

// The superblock of version 1, as veritysetup writes it; all numbers are little endian.
constexpr std::string_view kMagic{"verity\0\0", 8};
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kTypeAt = 12;
constexpr std::size_t kAlgorithmAt = 32;
constexpr std::size_t kAlgorithmSize = 32;
constexpr std::size_t kDataBlockAt = 64;
constexpr std::size_t kHashBlockAt = 68;
constexpr std::size_t kDataBlocksAt = 72;
constexpr std::size_t kSaltSizeAt = 80;
constexpr std::size_t kSaltAt = 88;
constexpr std::size_t kSuperblock = 512;

template <class Number>
Number number_at(std::string_view block, std::size_t at) {
  return little_endian<Number>(block.substr(at));
}

tl::unexpected<Error> refused(std::string_view why) {
  return fail(Code::refused, fmt::format("the image's dm-verity superblock {}", why));
}

}  // namespace

std::string verity_word(const Verity& verity) {
  return fmt::format("{}:{}", verity.hash_offset, hex_encode(verity.root_hash));
}

std::optional<Verity> parse_verity_word(std::string_view word) {
  const auto colon = word.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto offset = to_number<ByteCount>(word.substr(0, colon));
  auto root = hex_decode(word.substr(colon + 1));
  if (!offset || *offset == 0 || *offset % kBlock != 0 || !root || root->size() != kDigest) return std::nullopt;
  return Verity{.root_hash = *std::move(root), .hash_offset = *offset};
}

Result<VerityCheck> VerityCheck::open(DiskFile& target, ByteCount size, const Verity& verity) {
  if (verity.hash_offset % kBlock != 0 || size < kBlock || verity.hash_offset > size - kBlock)
    return refused(fmt::format("is said to lie at byte {}, where the image of {} bytes has no whole block",
                               verity.hash_offset, size));
  std::array<char, kSuperblock> raw{};
  GODWIT_TRY(const std::size_t got, target.read_at(verity.hash_offset, raw));
  const std::string_view block(raw.data(), got);
  if (got != kSuperblock || !block.starts_with(kMagic)) return refused("is not where the manifest says");
  std::string_view algorithm = block.substr(kAlgorithmAt, kAlgorithmSize);
  algorithm = algorithm.substr(0, algorithm.find('\0'));
  if (number_at<std::uint32_t>(block, kVersionAt) != 1 || number_at<std::uint32_t>(block, kTypeAt) != 1 ||
      algorithm != "sha256" || number_at<std::uint32_t>(block, kDataBlockAt) != kBlock ||
      number_at<std::uint32_t>(block, kHashBlockAt) != kBlock)
    return refused("is not of version 1, hash type 1, sha256 with blocks of 4096 bytes, as veritysetup makes them");
  const auto blocks = number_at<std::uint64_t>(block, kDataBlocksAt);
  const std::size_t salt = number_at<std::uint16_t>(block, kSaltSizeAt);
  if (blocks == 0 || blocks > verity.hash_offset / kBlock || salt > kSaltLimit)
    return refused("names more data than lies before it");

  VerityCheck check(target, verity);
  check.salt_ = Bytes(block.substr(kSaltAt, salt));
  check.data_left_ = blocks * kBlock;
  std::vector<std::uint64_t> sizes;
  for (std::uint64_t below = blocks; below > 1; sizes.push_back(below)) below = (below + kPerBlock - 1) / kPerBlock;
  ByteCount at = verity.hash_offset + kBlock;
  check.levels_.resize(sizes.size());
  for (std::size_t i = sizes.size(); i-- > 0;) {  // the highest level is stored first
    check.levels_[i].start = at;
    at += sizes[i] * kBlock;
  }
  if (at > size) return refused("belongs to a tree that the image does not hold as a whole");
  return check;
}

Bytes VerityCheck::hash(std::string_view block) const {
  Sha256 sum;
  sum.update(salt_);
  sum.update(block);
  return sum.finish();
}

Result<void> VerityCheck::update(std::string_view bytes) {
  bytes = bytes.substr(0, static_cast<std::size_t>(std::min<ByteCount>(bytes.size(), data_left_)));
  data_left_ -= bytes.size();
  while (!bytes.empty()) {
    const std::size_t take = std::min(kBlock - partial_.size(), bytes.size());
    std::string_view block = bytes.substr(0, take);
    bytes.remove_prefix(take);
    if (!partial_.empty() || take < kBlock) {
      partial_ += block;
      if (partial_.size() < kBlock) break;
      block = partial_;
    }
    GODWIT_TRY_VOID(put(0, hash(block)));
    partial_.clear();
  }
  return {};
}

Result<void> VerityCheck::put(std::size_t level, const Bytes& digest) {
  if (level == levels_.size()) {
    root_ = digest;
    return {};
  }
  levels_[level].pending += digest;
  return levels_[level].pending.size() == kBlock ? close_block(level) : Result<void>{};
}

Result<void> VerityCheck::close_block(std::size_t level) {
  Level& here = levels_[level];
  here.pending.resize(kBlock, '\0');
  std::array<char, kBlock> stored{};
  GODWIT_TRY(const std::size_t got, target_->read_at(here.start + here.done * kBlock, stored));
  if (std::string_view(stored.data(), got) != here.pending)
    return fail(Code::digest_mismatch,
                fmt::format("block {} in level {} of the image's dm-verity tree is not the hash of what it covers",
                            here.done, level));
  ++here.done;
  const Bytes digest = hash(here.pending);
  here.pending.clear();
  return put(level + 1, digest);
}

Result<void> VerityCheck::finish() {
  if (data_left_ != 0 || !partial_.empty())
    return fail(Code::size_mismatch, "the image ends before the data that its dm-verity tree covers");
  for (std::size_t level = 0; level < levels_.size(); ++level)
    if (!levels_[level].pending.empty()) GODWIT_TRY_VOID(close_block(level));
  if (root_ == verity_.root_hash) return {};
  return fail(Code::digest_mismatch,
              fmt::format("the image's dm-verity tree has the root hash {}, the manifest names {}", hex_encode(root_),
                          hex_encode(verity_.root_hash)));
}

}  // namespace godwit::slots
