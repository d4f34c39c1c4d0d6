#include "device/installer/server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "device/extension/frames.hpp"
#include "device/installer/installer.hpp"
#include "device/installer/socket.hpp"

namespace godwit::installer {
namespace {

constexpr std::size_t kConnectionLimit = 16;
constexpr std::size_t kRequestLimit = 16;                // waiting ones of one connection
constexpr std::size_t kOutgoingLimit = 8 * 1024 * 1024;  // then the client does not read, and is dropped
constexpr std::size_t kChatterLimit = 256 * 1024;        // above it progress and log lines are left out
constexpr std::int32_t kCancelSent = 800;
constexpr std::int32_t kNothingToCancel = 801;

Duration now() { return SystemClock{}.monotonic(); }

struct Job {
  std::uint64_t connection = 0;
  Request request{};
  std::stop_source stop{};
};
struct Answer {
  std::uint64_t connection = 0;
  Reply reply;
};

std::string_view workflow_of(const Request& request) {
  if (const auto* r = std::get_if<OpenRequest>(&request)) return r->workflow_id;
  if (const auto* r = std::get_if<ActRequest>(&request)) return r->workflow_id;
  if (const auto* r = std::get_if<CloseRequest>(&request)) return r->workflow_id;
  if (const auto* r = std::get_if<RestartDeviceRequest>(&request)) return r->workflow_id;
  return "";
}

/// The working thread and its two queues.
class Workshop {
 public:
  Workshop(const InstallerConfig& config, Log& log)
      : installer_(config, log),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        thread_([this](std::stop_token stop) { work(stop); }) {}
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;
  ~Workshop() { end(); }

  [[nodiscard]] int wake_fd() const { return wake_.get(); }

  void add(Job job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    changed_.notify_all();
  }
  /// Jobs of a client that is gone and that did not begin are forgotten.
  void forget(std::uint64_t connection) {
    const std::lock_guard lock(mutex_);
    std::erase_if(jobs_, [&](const Job& job) { return job.connection == connection; });
  }
  /// true: something of this workflow runs or waits, and was told to end.
  bool cancel(std::string_view workflow) {
    const std::lock_guard lock(mutex_);
    bool was_there = false;
    const auto stop = [&](Job& job) {
      if (workflow_of(job.request) != workflow || std::holds_alternative<CloseRequest>(job.request)) return;
      job.stop.request_stop();
      was_there = true;
    };
    if (running_) stop(*running_);
    for (Job& job : jobs_) stop(job);
    return was_there;
  }
  [[nodiscard]] bool is_idle() {
    const std::lock_guard lock(mutex_);
    return jobs_.empty() && !running_ && answers_.empty();
  }
  [[nodiscard]] json::Object status() {
    const std::lock_guard lock(mutex_);
    json::Object object{{"version", GODWIT_VERSION}, {"busy", running_.has_value()}, {"waiting", jobs_.size()}};
    if (!running_) return object;
    object["workflow_id"] = workflow_of(running_->request);
    if (const auto* act = std::get_if<ActRequest>(&running_->request)) {
      object["step"] = act->step;
      object["verb"] = verb_name(act->verb);
    }
    return object;
  }
  [[nodiscard]] std::deque<Answer> take_answers() {
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
    const std::lock_guard lock(mutex_);
    return std::exchange(answers_, {});
  }
  /// Stops what runs, and waits for it.
  void end() {
    installer_.end();
    {
      const std::lock_guard lock(mutex_);
      jobs_.clear();
      if (running_) running_->stop.request_stop();
    }
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void work(const std::stop_token& stop) {
    for (;;) {
      std::stop_token job_stop;
      Request request;
      std::uint64_t connection = 0;
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [&] { return !jobs_.empty(); })) return;
        running_ = std::move(jobs_.front());
        jobs_.pop_front();
        job_stop = running_->stop.get_token();
        request = running_->request;
        connection = running_->connection;
      }
      const Reply reply =
          installer_.handle(request, job_stop, [&](const Reply& chatter) { give(connection, chatter); });
      {
        const std::lock_guard lock(mutex_);
        running_.reset();
      }
      give(connection, reply);
    }
  }

  void give(std::uint64_t connection, const Reply& reply) {
    {
      const std::lock_guard lock(mutex_);
      answers_.push_back({connection, reply});
    }
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }

  Installer installer_;
  UniqueFd wake_;
  std::mutex mutex_{};
  std::condition_variable_any changed_{};
  std::deque<Job> jobs_{};
  std::deque<Answer> answers_{};
  std::optional<Job> running_{};
  std::jthread thread_;  // last: it uses all above
};

struct Connection {
  UniqueFd fd{};
  extension::FrameSplitter splitter{};
  std::string outgoing{};
  std::size_t waiting = 0;  // requests without a final answer
};

class Server {
 public:
  Server(const InstallerConfig& config, const ServeOptions& options, int signal_fd, Log& log)
      : options_(options), signal_fd_(signal_fd), log_(log), workshop_(config, log) {}

