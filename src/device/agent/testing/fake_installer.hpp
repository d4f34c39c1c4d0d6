// A FakeDevice behind a Unix socket, speaking the installer's frames. One thread per connection.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <thread>

#include "core/base/file.hpp"
#include "device/agent/testing/fake_device.hpp"

namespace godwit::agent {

class FakeInstaller {
 public:
  FakeInstaller(FakeDevice& device, const Path& socket);
  ~FakeInstaller();
  FakeInstaller(const FakeInstaller&) = delete;
  FakeInstaller& operator=(const FakeInstaller&) = delete;

  /// The next request is read and the connection closed without an answer.
  void lose_next() { must_lose_.store(true); }
  /// The next outcome comes after this many progress and log messages.
  void chatter(int count) { chatter_.store(count); }

 private:
  void accept_all();
  void serve(int fd);

  FakeDevice& device_;
  UniqueFd listener_;
  UniqueFd wake_;
  std::atomic<bool> must_lose_{false};
  std::atomic<int> chatter_{0};
  std::mutex mutex_;
  std::list<std::thread> connections_;
  std::thread thread_;
};

}  // namespace godwit::agent
