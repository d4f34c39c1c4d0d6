// Framed messages on a stream socket: a 4-byte big-endian length, then one JSON object of so many bytes. Spoken between
// a host and its extension worker, and between agent and installer.
// A Reader belongs to one thread; write_frame() on one descriptor must not run on two threads at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit::extension {

inline constexpr std::size_t kFrameLimit = 4 * 1024 * 1024;

/// Cuts a stream of bytes into frames. Pure: feed it what was read. After an error it must not be used any more.
class FrameSplitter {
 public:
  explicit FrameSplitter(std::size_t limit = kFrameLimit) : limit_(limit) {}
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  /// nothing: more bytes are needed. Errors: too_large (checked on the length alone), bad_json (not one object).
  [[nodiscard]] Result<std::optional<json::Object>> next();
  [[nodiscard]] bool is_between_frames() const { return buffer_.empty(); }

 private:
  std::size_t limit_;
  std::string buffer_;
};

/// The bytes of one frame. Errors: too_large.
[[nodiscard]] Result<std::string> frame(const json::Object& message, std::size_t limit = kFrameLimit);
/// Writes one frame completely, waiting up to `patience` for a peer that does not read; never raises SIGPIPE.
/// Errors: too_large, unavailable (the peer is gone), timed_out, io_failed.
[[nodiscard]] Result<void> write_frame(int fd, const json::Object& message,
                                       Duration patience = std::chrono::seconds(30), std::size_t limit = kFrameLimit);

/// Reads what is there now into `splitter`. true: some bytes or nothing yet; false: the peer closed. Errors: io_failed.
[[nodiscard]] Result<bool> read_some(int fd, FrameSplitter& splitter);
/// Waits for one whole frame; nothing: the peer closed between two frames.
/// Errors: timed_out, unavailable (closed inside a frame), too_large, bad_json, io_failed.
[[nodiscard]] Result<std::optional<json::Object>> read_frame(int fd, FrameSplitter& splitter, Duration patience);

}  // namespace godwit::extension
