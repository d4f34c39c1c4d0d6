#include "core/base/service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>

#include "core/base/command.hpp"
#include "core/base/file.hpp"
#include "core/base/text.hpp"

namespace godwit {
namespace {

std::optional<std::int64_t> number(const char* text) {
  if (text == nullptr) return std::nullopt;
  const std::string_view view(text);
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (problem != std::errc{} || end != view.data() + view.size() || value <= 0) return std::nullopt;
  return value;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  ServiceManager manager;
  if (const char* name = std::getenv("NOTIFY_SOCKET"); name != nullptr) manager.socket_ = name;
  const auto watched = number(std::getenv("WATCHDOG_PID"));
  if (const auto time = number(std::getenv("WATCHDOG_USEC")); time && (!watched || *watched == ::getpid())) {
    manager.watchdog_pause_ = std::chrono::milliseconds(std::max<std::int64_t>(*time / 2000, 1));
    manager.watchdog_time_ = std::to_string(*time);
  }
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  return manager;
}

void ServiceManager::put_back() const {
  if (!socket_.empty()) ::setenv("NOTIFY_SOCKET", socket_.c_str(), 1);
  if (!watchdog_time_.empty()) ::setenv("WATCHDOG_USEC", watchdog_time_.c_str(), 1);
}

void ServiceManager::status(std::string_view line) const {
  std::string message = "STATUS=" + std::string(line.substr(0, 512));
  for (char& c : message)
    if (c == '\n') c = ' ';
  say(message);
}

void ServiceManager::say(std::string_view message) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  socket_.copy(address.sun_path, socket_.size());
  const bool is_abstract = address.sun_path[0] == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size() + (is_abstract ? 0 : 1));
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  static_cast<void>(::sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                             reinterpret_cast<const sockaddr*>(&address), length));
}

bool is_systemd_here() {
  std::error_code ignored;
  return std::filesystem::is_directory("/run/systemd/system", ignored);
}

Result<void> systemctl(const std::vector<std::string>& words) {
  constexpr auto kPatience = std::chrono::minutes(10);  // the manager has limits of its own for each unit
  std::vector<std::string> command{"/usr/bin/systemctl"};
  command.insert(command.end(), words.begin(), words.end());
  const auto done = run_command(command, "", {.time = kPatience});
  if (!done) return tl::unexpected<Error>{done.error()};
  if (done->ok()) return {};
  return fail(Code::unavailable, "systemctl " + done->in_words() + ": " + std::string(trimmed(done->output)));
}

}  // namespace godwit
