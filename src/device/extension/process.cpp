#include "device/extension/process.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "device/extension/frames.hpp"
#include "device/extension/leftovers.hpp"
#include "device/extension/spawn.hpp"
#include "device/extension/worker_messages.hpp"

namespace godwit::extension {
namespace {

constexpr Duration kEndPatience =
    std::chrono::seconds(5);  // from the outcome, or from the closed socket, to the end of the process
constexpr std::size_t kLineLimit = 8 * 1024;

Duration now() { return SystemClock{}.monotonic(); }

/// The host's side of one running call. One thread.
class RunningCall {
 public:
  RunningCall(const Registration& registration, const Limits& limits, const Callbacks& callbacks, Worker worker)
      : registration_(registration),
        limits_(limits),
        callbacks_(callbacks),
        worker_(std::move(worker)),
        splitter_(kWorkerFrameLimit),
        deadline_(now() + limits.time_limit),
        end_(static_cast<int>(::syscall(SYS_pidfd_open, worker_.pid, 0))) {}
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;
  ~RunningCall() { end_worker(); }

  Result<void> begin(const json::Object& call) {
    if (callbacks_.on_started) GODWIT_TRY_VOID(callbacks_.on_started(worker_.pid));
    const auto sent =
        write_frame(worker_.socket.get(), call_message(registration_, call), kEndPatience, kWorkerFrameLimit);
    if (!sent && sent.error().code != Code::unavailable)
      return with_context("tell the extension's worker its call", sent.error());
    return {};  // a worker that is gone already tells why by its end
  }

  Result<Outcome> follow(int stop_event) {
    while (!is_closed_) {
      if (const auto done = step(stop_event); !done) {
        end_worker();
        return tl::unexpected<Error>{done.error()};
      }
    }
    end_worker();
    return conclude();
  }

 private:
  enum class Ending : std::uint8_t { none, cancelled, time_over };

