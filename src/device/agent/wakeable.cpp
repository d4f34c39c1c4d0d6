#include "device/agent/wakeable.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace godwit::agent {

Result<void> Wakeable::open() {
  event_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!event_) return tl::unexpected<Error>{error_from_errno("make an event descriptor", errno)};
  return {};
}

void Wakeable::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(event_.get(), &one, sizeof one);  // full means: awake already
}

bool Wakeable::wait(int fd, short events, Duration until) const {
  const auto left = until - clock_.monotonic();
  const int timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
  pollfd watched[2] = {{event_.get(), POLLIN, 0}, {fd, events, 0}};
  const int ready = ::poll(watched, fd >= 0 ? 2 : 1, timeout);
  if (ready <= 0) return false;
  if (watched[0].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(event_.get(), &count, sizeof count);
  }
  return fd >= 0 && watched[1].revents != 0;
}

}  // namespace godwit::agent
