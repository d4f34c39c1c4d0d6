#include "core/base/service_manager.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "core/base/file.hpp"

namespace godwit {
namespace {

class ServiceManagerTest : public ::testing::Test {
 protected:
  ~ServiceManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
    std::filesystem::remove(name_);
  }
  void listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(address.sun_path, name_.size());
    ASSERT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", name_.c_str(), 1);
  }
  std::string heard() {
    std::array<char, 1024> bytes{};
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return got < 0 ? "" : std::string(bytes.data(), static_cast<std::size_t>(got));
  }
  std::string name_ = "/tmp/godwit-notify-" + std::to_string(::getpid());
  UniqueFd fd_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST_F(ServiceManagerTest, tells_how_the_process_is_and_takes_the_socket_from_its_children) {
  listen();
  ::setenv("WATCHDOG_USEC", "600000000", 1);
  const auto manager = ServiceManager::from_environment();
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
  EXPECT_EQ(manager.watchdog_pause(), std::chrono::minutes(5));
  manager.ready();
  EXPECT_EQ(heard(), "READY=1");
  manager.status("two\nlines");
  EXPECT_EQ(heard(), "STATUS=two lines");
  manager.alive();
  EXPECT_EQ(heard(), "WATCHDOG=1");
  manager.put_back();
  EXPECT_STREQ(std::getenv("NOTIFY_SOCKET"), name_.c_str());
  EXPECT_STREQ(std::getenv("WATCHDOG_USEC"), "600000000");
  manager.stopping();
  EXPECT_EQ(heard(), "STOPPING=1");
}

TEST_F(ServiceManagerTest, says_nothing_where_nobody_waits) {
  const auto manager = ServiceManager::from_environment();
  manager.ready();
  EXPECT_FALSE(manager.watchdog_pause());
}

TEST_F(ServiceManagerTest, a_watchdog_of_another_process_or_nonsense_is_not_ours) {
  ::setenv("WATCHDOG_USEC", "1000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_FALSE(ServiceManager::from_environment().watchdog_pause());
  ::setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_FALSE(ServiceManager::from_environment().watchdog_pause());
}

}  // namespace
}  // namespace godwit