  /// One turn: wait for a message, a line, a cancel or the time.
  Result<void> step(int stop_event) {
    std::array<pollfd, 4> wait{{{worker_.socket.get(), POLLIN, 0},
                                {worker_.output.get(), POLLIN, 0},
                                {ending_ == Ending::none ? stop_event : -1, POLLIN, 0},
                                {end_.get(), POLLIN, 0}}};
    const auto left = std::clamp<std::int64_t>((deadline_ - now()).count(), 0, 60'000);
    const int ready = ::poll(wait.data(), wait.size(), static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return tl::unexpected<Error>{error_from_errno("wait for the extension", errno)};
    if (ready > 0 && wait[1].revents != 0) read_output();
    if (ready > 0 && wait[0].revents != 0) GODWIT_TRY_VOID(read_messages());
    if (ready > 0 && wait[2].revents != 0) ask_to_end(Ending::cancelled);
    // The end of the process counts, not the end of the stream: a child that it left may hold the socket open.
    if (has_answered() || (ready > 0 && wait[3].revents != 0 && wait[0].revents == 0)) is_closed_ = true;
    if (now() < deadline_ || is_closed_) return {};
    if (ending_ == Ending::none) {
      ask_to_end(Ending::time_over);
    } else {
      was_killed_ = true;
      is_closed_ = true;  // end_worker() kills what is left
    }
    return {};
  }

  [[nodiscard]] bool has_answered() const { return outcome_.has_value() || error_.has_value(); }

  void ask_to_end(Ending why) {
    ending_ = why;
    deadline_ = now() + limits_.cancel_grace;
    (void)write_frame(worker_.socket.get(), cancel_message(), std::chrono::milliseconds(100), kWorkerFrameLimit);
  }

  Result<void> read_messages() {
    const auto open = read_some(worker_.socket.get(), splitter_);
    is_closed_ = !open || !*open;
    for (;;) {
      auto message = splitter_.next();
      if (!message)
        return fail(Code::extension_contract,
                    fmt::format("{} sent what is not a message: {}", registration_.id, message.error().message));
      if (!*message) return {};
      GODWIT_TRY_VOID(take(**message));
    }
  }

  Result<void> take(const json::Object& object) {
    auto message = parse_worker_message(object);
    if (!message)
      return fail(Code::extension_contract, fmt::format("{} sent a message that breaks the contract: {}",
                                                        registration_.id, message.error().message));
    if (const auto* line = std::get_if<WorkerLog>(&*message)) log(line->level, line->line);
    if (const auto* progress = std::get_if<WorkerProgress>(&*message); progress != nullptr && callbacks_.on_progress)
      callbacks_.on_progress(progress->done, progress->total);
    if (auto* outcome = std::get_if<Outcome>(&*message)) outcome_ = std::move(*outcome);
    if (auto* error = std::get_if<Error>(&*message)) error_ = std::move(*error);
    return {};
  }

  void log(LogLevel level, std::string_view line) {
    if (++lines_ > limits_.log_lines || !callbacks_.on_log) return;
    callbacks_.on_log(level, printable(line.substr(0, kLineLimit)));
  }

  /// What the library itself, or the loader or a sanitizer, prints.
  void read_output() {
    std::array<char, 4096> chunk;
    const ssize_t got = ::read(worker_.output.get(), chunk.data(), chunk.size());
    if (got <= 0) {
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) worker_.output.reset();
      return;
    }
    for (const char c : std::string_view(chunk.data(), static_cast<std::size_t>(got))) {
      if (c != '\n' && output_line_.size() < kLineLimit) output_line_ += c;
      if (c == '\n') flush_output_line();
    }
  }

  void flush_output_line() {
    if (!output_line_.empty()) log(LogLevel::warning, output_line_);
    output_line_.clear();
  }

  /// Waits for the worker's end, or makes it, and ends whatever it started. May be called twice.
  void end_worker() {
    if (worker_.pid <= 0) return;
    const Duration patience = now() + kEndPatience;
    siginfo_t info{};
    while (!was_killed_ && is_closed_ && now() < patience) {
      info.si_pid = 0;
      if (::waitid(P_PID, static_cast<id_t>(worker_.pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0)
        break;
      read_output();
      ::usleep(1000);
    }
    ::kill(-worker_.pid, SIGKILL);  // the leader is at most a zombie of ours, so the number is still ours
    ::kill(worker_.pid, SIGKILL);
    kill_session(worker_.pid);
    while (::waitpid(worker_.pid, &wait_status_, 0) < 0 && errno == EINTR) {
    }
    worker_.pid = -1;
    constexpr int kLastChunks = 64;  // a pipe holds no more; a daemon that left the session may print for ever
    for (int i = 0; i < kLastChunks && worker_.output; ++i) read_output();
    flush_output_line();
    if (lines_ > limits_.log_lines && callbacks_.on_log)
      callbacks_.on_log(LogLevel::warning, fmt::format("{} more lines were not kept", lines_ - limits_.log_lines));
  }

  Result<Outcome> conclude() {
    const auto seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
    if (ending_ == Ending::time_over)
      return fail(Code::timed_out, fmt::format("{} did not end in its {:g} s and was {}", registration_.id,
                                               seconds(limits_.time_limit), was_killed_ ? "killed" : "told to end"));
    if (was_killed_)
      return fail(Code::cancelled, fmt::format("{} did not end in {:g} s after the cancel and was killed",
                                               registration_.id, seconds(limits_.cancel_grace)));
    if (error_) return tl::unexpected<Error>{*error_};
    if (outcome_) return *std::move(outcome_);
    if (WIFSIGNALED(wait_status_)) {
      const int number = WTERMSIG(wait_status_);
      const char* name = ::sigabbrev_np(number);
      return fail(Code::extension_crashed,
                  fmt::format("{} was ended by SIG{} ({}) before it gave an outcome{}", registration_.id,
                              name == nullptr ? "?" : name, ::sigdescr_np(number),
                              number == SIGKILL ? "; the system may have had no memory left" : ""));
    }
    return fail(Code::extension_crashed, fmt::format("{} ended its process with status {} before it gave an outcome",
                                                     registration_.id, WEXITSTATUS(wait_status_)));
  }

  const Registration& registration_;
  const Limits& limits_;
  const Callbacks& callbacks_;
  Worker worker_;
  FrameSplitter splitter_;
  Duration deadline_;
  UniqueFd end_;  // pidfd: readable when the worker has ended
  Ending ending_ = Ending::none;
  bool is_closed_ = false;
  bool was_killed_ = false;
  int wait_status_ = 0;
  std::int64_t lines_ = 0;
  std::string output_line_{};
  std::optional<Outcome> outcome_{};
  std::optional<Error> error_{};
};

}  // namespace

Result<Outcome> run_extension(const Registration& registration, const json::Object& call, const Limits& limits,
                              std::stop_token stop, const Callbacks& callbacks) {
  const UniqueFd stop_event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!stop_event) return tl::unexpected<Error>{error_from_errno("make an event", errno)};
  const int event_fd = stop_event.get();
  const std::stop_callback on_stop{stop, [event_fd] {
                                     const std::uint64_t one = 1;
                                     (void)!::write(event_fd, &one, sizeof one);
                                   }};
  GODWIT_TRY(Worker worker, spawn_worker(worker_environment(registration.type, call_name(call)), limits));
  RunningCall running{registration, limits, callbacks, std::move(worker)};
  GODWIT_TRY_VOID(running.begin(call));
  GODWIT_TRY(Outcome outcome, running.follow(event_fd));
  GODWIT_TRY_VOID(check_outcome(registration, call, outcome));
  return outcome;
}

Result<std::string> probe(const Registration& registration) {
  const Limits limits{.time_limit = std::chrono::seconds(30), .cancel_grace = std::chrono::seconds(1)};
  GODWIT_TRY(const Outcome outcome, run_extension(registration, json::Object{{"verb", "probe"}}, limits, {}, {}));
  auto contract = json::text_or_nothing(outcome.answer, "contract");
  if (!contract)
    return fail(Code::extension_contract, registration.path.string() + " does not say which contract it speaks");
  return *std::move(contract);
}

ExtendedCode extended_code_of(Type type, Code code) {
  if (code == Code::disk_full) return erc::disk_full;
  if (type == Type::content_downloader)
    return code == Code::extension_missing ? erc::downloader_missing : erc::download_failed;
  switch (code) {
    case Code::extension_missing: return erc::handler_missing;
    case Code::extension_crashed: return erc::handler_crashed;
    case Code::timed_out: return erc::handler_timed_out;
    case Code::cancelled: return erc::none;
    case Code::extension_refused:
    case Code::digest_mismatch: return erc::handler_refused;
    default: return erc::handler_contract;
  }
}

}  // namespace godwit::extension
