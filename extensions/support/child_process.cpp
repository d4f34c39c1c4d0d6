#include "support/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"

namespace godwit::author {
namespace {

constexpr int kPollMs = 100;
constexpr std::size_t kLineLimit = 2048;
constexpr std::size_t kKeptLines = 5;
constexpr std::size_t kKeptBytes = 500;
constexpr std::size_t kLoggedLines = 2000;

/// Cuts output into lines, hands them on, and remembers the last.
class Output {
 public:
  explicit Output(const ChildWatch& watch) : watch_(watch) {}

  void take(std::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n')
        end_line();
      else if (line_.size() < kLineLimit)
        line_ += c;
    }
  }
  void finish() {
    end_line();
    if (count_ > kLoggedLines && watch_.on_line)
      watch_.on_line(fmt::format("{} more lines were not logged", count_ - kLoggedLines));
  }
  [[nodiscard]] std::string last() const {
    std::string joined;
    for (const std::string& line : kept_) joined += (joined.empty() ? "" : " | ") + line;
    return joined.size() <= kKeptBytes ? joined : "..." + joined.substr(joined.size() - kKeptBytes);
  }

 private:
  void end_line() {
    std::string line = std::exchange(line_, {});
    const bool is_utf8 = is_valid_utf8(line);
    for (char& c : line) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !is_utf8)) c = byte == '\t' || byte == '\r' ? ' ' : '?';
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (line.empty()) return;
    if (++count_ <= kLoggedLines && watch_.on_line) watch_.on_line(line);
    kept_.push_back(line.substr(0, kKeptBytes));
    if (kept_.size() > kKeptLines) kept_.pop_front();
  }

  const ChildWatch& watch_;
  std::string line_{};
  std::deque<std::string> kept_{};
  std::size_t count_ = 0;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

struct Spawned {
  pid_t pid = -1;
  UniqueFd output{};
};

/// The child, from fork to exec: async-signal-safe calls only. A failure travels through `report` as errno.
[[noreturn]] void become_child(const char* program, char* const* argv, char* const* shell_argv, char* const* envp,
                               const char* folder, int output, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0 || ::chdir(folder) != 0)
    ::_exit(127);
  ::umask(022);
  ::execve(program, argv, envp);
  if (errno == ENOEXEC) ::execve("/bin/sh", shell_argv, envp);
  const int problem = errno;
  (void)!::write(report, &problem, sizeof problem);
  ::_exit(127);
}

Result<Spawned> spawn(const Path& program, const std::vector<std::string>& arguments,
                      const std::vector<std::string>& environment, const Path& folder) {
  std::array<int, 2> output{};
  std::array<int, 2> report{};
  if (::pipe2(output.data(), O_CLOEXEC) != 0) return tl::unexpected<Error>{error_from_errno("make a pipe", errno)};
  UniqueFd output_read{output[0]};
  UniqueFd output_write{output[1]};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) return tl::unexpected<Error>{error_from_errno("make a pipe", errno)};
  const UniqueFd report_read{report[0]};
  UniqueFd report_write{report[1]};

  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> shell_words{"/bin/sh"};
  shell_words.insert(shell_words.end(), words.begin(), words.end());
  std::vector<std::string> variables = environment;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  const auto argv = pointers(words);
  const auto shell_argv = pointers(shell_words);
  const auto envp = pointers(variables);

  Spawned spawned;
  spawned.pid = ::fork();
  if (spawned.pid < 0) return tl::unexpected<Error>{error_from_errno("start a process", errno)};
  if (spawned.pid == 0)
    become_child(program.c_str(), argv.data(), shell_argv.data(), envp.data(), folder.c_str(), output_write.get(),
                 report_write.get());
  ::setpgid(spawned.pid, spawned.pid);  // whoever comes first
  output_write.reset();
  report_write.reset();
  int problem = 0;
  if (::read(report_read.get(), &problem, sizeof problem) == sizeof problem) {
    ::waitpid(spawned.pid, nullptr, 0);
    const char* hint = problem == ENOENT   ? "; is the interpreter after '#!' on this device?"
                       : problem == EACCES ? "; is the installer's folder on a disk mounted noexec?"
                                           : "";
    return fail(Code::process_failed,
                fmt::format("{} cannot be run: {}{}", program.filename().string(), std::strerror(problem), hint));
  }
  ::fcntl(output_read.get(), F_SETFL, O_NONBLOCK);
  spawned.output = std::move(output_read);
  return spawned;
}

/// Everything that is there now; closes at the end of the stream.
void read_all(UniqueFd& fd, Output& output) {
  std::array<char, 16 * 1024> chunk;
  constexpr int kChunksAtOnce = 16;  // then the cancel is looked at again
  for (int i = 0; i < kChunksAtOnce && fd; ++i) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got > 0)
      output.take({chunk.data(), static_cast<std::size_t>(got)});
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
      fd.reset();
    else
      return;
  }
}

}  // namespace

std::string how_it_ended(const ChildEnd& end) {
  return end.signal != 0 ? fmt::format("was ended by signal {} ({})", end.signal, ::strsignal(end.signal))
                         : fmt::format("ended with status {}", end.exit_status);
}

Result<ChildEnd> run_child(const Path& program, const std::vector<std::string>& arguments,
                           const std::vector<std::string>& environment, const Path& folder, const ChildWatch& watch) {
  GODWIT_TRY(Spawned spawned, spawn(program, arguments, environment, folder));
  const UniqueFd end_event{static_cast<int>(::syscall(SYS_pidfd_open, spawned.pid, 0))};
  Output output(watch);
  ChildEnd end;
  std::optional<Duration> kill_at;
  int status = 0;
  for (;;) {
    std::array<pollfd, 2> wait{{{spawned.output.get(), POLLIN, 0}, {end_event.get(), POLLIN, 0}}};
    ::poll(wait.data(), wait.size(), kPollMs);
    read_all(spawned.output, output);
    if (::waitpid(spawned.pid, &status, WNOHANG) == spawned.pid) break;
    if (!end.was_cancelled && watch.is_cancelled && watch.is_cancelled()) {
      end.was_cancelled = true;
      ::kill(-spawned.pid, SIGTERM);
      kill_at = SystemClock{}.monotonic() + watch.term_grace;
    }
    if (kill_at && SystemClock{}.monotonic() >= *kill_at) ::kill(-spawned.pid, SIGKILL);
  }
  if (end.was_cancelled) ::kill(-spawned.pid, SIGKILL);  // what it started and did not end
  read_all(spawned.output, output);
  output.finish();
  end.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  end.last_output = output.last();
  return end;
}

}  // namespace godwit::author
