// dm-verity: an image that carries a tree of hashes over itself, so that the kernel notices every block that was
// altered after it was installed. The root of the tree comes from the signed manifest. Here the tree is checked against
// that root before the side is tried; the kernel does it again with each block that it reads. Blocking; one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "device/slots/disk.hpp"

namespace godwit::slots {

struct Verity {
  Bytes root_hash;            // 32 bytes: SHA-256
  ByteCount hash_offset = 0;  // of the superblock that `veritysetup format --hash-offset` wrote: a multiple of 4096
  friend bool operator==(const Verity&, const Verity&) = default;
};

/// "HASH_OFFSET:ROOT_HASH", as the boot loader hands it to the kernel in godwit.verity=.
[[nodiscard]] std::string verity_word(const Verity& verity);
/// Nothing for any other text.
[[nodiscard]] std::optional<Verity> parse_verity_word(std::string_view word);

/// Checks the tree of an image whose bytes are handed over in order. Memory: one block for each level of the tree.
class VerityCheck {
 public:
  /// Reads the superblock. Errors: refused (not of version 1 with SHA-256 and blocks of 4096 bytes, or it does not fit
  /// into an image of `size` bytes), io_failed. `target` outlives the check.
  [[nodiscard]] static Result<VerityCheck> open(DiskFile& target, ByteCount size, const Verity& verity);

  /// The next bytes of the image. Errors: digest_mismatch (the tree holds another hash), io_failed.
  [[nodiscard]] Result<void> update(std::string_view bytes);
  /// After the last byte. Errors: digest_mismatch (the tree has another root than the manifest names), io_failed.
  [[nodiscard]] Result<void> finish();

 private:
  struct Level {
    ByteCount start = 0;  // byte of its first block in the image
    ByteCount done = 0;   // blocks compared
    Bytes pending{};      // hashes of the block that is being filled
  };
  VerityCheck(DiskFile& target, const Verity& verity) : target_(&target), verity_(verity) {}
  [[nodiscard]] Result<void> put(std::size_t level, const Bytes& digest);
  [[nodiscard]] Result<void> close_block(std::size_t level);
  [[nodiscard]] Bytes hash(std::string_view block) const;

  DiskFile* target_;
  Verity verity_;
  Bytes salt_{};
  ByteCount data_left_ = 0;  // bytes of the data area that are still to come
  Bytes partial_{};
  std::vector<Level> levels_{};  // the lowest first
  Bytes root_{};
};

}  // namespace godwit::slots
