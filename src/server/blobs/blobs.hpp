// Payloads by SHA-256: written once, fsynced, never half visible. disk/ is the first engine: blobs/ab/abcdef....
// Safe from any thread; an Upload belongs to one caller at a time.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::blobs {

/// A blob on its way in: to a temporary file, hashed while written. Destroying it unfinished removes the file.
class Upload {
 public:
  virtual ~Upload() = default;
  /// Errors: too_large as soon as more than the announced size arrives, disk_full, io_failed.
  [[nodiscard]] virtual Result<void> write(std::string_view bytes) = 0;
  /// Checks size and digest, fsyncs, renames, fsyncs the folder. Errors: size_mismatch, digest_mismatch, disk_full,
  /// io_failed. Idempotent by content.
  [[nodiscard]] virtual Result<void> finish() = 0;
};

class Blobs {
 public:
  virtual ~Blobs() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<Upload>> start(const Bytes& sha256, ByteCount size) = 0;
  [[nodiscard]] virtual Result<std::optional<ByteCount>> size_of(const Bytes& sha256) = 0;  // nullopt: not here
  /// A descriptor for reading, at offset 0. Errors: not_found.
  [[nodiscard]] virtual Result<UniqueFd> open(const Bytes& sha256) = 0;
  [[nodiscard]] virtual Result<void> remove(const Bytes& sha256) = 0;  // not there = success
};

}  // namespace godwit::blobs
