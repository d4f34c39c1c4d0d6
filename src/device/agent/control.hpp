// The agent's local socket: who may open it may ask what the agent does and tell it to cancel, to retry, to look again.
// One request, one answer, each a line of JSON; then the connection is closed. The file's mode is the guard. Belongs to
// the deciding thread, which polls fds() and calls attend(); a client that stalls holds up nobody.
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"

namespace godwit::agent {

/// Requests: {"op":"status"}, {"op":"cancel"}, {"op":"retry"}, {"op":"resume"}. The answer is what the handler gives,
/// with "ok":true, or {"ok":false,"code":"...","message":"..."}.
using ControlHandler = std::function<Result<json::Object>(const std::string& op, const json::Object& request)>;

class ControlServer {
 public:
  ControlServer(ControlHandler handler, const Clock& clock, Log& log)
      : handler_(std::move(handler)), clock_(clock), log_(log) {}
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// Makes the socket with `mode`, in a folder that is there or can be made. What a killed agent left is replaced: the
  /// caller holds the lock of the data folder. Errors: invalid_argument (path too long), refused (there is something
  /// else), io_failed.
  [[nodiscard]] Result<void> listen(const Path& path, unsigned mode);

  /// What poll() is to watch; at most 1 + kConnections.
  [[nodiscard]] std::vector<pollfd> fds() const;
  /// When a connection that stalls is dropped, on the monotonic clock.
  [[nodiscard]] std::optional<Duration> deadline() const;
  void attend(const std::vector<pollfd>& ready);

 private:
  static constexpr std::size_t kConnections = 8;
  struct Connection {
    UniqueFd fd;
    std::string in{};
    std::string out{};
    Duration until{};
  };
  void accept_all();
  /// False: the connection is over.
  [[nodiscard]] bool serve(Connection& connection, short events);
  [[nodiscard]] std::string answer(std::string_view line);

  ControlHandler handler_;
  const Clock& clock_;
  Log& log_;
  Path path_;
  UniqueFd listening_;
  std::vector<Connection> connections_;
};

/// The client's side: one request, one answer. Blocking. Errors: unavailable (no agent listens), unauthorized (no right
/// to open the socket), timed_out, and what the agent refuses.
[[nodiscard]] Result<json::Object> ask_agent(const Path& socket, const json::Object& request,
                                             Duration patience = std::chrono::seconds(10));

}  // namespace godwit::agent
