#include "device/extension/frames.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace godwit::extension {
namespace {

constexpr std::size_t kHeader = 4;

Duration now() { return SystemClock{}.monotonic(); }

/// poll() on one descriptor until `deadline`; false: time is over.
Result<bool> wait_for(int fd, short events, Duration deadline) {
  for (;;) {
    const auto left = deadline - now();
    if (left.count() <= 0) return false;
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return tl::unexpected<Error>{error_from_errno("wait for the peer", errno)};
  }
}

}  // namespace

Result<std::optional<json::Object>> FrameSplitter::next() {
  if (buffer_.size() < kHeader) return std::optional<json::Object>{};
  std::size_t size = 0;
  for (std::size_t i = 0; i < kHeader; ++i) size = (size << 8U) | static_cast<unsigned char>(buffer_[i]);
  if (size > limit_)
    return fail(Code::too_large,
                "a message announces " + std::to_string(size) + " bytes, the limit is " + std::to_string(limit_));
  if (buffer_.size() < kHeader + size) return std::optional<json::Object>{};
  auto message = json::parse_object(std::string_view(buffer_).substr(kHeader, size), {.bytes = limit_, .depth = 40});
  if (!message) return with_context("message", message.error());
  buffer_.erase(0, kHeader + size);
  return std::optional<json::Object>{*std::move(message)};
}

Result<std::string> frame(const json::Object& message, std::size_t limit) {
  const std::string text = json::print(message);
  if (text.size() > limit)
    return fail(Code::too_large, "a message of " + std::to_string(text.size()) + " bytes is above the limit of " +
                                     std::to_string(limit));
  const auto size = static_cast<std::uint32_t>(text.size());
  std::string bytes;
  bytes.reserve(kHeader + text.size());
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<char>((size >> static_cast<unsigned>(shift)) & 0xFFU));
  return bytes + text;
}

Result<void> write_frame(int fd, const json::Object& message, Duration patience, std::size_t limit) {
  GODWIT_TRY(const std::string bytes, frame(message, limit));
  const Duration deadline = now() + patience;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      GODWIT_TRY(const bool ready, wait_for(fd, POLLOUT, deadline));
      if (!ready) return fail(Code::timed_out, "the peer does not read its messages");
    } else if (sent < 0 && errno != EINTR) {
      if (errno == EPIPE || errno == ECONNRESET) return fail(Code::unavailable, "the peer has closed the connection");
      return tl::unexpected<Error>{error_from_errno("send a message", errno)};
    }
  }
  return {};
}

Result<bool> read_some(int fd, FrameSplitter& splitter) {
  std::array<char, 64 * 1024> chunk;
  const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (got > 0) splitter.feed({chunk.data(), static_cast<std::size_t>(got)});
  if (got < 0 && errno == ECONNRESET) return false;
  if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
    return tl::unexpected<Error>{error_from_errno("receive a message", errno)};
  return got != 0;
}

Result<std::optional<json::Object>> read_frame(int fd, FrameSplitter& splitter, Duration patience) {
  const Duration deadline = now() + patience;
  for (;;) {
    GODWIT_TRY(auto message, splitter.next());
    if (message) return message;
    GODWIT_TRY(const bool ready, wait_for(fd, POLLIN, deadline));
    if (!ready) return fail(Code::timed_out, "no message came in " + std::to_string(patience.count()) + " ms");
    GODWIT_TRY(const bool open, read_some(fd, splitter));
    if (open) continue;
    if (splitter.is_between_frames()) return std::optional<json::Object>{};
    return fail(Code::unavailable, "the peer closed the connection in the middle of a message");
  }
}

}  // namespace godwit::extension
