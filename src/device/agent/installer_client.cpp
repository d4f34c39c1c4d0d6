#include "device/agent/installer_client.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "device/extension/frames.hpp"

namespace godwit::agent {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(5);
constexpr Duration kSendPatience = std::chrono::seconds(30);
constexpr Duration kCancelPatience = std::chrono::seconds(10);

Result<UniqueFd> connect_once(const Path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& name = socket.native();
  if (name.size() >= sizeof address.sun_path)
    return fail(Code::invalid_argument,
                "installer.socket: the path has more than " + std::to_string(sizeof address.sun_path - 1) + " bytes");
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return tl::unexpected<Error>{error_from_errno("make a socket", errno)};
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(Code::unavailable,
                "connect to the installer at " + name + ": " +
                    std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): glibc's is safe for known numbers
  return fd;
}

}  // namespace

SocketInstaller::SocketInstaller(Settings settings, const Clock& clock, Pauses& pauses, Log& log)
    : settings_(std::move(settings)),
      clock_(clock),
      pauses_(pauses),
      log_(log),
      abandon_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

void SocketInstaller::abandon() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(abandon_fd_.get(), &one, sizeof one);
}

Result<UniqueFd> SocketInstaller::connect(const InstallerCall& call) {
  const Duration deadline = clock_.monotonic() + call.patience;
  Duration pause = kFirstPause;
  for (;;) {
    auto fd = connect_once(settings_.socket);
    if (fd || fd.error().code != Code::unavailable) return fd;
    const Duration left = deadline - clock_.monotonic();
    if (left <= Duration{0}) return fail(Code::timed_out, fd.error().message + "; is godwit-installer running?");
    if (!pauses_.wait(std::min(pause, left), call.stop))
      return fail(Code::cancelled, "stopped while waiting for the installer");
    pause = std::min(pause * 2, kLongestPause);
  }
}

Result<installer::ActOutcome> SocketInstaller::ask(const installer::Request& request, const InstallerCall& call) {
  for (int lost_before_sent = 0;; ++lost_before_sent) {
    if (call.stop.stop_requested()) return fail(Code::cancelled, "stopped before the installer was asked");
    GODWIT_TRY(const auto fd, connect(call));
    auto sent = extension::write_frame(fd.get(), installer::to_json(request), kSendPatience);
    if (!sent && sent.error().code == Code::unavailable && lost_before_sent < 3)
      continue;  // it is just going down: it has not begun anything
    if (!sent) return with_context("ask the installer", std::move(sent).error());
    return follow(fd.get(), call);
  }
}

Result<installer::ActOutcome> SocketInstaller::follow(int fd, const InstallerCall& call) {
  const UniqueFd stop_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!stop_fd) return tl::unexpected<Error>{error_from_errno("make an event descriptor", errno)};
  const std::stop_callback on_stop(call.stop, [&stop_fd] {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop_fd.get(), &one, sizeof one);
  });
  Duration deadline = clock_.monotonic() + settings_.act_time_limit;
  bool is_cancelled = false;
  extension::FrameSplitter splitter;
  for (;;) {
    GODWIT_TRY(const auto message, splitter.next());
    if (message) {
      GODWIT_TRY(auto reply, installer::parse_reply(*message));
      if (const auto* progress = std::get_if<installer::Progress>(&reply); progress != nullptr && call.on_progress)
        call.on_progress(progress->done, progress->total);
      if (const auto* line = std::get_if<installer::LogLine>(&reply))
        log_.write(line->level, "installer.says", {{"line", line->line}});
      if (auto* outcome = std::get_if<installer::ActOutcome>(&reply)) return std::move(*outcome);
      if (auto* refusal = std::get_if<installer::Refusal>(&reply))
        return fail(refusal->code, "the installer refuses: " + refusal->message);
      continue;
    }
    pollfd watched[3] = {
        {fd, POLLIN, 0}, {is_cancelled ? -1 : stop_fd.get(), POLLIN, 0}, {abandon_fd_.get(), POLLIN, 0}};
    const auto left = std::clamp<std::int64_t>((deadline - clock_.monotonic()).count(), 0, 60'000);
    const int ready = ::poll(watched, 3, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return tl::unexpected<Error>{error_from_errno("wait for the installer", errno)};
    if (ready > 0 && watched[2].revents != 0) return fail(Code::unavailable, "the agent ends");
    if (ready > 0 && watched[1].revents != 0) {
      is_cancelled = true;
      deadline = clock_.monotonic() + settings_.cancel_limit;
      cancel(call.workflow_id);
    }
    if (ready > 0 && watched[0].revents != 0) {
      GODWIT_TRY(const bool is_open, extension::read_some(fd, splitter));
      if (!is_open && splitter.is_between_frames())
        return fail(Code::unavailable, "the installer closed the connection before its answer");
      if (!is_open) return fail(Code::unavailable, "the installer closed the connection in the middle of its answer");
    }
    if (clock_.monotonic() < deadline) continue;
    if (is_cancelled) return fail(Code::timed_out, "the installer did not end the act after a cancel");
    is_cancelled = true;
    deadline = clock_.monotonic() + settings_.cancel_limit;
    log_.error("installer.too_slow", {{"limit_ms", settings_.act_time_limit.count()}});
    cancel(call.workflow_id);
  }
}

/// The running act ends with its own outcome on its own connection; here only the receipt is awaited.
void SocketInstaller::cancel(const std::string& workflow_id) {
  if (workflow_id.empty()) return;
  const auto fd = connect_once(settings_.socket);
  if (!fd) {
    log_.warning("installer.not_cancelled", {{"reason", fd.error().message}});
    return;
  }
  const auto sent = extension::write_frame(
      fd->get(), installer::to_json(installer::Request{installer::CancelRequest{workflow_id}}), kCancelPatience);
  extension::FrameSplitter splitter;
  const auto reply = extension::read_frame(fd->get(), splitter, kCancelPatience);
  if (!sent || !reply)
    log_.warning("installer.not_cancelled", {{"reason", sent ? reply.error().message : sent.error().message}});
}

}  // namespace godwit::agent
