#include "device/agent/testing/fake_installer.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "device/extension/frames.hpp"

namespace godwit::agent {

FakeInstaller::FakeInstaller(FakeDevice& device, const Path& socket) : device_(device) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  GODWIT_CHECK(socket.native().size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size() + 1);
  ::unlink(socket.c_str());
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  GODWIT_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  GODWIT_CHECK(::listen(listener_.get(), 8) == 0);
  wake_.reset(::eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this] { accept_all(); });
}

FakeInstaller::~FakeInstaller() {
  const std::uint64_t one = 1;
  GODWIT_CHECK(::write(wake_.get(), &one, sizeof one) == sizeof one);
  device_.release();
  thread_.join();
  for (auto& connection : connections_) connection.join();
}

void FakeInstaller::accept_all() {
  for (;;) {
    std::array<pollfd, 2> watched{{{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), -1);
    if (watched[1].revents != 0) return;
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const std::lock_guard lock(mutex_);
    connections_.emplace_back([this, fd] {
      serve(fd);
      ::close(fd);
    });
  }
}

void FakeInstaller::serve(int fd) {
  extension::FrameSplitter splitter;
  for (;;) {
    const auto message = extension::read_frame(fd, splitter, std::chrono::seconds(20));
    if (!message || !*message) return;
    if (must_lose_.exchange(false)) return;
    const auto request = installer::parse_request(**message);
    installer::Reply reply = request
                                 ? device_.handle(*request)
                                 : installer::Reply{installer::Refusal{request.error().code, request.error().message}};
    for (int i = chatter_.exchange(0); i > 0; --i) {
      (void)extension::write_frame(
          fd, installer::to_json(installer::Reply{installer::Progress{static_cast<std::uint64_t>(i), 100}}));
      (void)extension::write_frame(fd,
                                   installer::to_json(installer::Reply{installer::LogLine{LogLevel::info, "working"}}));
    }
    if (!extension::write_frame(fd, installer::to_json(reply))) return;
  }
}

}  // namespace godwit::agent
