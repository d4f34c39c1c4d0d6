#include "core/base/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/file.hpp"

namespace godwit {
namespace {

constexpr std::size_t kInputLimit = 64 * 1024;  // what a pipe holds, so that writing it never waits
constexpr int kPollStep = 100;                  // ms between two looks at the stop token

struct Pipe {
  UniqueFd reading;
  UniqueFd writing;
};
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected<Error>{error_from_errno("make a pipe", errno)};
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// The program and whatever it started; killed and waited for when it goes out of sight.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid), end_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  [[nodiscard]] int end_fd() const { return end_.get(); }  // readable once it has ended
  /// Kills the group first: once the child was waited for, its number may belong to others.
  int end() {
    if (pid_ <= 0) return status_;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status_;
  }

 private:
  pid_t pid_;
  UniqueFd end_;
  int status_ = 0;
};

Result<pid_t> spawn(const std::vector<std::string>& words, int input, int output) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  ::posix_spawn_file_actions_addchdir_np(&actions, "/");
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> own = words;
  std::vector<char*> argv;
  for (std::string& word : own) argv.push_back(word.data());
  argv.push_back(nullptr);
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char language[] = "LC_ALL=C.UTF-8";
  char home[] = "HOME=/";
  std::array<char*, 4> environment{path, language, home, nullptr};
  pid_t pid = -1;
  const int problem = ::posix_spawn(&pid, own.front().c_str(), &actions, &attributes, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (problem == ENOENT) return fail(Code::not_found, "there is no program " + own.front());
  if (problem != 0) return tl::unexpected<Error>{error_from_errno("start " + own.front(), problem)};
  return pid;
}

/// Reads until the program ends, the time is over, the output is full or somebody asks to stop.
CommandEnd::How follow(const Child& child, int output, const CommandLimits& limits, const std::stop_token& stop,
                       std::string& text) {
  const SystemClock clock;
  const Duration until = clock.monotonic() + limits.time;
  std::array<char, 16 * 1024> chunk;
  for (;;) {
    if (stop.stop_requested()) return CommandEnd::How::stopped;
    const auto left = (until - clock.monotonic()).count();
    if (left <= 0) return CommandEnd::How::time_over;
    std::array<pollfd, 2> watched{{{output, POLLIN, 0}, {child.end_fd(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), static_cast<int>(std::min<std::int64_t>(left, kPollStep))) <= 0)
      continue;
    bool is_drained = true;
    if (watched[0].revents != 0) {
      const ssize_t got = ::read(output, chunk.data(), chunk.size());
      is_drained = got <= 0 && errno != EINTR;
      if (got > 0) text.append(chunk.data(), static_cast<std::size_t>(got));
      if (text.size() >= limits.output) return CommandEnd::How::output_full;
    }
    // The end of the process counts: a child that it left may hold the pipe open.
    if (is_drained && watched[1].revents != 0) return CommandEnd::How::exited;
    if (is_drained && watched[0].revents != 0) output = -1;  // closed, but it still runs
  }
}

}  // namespace

std::string CommandEnd::in_words() const {
  switch (how) {
    case How::exited: return "ended with exit code " + std::to_string(code);
    case How::killed: return "was ended by signal " + std::to_string(code);
    case How::time_over: return "did not end in its time";
    case How::output_full: return "printed too much";
    case How::stopped: return "was stopped";
  }
  return "ended";
}

Result<CommandEnd> run_command(const std::vector<std::string>& words, std::string_view input,
                               const CommandLimits& limits, const std::stop_token& stop) {
  if (words.empty() || words.front().empty() || words.front().front() != '/')
    return fail(Code::invalid_argument, "a command begins with the absolute path of a program");
  if (input.size() > kInputLimit) return fail(Code::invalid_argument, "the input of a command has at most 64 KiB");
  GODWIT_TRY(Pipe in, make_pipe());
  GODWIT_TRY(Pipe out, make_pipe());
  GODWIT_TRY_VOID(write_all(in.writing.get(), input));
  in.writing.reset();
  GODWIT_TRY(const pid_t pid, spawn(words, in.reading.get(), out.writing.get()));
  Child child(pid);
  in.reading.reset();
  out.writing.reset();
  CommandEnd end;
  end.how = follow(child, out.reading.get(), limits, stop, end.output);
  if (end.output.size() > limits.output) end.output.resize(limits.output);
  const int status = child.end();
  if (end.how != CommandEnd::How::exited) return end;
  if (WIFSIGNALED(status)) end.how = CommandEnd::How::killed;
  end.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  return end;
}

}  // namespace godwit
