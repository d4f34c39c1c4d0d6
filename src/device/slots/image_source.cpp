#include "device/slots/image_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <vector>

namespace godwit::slots {
namespace {

constexpr std::size_t kInput = 128 * 1024;
constexpr int kZstdWindowLog = 23;    // 8 MiB: a device bounds what a stream may ask for
constexpr int kGzipWindow = 15 + 16;  // zlib's way to say "gzip, any window"

class RawSource final : public ImageSource {
 public:
  RawSource(UniqueFd fd, Path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Result<std::size_t> read(std::span<char> buffer) override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const auto got = ::read(fd_.get(), buffer.data() + done, buffer.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return tl::unexpected<Error>{error_from_errno("read " + path_.string(), errno)};
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  UniqueFd fd_;
  Path path_;
};

/// What both packers share: a buffer of packed bytes and the question whether more is wanted.
class PackedSource : public ImageSource {
 public:
  explicit PackedSource(std::unique_ptr<RawSource> raw) : raw_(std::move(raw)), input_(kInput) {}

 protected:
  /// False at the end of the file.
  Result<bool> refill() {
    GODWIT_TRY(filled_, raw_->read(input_));
    used_ = 0;
    return filled_ > 0;
  }
  static tl::unexpected<Error> ends_early() {
    return fail(Code::size_mismatch, "the compressed image ends before its stream does");
  }

  std::unique_ptr<RawSource> raw_;
  std::vector<char> input_;
  std::size_t filled_ = 0;
  std::size_t used_ = 0;
};

class GzipSource final : public PackedSource {
 public:
  explicit GzipSource(std::unique_ptr<RawSource> raw) : PackedSource(std::move(raw)) {
    GODWIT_CHECK(::inflateInit2(&stream_, kGzipWindow) == Z_OK);
  }
  ~GzipSource() override { ::inflateEnd(&stream_); }

  Result<std::size_t> read(std::span<char> buffer) override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      if (used_ == filled_) {
        GODWIT_TRY(const bool more, refill());
        if (!more && !at_border_) return ends_early();
        if (!more) break;
      }
      if (at_border_) GODWIT_CHECK(::inflateReset(&stream_) == Z_OK);
      at_border_ = false;
      stream_.next_in = reinterpret_cast<unsigned char*>(input_.data() + used_);
      stream_.avail_in = static_cast<unsigned>(filled_ - used_);
      stream_.next_out = reinterpret_cast<unsigned char*>(buffer.data() + done);
      stream_.avail_out = static_cast<unsigned>(buffer.size() - done);
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      used_ = filled_ - stream_.avail_in;
      done = buffer.size() - stream_.avail_out;
      at_border_ = status == Z_STREAM_END;
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        return fail(Code::invalid_argument, fmt::format("the gzip stream is damaged: {}",
                                                        stream_.msg == nullptr ? "no valid stream" : stream_.msg));
    }
    return done;
  }

 private:
  z_stream stream_{};
  bool at_border_ = false;  // between two members, where a file may end
};

class ZstdSource final : public PackedSource {
 public:
  explicit ZstdSource(std::unique_ptr<RawSource> raw) : PackedSource(std::move(raw)), stream_(::ZSTD_createDStream()) {
    GODWIT_CHECK(stream_ != nullptr);
    GODWIT_CHECK(::ZSTD_isError(::ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kZstdWindowLog)) == 0);
  }
  ~ZstdSource() override { ::ZSTD_freeDStream(stream_); }

  Result<std::size_t> read(std::span<char> buffer) override {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    while (out.pos < out.size) {
      // Bytes may wait inside the decoder, so it is asked once more before the file is.
      if (used_ == filled_ && !has_more_inside_) {
        GODWIT_TRY(const bool more, refill());
        if (!more && !at_border_) return ends_early();
        if (!more) break;
      }
      ZSTD_inBuffer in{input_.data(), filled_, used_};
      const std::size_t before = out.pos;
      const std::size_t status = ::ZSTD_decompressStream(stream_, &out, &in);
      if (::ZSTD_isError(status) != 0)
        return fail(Code::invalid_argument,
                    fmt::format("the zstd stream is damaged or too large: {}", ::ZSTD_getErrorName(status)));
      used_ = in.pos;
      at_border_ = status == 0;
      has_more_inside_ = !at_border_ && out.pos == out.size && out.pos > before;
    }
    return out.pos;
  }

 private:
  ZSTD_DStream* stream_;
  bool at_border_ = false;
  bool has_more_inside_ = false;
};

}  // namespace

std::optional<Compression> parse_compression(std::string_view word) {
  if (word == "none") return Compression::none;
  if (word == "gzip") return Compression::gzip;
  if (word == "zstd") return Compression::zstd;
  return std::nullopt;
}

Result<std::unique_ptr<ImageSource>> open_image(const Path& file, Compression compression) {
  GODWIT_TRY(UniqueFd fd, open_file(file, O_RDONLY));
  auto raw = std::make_unique<RawSource>(std::move(fd), file);
  std::unique_ptr<ImageSource> source;
  switch (compression) {
    case Compression::none: source = std::move(raw); break;
    case Compression::gzip: source = std::make_unique<GzipSource>(std::move(raw)); break;
    case Compression::zstd: source = std::make_unique<ZstdSource>(std::move(raw)); break;
  }
  return source;
}

}  // namespace godwit::slots
