#include "server/service/import/command_scanner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/file.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kOutputLimit = 4096;  // more is read and dropped
constexpr int kPollMs = 200;                // how often a stop, the end and the time are looked at

/// The program and everything it started; killed and waited for when it goes out of sight.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { reap(); }
  /// Its wait status once it has ended.
  [[nodiscard]] const int* ended() {
    siginfo_t info{};
    if (!is_over_ && ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == pid_)
      reap();
    return is_over_ ? &status_ : nullptr;
  }

 private:
  /// The group is killed first: once the child is waited for, its number may belong to others.
  void reap() {
    if (is_over_) return;
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
    is_over_ = true;
  }

  pid_t pid_;
  int status_ = 0;
  bool is_over_ = false;
};

struct Spawned {
  pid_t pid = 0;
  UniqueFd output{};
};

Result<Spawned> spawn(const std::vector<std::string>& command, int input) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return tl::unexpected<Error>{error_from_errno("make a pipe", errno)};
  UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, writing.get(), STDERR_FILENO);
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
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char language[] = "LC_ALL=C";
  char* environment[] = {path, language, nullptr};
  pid_t pid = 0;
  const int rc = ::posix_spawn(&pid, command.front().c_str(), &actions, &attributes, words.data(), environment);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (rc != 0)
    return fail(Code::unavailable, fmt::format("cannot run the scanner {}: {}", command.front(), std::strerror(rc)));
  return Spawned{.pid = pid, .output = std::move(reading)};
}

void read_what_is_there(int pipe, std::string& output) {
  char buffer[1024];
  for (ssize_t got = 0; (got = ::read(pipe, buffer, sizeof buffer)) > 0;)
    output.append(buffer,
                  std::min(static_cast<std::size_t>(got), kOutputLimit - std::min(kOutputLimit, output.size())));
}

/// Its last line that says anything, printable: scanners name the signature there.
std::string words_of(const std::string& output) {
  std::string line;
  std::size_t begin = 0;
  while (begin < output.size()) {
    const std::size_t end = std::min(output.find('\n', begin), output.size());
    if (end > begin) {
      line = output.substr(begin, end - begin);
      if (line.find("FOUND") != std::string::npos) break;
    }
    begin = end + 1;
  }
  if (line.size() > 200) line.resize(200);
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) c = '?';
  return line;
}

Result<ScanVerdict> judge(const std::vector<std::string>& command, int status, const std::string& output) {
  const std::string name = command.front().substr(command.front().rfind('/') + 1);
  const std::string words = words_of(output);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return ScanVerdict{.outcome = ScanOutcome::clean, .details = name + ": nothing found"};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
    return ScanVerdict{.outcome = ScanOutcome::infected, .details = words.empty() ? name + " names none" : words};
  const std::string how = WIFEXITED(status) ? fmt::format("exit status {}", WEXITSTATUS(status))
                                            : fmt::format("signal {}", WTERMSIG(status));
  return fail(Code::unavailable,
              fmt::format("the scanner {} ended with {}{}{}", name, how, words.empty() ? "" : ": ", words));
}

}  // namespace

Result<ScanVerdict> CommandScanner::scan(int file, ByteCount, const IsCancelled& is_cancelled) {
  if (::lseek(file, 0, SEEK_SET) < 0) return tl::unexpected<Error>{error_from_errno("read the payload to scan", errno)};
  GODWIT_TRY(const auto spawned, spawn(command_, file));
  Child child(spawned.pid);
  const auto deadline = std::chrono::steady_clock::now() + time_limit_;
  std::string output;
  for (;;) {
    const int* status = child.ended();
    read_what_is_there(spawned.output.get(), output);
    if (status != nullptr) return judge(command_, *status, output);
    if (is_cancelled()) return fail(Code::cancelled, "the server is shutting down");
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(Code::timed_out, fmt::format("the scanner {} did not end within the time limit", command_.front()));
    pollfd one{.fd = spawned.output.get(), .events = POLLIN, .revents = 0};
    // At the end of its output there is nothing to wait for but its end.
    if (::poll(&one, 1, kPollMs) > 0 && (one.revents & POLLIN) == 0) ::poll(nullptr, 0, 10);
  }
}

}  // namespace godwit::service
