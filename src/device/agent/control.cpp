#include "device/agent/control.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace godwit::agent {
namespace {

constexpr std::size_t kRequestLimit = 16 * 1024;
constexpr std::size_t kAnswerLimit = 4 * 1024 * 1024;
constexpr Duration kPatience = std::chrono::seconds(5);

Result<sockaddr_un> address_of(const Path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path)
    return fail(Code::invalid_argument,
                fmt::format("agent.socket: {} has more than {} bytes", path.string(), sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
  return address;
}

json::Object refusal(const Error& error) {
  return {{"ok", false}, {"code", std::string(code_name(error.code))}, {"message", error.message}};
}

/// A line within `limit`, or nothing yet.
Result<std::optional<std::string>> take_line(std::string& buffer, std::size_t limit) {
  const auto end = buffer.find('\n');
  if (end != std::string::npos && end <= limit) return std::optional(buffer.substr(0, end));
  if (buffer.size() <= limit) return std::optional<std::string>{};
  return fail(Code::too_large, fmt::format("a line of more than {} bytes", limit));
}

}  // namespace

ControlServer::~ControlServer() {
  if (listening_) ::unlink(path_.c_str());
}

Result<void> ControlServer::listen(const Path& path, unsigned mode) {
  GODWIT_TRY(const sockaddr_un address, address_of(path));
  GODWIT_TRY_VOID(make_folders(path.parent_path(), 0755));
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode))
      return fail(Code::refused, path.string() + " is there and is not a socket; choose another agent.socket");
    if (::unlink(path.c_str()) != 0)
      return tl::unexpected<Error>{error_from_errno("remove the old socket " + path.string(), errno)};
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return tl::unexpected<Error>{error_from_errno("make a socket", errno)};
  const mode_t before = ::umask(static_cast<mode_t>(~mode & 0777U));
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int problem = errno;
  ::umask(before);
  if (bound != 0) return tl::unexpected<Error>{error_from_errno("bind " + path.string(), problem)};
  if (::listen(fd.get(), kConnections) != 0)
    return tl::unexpected<Error>{error_from_errno("listen at " + path.string(), errno)};
  path_ = path;
  listening_ = std::move(fd);
  return {};
}

std::vector<pollfd> ControlServer::fds() const {
  std::vector<pollfd> watched;
  watched.push_back({connections_.size() < kConnections ? listening_.get() : -1, POLLIN, 0});
  for (const auto& connection : connections_)
    watched.push_back({connection.fd.get(), static_cast<short>(connection.out.empty() ? POLLIN : POLLOUT), 0});
  return watched;
}

std::optional<Duration> ControlServer::deadline() const {
  std::optional<Duration> earliest;
  for (const auto& connection : connections_)
    earliest = earliest ? std::min(*earliest, connection.until) : connection.until;
  return earliest;
}

void ControlServer::attend(const std::vector<pollfd>& ready) {
  for (auto& connection : connections_) {
    const auto found = std::ranges::find(ready, connection.fd.get(), &pollfd::fd);
    const bool is_on = found == ready.end() || found->revents == 0 || serve(connection, found->revents);
    if (!is_on || clock_.monotonic() >= connection.until) connection.fd.reset();
  }
  std::erase_if(connections_, [](const Connection& connection) { return !connection.fd; });
  if (!ready.empty() && ready.front().fd == listening_.get() && ready.front().revents != 0) accept_all();
}

void ControlServer::accept_all() {
  while (connections_.size() < kConnections) {
    UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    connections_.push_back({.fd = std::move(fd), .until = clock_.monotonic() + kPatience});
  }
}

bool ControlServer::serve(Connection& connection, short events) {
  if (connection.out.empty()) {
    std::array<char, 4096> chunk;
    const ssize_t got = ::recv(connection.fd.get(), chunk.data(), chunk.size(), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    connection.in.append(chunk.data(), static_cast<std::size_t>(got));
    const auto line = take_line(connection.in, kRequestLimit);
    if (line && !*line) return true;
    connection.out = line ? answer(**line) : json::print(refusal(line.error())) + "\n";
  } else if ((events & POLLOUT) == 0) {
    return false;
  }
  const ssize_t sent =
      ::send(connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  connection.out.erase(0, static_cast<std::size_t>(sent));
  return !connection.out.empty();
}

std::string ControlServer::answer(std::string_view line) {
  const auto handle = [&]() -> Result<json::Object> {
    GODWIT_TRY(const auto request, json::parse_object(line, {.bytes = kRequestLimit, .depth = 4}));
    GODWIT_TRY(const auto op, json::text(request, "op", ""));
    return handler_(op, request);
  };
  auto answer = handle();
  if (!answer) log_.info("control.refused", {{"reason", answer.error().message}});
  json::Object out = answer ? *std::move(answer) : refusal(answer.error());
  if (!out.contains("ok")) out["ok"] = true;
  return json::print(out) + "\n";
}

Result<json::Object> ask_agent(const Path& socket, const json::Object& request, Duration patience) {
  GODWIT_TRY(const sockaddr_un address, address_of(socket));
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return tl::unexpected<Error>{error_from_errno("make a socket", errno)};
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EACCES || errno == EPERM)
      return fail(Code::unauthorized, "you may not open " + socket.string() + "; use sudo, or join the agent's group");
    return fail(Code::unavailable, "no agent listens at " + socket.string() + "; is the godwit-agent service running?");
  }
  const std::string text = json::print(request) + "\n";
  GODWIT_TRY_VOID(write_all(fd.get(), text));
  const SystemClock clock;
  const Duration until = clock.monotonic() + patience;
  std::string in;
  for (;;) {
    GODWIT_TRY(const auto line, take_line(in, kAnswerLimit));
    if (line) {
      GODWIT_TRY(auto answer, json::parse_object(*line, {.bytes = kAnswerLimit, .depth = 16}));
      const auto* ok = json::find(answer, "ok");
      if (ok != nullptr && ok->is_bool() && ok->get_bool()) return answer;
      return fail(Code::refused, json::text_or_nothing(answer, "message").value_or("the agent refuses"));
    }
    const auto left = (until - clock.monotonic()).count();
    if (left <= 0) return fail(Code::timed_out, "the agent did not answer in its time");
    pollfd watched{fd.get(), POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(left)) <= 0) continue;
    std::array<char, 16 * 1024> chunk;
    const ssize_t got = ::recv(fd.get(), chunk.data(), chunk.size(), 0);
    if (got <= 0) return fail(Code::unavailable, "the agent closed the connection without an answer");
    in.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace godwit::agent