  Result<void> run() {
    Duration quiet_since = now();
    for (;;) {
      std::vector<pollfd> watched{
          {signal_fd_, POLLIN, 0}, {options_.listen_fd, POLLIN, 0}, {workshop_.wake_fd(), POLLIN, 0}};
      std::vector<std::uint64_t> ids;
      for (const auto& [id, connection] : connections_) {
        const bool may_ask = connection.waiting < kRequestLimit;
        watched.push_back({connection.fd.get(),
                           static_cast<short>((may_ask ? POLLIN : 0) | (connection.outgoing.empty() ? 0 : POLLOUT)),
                           0});
        ids.push_back(id);
      }
      const bool is_quiet = connections_.empty() && workshop_.is_idle();
      if (!is_quiet) quiet_since = now();
      int patience = -1;
      if (options_.idle_exit && is_quiet) {
        const Duration left = quiet_since + *options_.idle_exit - now();
        if (left.count() <= 0) return {};
        patience = static_cast<int>(left.count());
      }
      if (::poll(watched.data(), watched.size(), patience) < 0 && errno != EINTR)
        return tl::unexpected<Error>{error_from_errno("wait for the agent", errno)};
      if (watched[0].revents != 0) return {};
      if (watched[2].revents != 0) deliver();
      if (watched[1].revents != 0) accept_all();
      for (std::size_t i = 0; i < ids.size(); ++i) attend(ids[i], watched[i + 3].revents);
    }
  }

 private:
  void accept_all() {
    for (;;) {
      UniqueFd fd{::accept4(options_.listen_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
      if (!fd) return;
      const auto user = peer_user(fd.get());
      if (!user || (*user != 0 && *user != options_.agent)) {
        log_.warning("connection.refused", {{"user", user ? std::to_string(*user) : user.error().message}});
        continue;
      }
      if (connections_.size() >= kConnectionLimit) {
        log_.warning("connection.too_many", {{"limit", kConnectionLimit}});
        continue;
      }
      connections_[next_id_++].fd = std::move(fd);
    }
  }

  void deliver() {
    for (const Answer& answer : workshop_.take_answers()) {
      const auto connection = connections_.find(answer.connection);
      if (connection == connections_.end()) continue;
      const bool is_final =
          std::holds_alternative<ActOutcome>(answer.reply) || std::holds_alternative<Refusal>(answer.reply);
      if (!is_final && connection->second.outgoing.size() > kChatterLimit) continue;
      if (is_final) --connection->second.waiting;
      send(answer.connection, answer.reply);
    }
  }

  void send(std::uint64_t id, const Reply& reply) {
    Connection& connection = connections_.at(id);
    auto bytes = extension::frame(to_json(reply));
    if (!bytes)
      bytes = extension::frame(to_json(Reply{Refusal{Code::too_large, "the answer is too large for the protocol"}}));
    connection.outgoing += *bytes;
    flush(id);
  }

  void flush(std::uint64_t id) {
    Connection& connection = connections_.at(id);
    while (!connection.outgoing.empty()) {
      const ssize_t sent = ::send(connection.fd.get(), connection.outgoing.data(), connection.outgoing.size(),
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && connection.outgoing.size() <= kOutgoingLimit) return;
      if (sent < 0) return drop(id);
      connection.outgoing.erase(0, static_cast<std::size_t>(sent));
    }
  }

  void drop(std::uint64_t id) {
    workshop_.forget(id);
    connections_.erase(id);
  }

  void attend(std::uint64_t id, short events) {
    if (!connections_.contains(id) || events == 0) return;
    if ((events & POLLOUT) != 0) flush(id);
    if (!connections_.contains(id)) return;
    if ((events & POLLIN) == 0) {
      if ((events & (POLLHUP | POLLERR)) != 0) drop(id);
      return;
    }
    Connection& connection = connections_.at(id);
    const auto is_open = extension::read_some(connection.fd.get(), connection.splitter);
    for (;;) {
      auto message = connections_.at(id).splitter.next();
      if (!message) {
        log_.warning("connection.nonsense", {{"reason", message.error().message}});
        send(id, Refusal{message.error().code, message.error().message});
        return drop_if_there(id);
      }
      if (!*message) break;
      take(id, **message);
      if (!connections_.contains(id)) return;
    }
    if (!is_open || !*is_open) drop(id);
  }
  void drop_if_there(std::uint64_t id) {
    if (connections_.contains(id)) drop(id);
  }

  void take(std::uint64_t id, const json::Object& message) {
    auto request = parse_request(message);
    if (!request) return send(id, Refusal{request.error().code, request.error().message});
    if (std::holds_alternative<StatusRequest>(*request)) {
      ActOutcome outcome{.result_code = result::success};
      outcome.status = workshop_.status();
      return send(id, outcome);
    }
    if (const auto* cancel = std::get_if<CancelRequest>(&*request)) {
      const bool was_running = workshop_.cancel(cancel->workflow_id);
      log_.info("cancel", {{"workflow", cancel->workflow_id}, {"was_running", was_running}});
      return send(id, ActOutcome{.result_code = was_running ? kCancelSent : kNothingToCancel,
                                 .extended_codes = {},
                                 .details = was_running ? "" : "nothing of this workflow runs"});
    }
    ++connections_.at(id).waiting;
    workshop_.add({.connection = id, .request = *std::move(request)});
  }

  const ServeOptions& options_;
  int signal_fd_;
  Log& log_;
  std::map<std::uint64_t, Connection> connections_{};
  std::uint64_t next_id_ = 1;
  Workshop workshop_;  // last: its thread ends first
};

}  // namespace

Result<void> serve(const InstallerConfig& config, const ServeOptions& options, Log& log) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const UniqueFd signal_fd{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!signal_fd) return tl::unexpected<Error>{error_from_errno("watch signals", errno)};
  for (const Path& folder : {config.work_folder(), config.acts_folder()}) GODWIT_TRY_VOID(make_folders(folder));
  if (const int killed = end_leftovers(config.acts_folder()); killed > 0)
    log.warning("act.leftovers", {{"killed", killed}});
  Server server(config, options, signal_fd.get(), log);
  log.debug("installer.ready");
  return server.run();
}

}  // namespace godwit::installer
