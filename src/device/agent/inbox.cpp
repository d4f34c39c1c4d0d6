#include "device/agent/inbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace godwit::agent {
namespace {

template <class T>
void drop_older(std::deque<Input>& inputs) {
  std::erase_if(inputs, [](const Input& input) { return std::holds_alternative<T>(input); });
}

}  // namespace

Result<void> Inbox::open() {
  wake_fd_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_fd_) return tl::unexpected<Error>{error_from_errno("make an event descriptor", errno)};
  return {};
}

void Inbox::push(Input input) {
  {
    const std::lock_guard lock(mutex_);
    if (std::holds_alternative<SessionDesired>(input)) drop_older<SessionDesired>(inputs_);
    if (std::holds_alternative<EffectProgress>(input)) drop_older<EffectProgress>(inputs_);
    inputs_.push_back(std::move(input));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_.get(), &one, sizeof one);  // full means: awake already
}

std::deque<Input> Inbox::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_fd_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  return std::exchange(inputs_, {});
}

}  // namespace godwit::agent
