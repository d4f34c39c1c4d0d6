#include "core/delta/apply.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace godwit::delta {
namespace {

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// Goes through the records of a delta and checks each against its own check.
class Records {
 public:
  Records(const ReadAt& delta, ByteCount size) : delta_(delta), size_(size) {}

  [[nodiscard]] Result<Header> header() {
    Bytes bytes(static_cast<std::size_t>(std::min<ByteCount>(kHeaderSize, size_)), '\0');
    GODWIT_TRY_VOID(take(bytes));
    return parse_header(bytes);
  }

  /// The next record; its frame is in frame() afterwards.
  [[nodiscard]] Result<Record> next(const Header& header, std::uint64_t group) {
    Bytes bytes(kRecordSize, '\0');
    GODWIT_TRY_VOID(take(bytes));
    GODWIT_TRY(auto start, parse_record_start(bytes, header, group));
    bytes.resize(start.window_count * kWindowSize);
    GODWIT_TRY_VOID(take(bytes));
    GODWIT_TRY(auto record, parse_windows(std::move(start), bytes, header, group));
    frame_.resize(record.frame_size);
    GODWIT_TRY_VOID(take(frame_));
    if (check_of(record, frame_) != record.check)
      return fail(Code::digest_mismatch,
                  fmt::format("group {} of the delta is damaged: its check does not fit", group));
    return record;
  }

  [[nodiscard]] Result<void> end() const {
    if (at_ == size_) return {};
    return fail(Code::size_mismatch, fmt::format("the delta goes on for {} bytes after its last group", size_ - at_));
  }
  [[nodiscard]] const Bytes& frame() const { return frame_; }

 private:
  Result<void> take(Bytes& into) {
    if (into.size() > size_ - at_)
      return fail(Code::size_mismatch, fmt::format("the delta ends at byte {}, in the middle", size_));
    if (!into.empty()) GODWIT_TRY_VOID(delta_(at_, into));
    at_ += into.size();
    return {};
  }

  const ReadAt& delta_;
  ByteCount size_;
  ByteCount at_ = 0;
  Bytes frame_{};
};

/// Makes one group after the other in buffers that are kept.
class GroupMaker {
 public:
  explicit GroupMaker(const ReadAt& source) : source_(source), context_(ZSTD_createDCtx()) {
    GODWIT_CHECK(context_ != nullptr);
  }

  /// The bytes of a group, not yet compared with its hash. Valid until the next call. An error: the source cannot give
  /// them (a frame that does not decode with a check that fits: its prefix is not what it was).
  [[nodiscard]] Result<std::string_view> make(const Record& record, std::string_view frame, ByteCount length) {
    output_.resize(static_cast<std::size_t>(length));
    if (record.kind == Kind::zeros) {
      std::ranges::fill(output_, '\0');
      return std::string_view(output_);
    }
    Bytes& windows = record.kind == Kind::copy ? output_ : prefix_;
    windows.resize(static_cast<std::size_t>(record.source_bytes()));
    std::size_t at = 0;
    for (const Window& window : record.windows) {
      GODWIT_TRY_VOID(source_(window.offset, std::span(windows).subspan(at, window.length)));
      at += window.length;
    }
    if (record.kind == Kind::frame) GODWIT_TRY_VOID(decode(frame));
    return std::string_view(output_);
  }

 private:
  Result<void> decode(std::string_view frame) {
    // The frame must be one frame that says it gives exactly the group: nothing that grows, skips or goes on.
    if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != output_.size() ||
        ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size())
      return fail(Code::invalid_argument, "the frame is not one zstd frame of the group's size");
    ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_and_parameters);
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kFrameWindowLog);
    if (!prefix_.empty()) ZSTD_DCtx_refPrefix(context_.get(), prefix_.data(), prefix_.size());
    const std::size_t got =
        ZSTD_decompressDCtx(context_.get(), output_.data(), output_.size(), frame.data(), frame.size());
    if (ZSTD_isError(got) != 0)
      return fail(Code::invalid_argument, fmt::format("the frame does not decode: {}", ZSTD_getErrorName(got)));
    if (got != output_.size()) return fail(Code::size_mismatch, "the frame gives less than the group");
    return {};
  }

  const ReadAt& source_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  Bytes prefix_{};
  Bytes output_{};
};

