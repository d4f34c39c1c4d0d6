// A stream of an image's bytes, as they will lie on the partition: raw, or unpacked on the way. Constant memory; one
// thread. A damaged or cut stream is an error, never a short image.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::slots {

enum class Compression : std::uint8_t { none, gzip, zstd };
/// "none", "gzip", "zstd".
[[nodiscard]] std::optional<Compression> parse_compression(std::string_view word);

class ImageSource {
 public:
  ImageSource() = default;
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;
  virtual ~ImageSource() = default;
  /// The next bytes: fills `buffer`, less only at the end of the image, 0 after it. Errors: io_failed, size_mismatch
  /// (the stream ends early), invalid_argument (it is damaged, or needs more than 8 MiB of window).
  [[nodiscard]] virtual Result<std::size_t> read(std::span<char> buffer) = 0;
};

/// Opens a source anew each time it is called.
using OpenSource = std::function<Result<std::unique_ptr<ImageSource>>()>;

/// Errors: not_found, io_failed.
[[nodiscard]] Result<std::unique_ptr<ImageSource>> open_image(const Path& file, Compression compression);

}  // namespace godwit::slots
