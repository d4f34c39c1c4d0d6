#include "core/delta/make.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "core/delta/windows.hpp"

namespace godwit::delta {
namespace {

bool is_zeros(std::string_view bytes) {
  return bytes.front() == '\0' && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

/// A frame of zstd that decodes to `group` beside `prefix`.
Bytes frame_of(ZSTD_CCtx* context, std::string_view group, std::string_view prefix, int level) {
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  const auto set = [context](ZSTD_cParameter parameter, int value) {
    GODWIT_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)) == 0);
  };
  set(ZSTD_c_compressionLevel, level);
  // For the group alone zstd would choose a window that does not reach back over the prefix.
  if (!prefix.empty()) set(ZSTD_c_windowLog, kFrameWindowLog);
  set(ZSTD_c_contentSizeFlag, 1);
  set(ZSTD_c_checksumFlag, 0);
  if (!prefix.empty()) GODWIT_CHECK(ZSTD_isError(ZSTD_CCtx_refPrefix(context, prefix.data(), prefix.size())) == 0);
  Bytes frame(ZSTD_compressBound(group.size()), '\0');
  const std::size_t size = ZSTD_compress2(context, frame.data(), frame.size(), group.data(), group.size());
  GODWIT_CHECK(ZSTD_isError(size) == 0);  // the room is enough and the parameters are ours
  frame.resize(size);
  return frame;
}

Bytes read_windows(std::string_view source, const std::vector<Window>& windows) {
  Bytes bytes;
  for (const Window& window : windows) bytes += source.substr(static_cast<std::size_t>(window.offset), window.length);
  return bytes;
}

/// Only what pays for its record.
bool is_worth(const std::vector<Window>& windows, std::size_t with, std::size_t without) {
  return with + windows.size() * kWindowSize < without;
}

}  // namespace

struct Maker::Parts {
  Parts(std::string_view source_bytes, std::string_view target_bytes, const MakeOptions& made_with)
      : source(source_bytes), target(target_bytes), options(made_with), index(source_bytes) {}
  std::string_view source;
  std::string_view target;
  MakeOptions options;
  Header header{};
  SourceIndex index;
};

Maker::Encoder::Encoder() : context_(ZSTD_createCCtx()) { GODWIT_CHECK(context_ != nullptr); }
Maker::Encoder::~Encoder() { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(context_)); }

Maker::Maker(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Maker::Maker(Maker&&) noexcept = default;
Maker::~Maker() = default;

Result<Maker> Maker::start(std::string_view source, std::string_view target, const MakeOptions& options) {
  if (source.size() > kImageSizeMax || target.size() > kImageSizeMax)
    return fail(Code::too_large, fmt::format("a delta is for files of at most {} bytes", kImageSizeMax));
  if (options.level < kLevelMin || options.level > kLevelMax)
    return fail(Code::invalid_argument, fmt::format("the level must be {} to {}", kLevelMin, kLevelMax));
  if (options.group_size < kGroupSizeMin || options.group_size > kGroupSizeMax)
    return fail(Code::invalid_argument, fmt::format("the group size must be {} to {}", kGroupSizeMin, kGroupSizeMax));
  auto parts = std::make_unique<Parts>(source, target, options);
  parts->header = {.source_size = source.size(),
                   .source_sha256 = sha256(source),
                   .target_size = target.size(),
                   .target_sha256 = sha256(target),
                   .group_size = options.group_size};
  return Maker(std::move(parts));
}

const Header& Maker::header() const { return parts_->header; }

Bytes Maker::encode(std::uint64_t group, Encoder& encoder) const {
  const Header& header = parts_->header;
  const std::string_view bytes = parts_->target.substr(static_cast<std::size_t>(header.group_offset(group)),
                                                       static_cast<std::size_t>(header.group_length(group)));
  Record record{.kind = Kind::zeros, .output_sha256 = sha256(bytes)};
  if (is_zeros(bytes)) return print_record(record, {});
  const auto matches = parts_->index.matches(bytes);
  if (auto exact = exact_windows(matches, bytes.size())) {
    record.kind = Kind::copy;
    record.windows = *std::move(exact);
    return print_record(record, {});
  }
  record.kind = Kind::frame;
  auto* context = static_cast<ZSTD_CCtx*>(encoder.context_);
  const int level = parts_->options.level;
  auto windows = choose_windows(matches, header.source_size);
  Bytes frame = frame_of(context, bytes, read_windows(parts_->source, windows), level);
  // Where the source hardly helps, the group may be smaller alone, and does not depend on the source then.
  if (!windows.empty() && frame.size() + windows.size() * kWindowSize > bytes.size() / 8) {
    Bytes alone = frame_of(context, bytes, {}, level);
    if (!is_worth(windows, frame.size(), alone.size())) {
      windows.clear();
      frame = std::move(alone);
    }
  }
  record.windows = std::move(windows);
  record.frame_size = static_cast<std::uint32_t>(frame.size());
  return print_record(record, frame);
}

Result<Header> make(std::string_view source, std::string_view target, const Append& append,
                    const MakeOptions& options) {
  GODWIT_TRY(const Maker maker, Maker::start(source, target, options));
  GODWIT_TRY_VOID(append(print_header(maker.header())));
  Maker::Encoder encoder;
  for (std::uint64_t group = 0; group < maker.header().group_count(); ++group)
    GODWIT_TRY_VOID(append(maker.encode(group, encoder)));
  return maker.header();
}

}  // namespace godwit::delta