Result<void> check_expectations(const Header& header, const ApplyOptions& options) {
  if (options.expected_size && *options.expected_size != header.target_size)
    return fail(Code::size_mismatch, fmt::format("the delta makes a file of {} bytes, {} are expected",
                                                 header.target_size, *options.expected_size));
  if (!options.expected_sha256.empty() && options.expected_sha256 != header.target_sha256)
    return fail(Code::digest_mismatch,
                fmt::format("the delta makes a file with the SHA-256 {}, {} is expected",
                            hex_encode(header.target_sha256), hex_encode(options.expected_sha256)));
  return {};
}

/// True when the group lies in the target already; `buffer` holds it then.
bool is_found(const Header& header, std::uint64_t group, const Record& record, const ApplyOptions& options,
              Bytes& buffer) {
  const ByteCount length = header.group_length(group);
  if (!options.read_back || header.group_offset(group) + length > options.begun) return false;
  buffer.resize(static_cast<std::size_t>(length));
  return options.read_back(header.group_offset(group), buffer) && sha256(buffer) == record.output_sha256;
}

void add_range(std::vector<TargetRange>& ranges, ByteCount offset, ByteCount length) {
  if (!ranges.empty() && ranges.back().offset + ranges.back().length == offset)
    ranges.back().length += length;
  else
    ranges.push_back({.offset = offset, .length = length});
}

}  // namespace

ReadAt reader_of(int fd, std::string name) {
  return [fd, name = std::move(name)](ByteCount offset, std::span<char> into) -> Result<void> {
    std::size_t at = 0;
    while (at < into.size()) {
      const ssize_t got = ::pread(fd, into.data() + at, into.size() - at, static_cast<off_t>(offset + at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return tl::unexpected<Error>{error_from_errno("read " + name, errno)};
      if (got == 0) return fail(Code::size_mismatch, fmt::format("{} ends at byte {}", name, offset + at));
      at += static_cast<std::size_t>(got);
    }
    return {};
  };
}

Result<Applied> apply(const ReadAt& delta, ByteCount delta_size, const ReadAt& source, const WriteAt& write,
                      const ApplyOptions& options) {
  Records records(delta, delta_size);
  Applied applied;
  GODWIT_TRY(applied.header, records.header());
  const Header& header = applied.header;
  GODWIT_TRY_VOID(check_expectations(header, options));
  GroupMaker maker(source);
  Sha256 whole;
  Bytes found;
  for (std::uint64_t group = 0; group < header.group_count(); ++group) {
    if (options.is_cancelled && options.is_cancelled()) return fail(Code::cancelled, "cancelled");
    GODWIT_TRY(const Record record, records.next(header, group));
    const ByteCount offset = header.group_offset(group);
    const ByteCount length = header.group_length(group);
    if (is_found(header, group, record, options, found)) {
      ++applied.groups_found;
      whole.update(found);
    } else if (const auto made = maker.make(record, records.frame(), length);
               made && sha256(*made) == record.output_sha256) {
      GODWIT_TRY_VOID(write(offset, *made));
      ++applied.groups_made;
      whole.update(*made);
    } else {
      add_range(applied.damaged, offset, length);
    }
    if (options.on_progress) options.on_progress(offset + length);
  }
  GODWIT_TRY_VOID(records.end());
  if (applied.damaged.empty() && whole.finish() != header.target_sha256)
    return fail(Code::digest_mismatch, "the groups of the delta do not make the file that its header names");
  return applied;
}

Result<Header> survey(const ReadAt& delta, ByteCount delta_size,
                      const std::function<void(const GroupInfo&)>& on_group) {
  Records records(delta, delta_size);
  GODWIT_TRY(Header header, records.header());
  for (std::uint64_t group = 0; group < header.group_count(); ++group) {
    GODWIT_TRY(Record record, records.next(header, group));
    on_group({.group = group, .length = header.group_length(group), .record = std::move(record)});
  }
  GODWIT_TRY_VOID(records.end());
  return header;
}

}  // namespace godwit::delta
