// godwit-installer-wait: the small process that stands on the installer's socket while nobody asks for anything. It
// holds the socket and the lock, starts the installer when a client connects, and waits until that one has ended.
// Linked statically and without libraries, so that a device at rest pays for a few hundred kilobytes only.
//
//   godwit-installer-wait LISTEN_FD LOCK_FD SOCKET_PATH GRACE_SECONDS PROGRAM ARGUMENTS...
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <charconv>

namespace {

constexpr int kFailed = 1;
constexpr long kPauseNs = 200'000'000;  // after an installer that ended badly

/// A number of the command line, which run() of godwit-installer wrote; -1 if it is none.
int number(const char* text) {
  int value = -1;
  const char* end = text + strlen(text);
  return std::from_chars(text, end, value).ptr == end ? value : -1;
}

/// Starts the installer; it dies with this process.
pid_t start(char* const* program) {
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kFailed);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv(program[0], program);
  _exit(127);
}

/// Waits for the child. false: this process was told to end meanwhile, and the child has ended too.
bool wait_for(pid_t child, int signals, int grace_seconds) {
  bool was_told = false;
  time_t kill_at = 0;
  for (;;) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) {
      if (!was_told && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        const timespec pause{0, kPauseNs};
        nanosleep(&pause, nullptr);
      }
      return !was_told;
    }
    pollfd wait{signals, POLLIN, 0};
    poll(&wait, 1, was_told ? 100 : -1);
    signalfd_siginfo info{};
    while (read(signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD || was_told) continue;
      was_told = true;
      kill_at = time(nullptr) + grace_seconds;
      kill(child, SIGTERM);
    }
    if (was_told && time(nullptr) >= kill_at) kill(child, SIGKILL);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return kFailed;
  const int listener = number(argv[1]);
  const int lock = number(argv[2]);
  const char* socket_path = argv[3];
  const int grace_seconds = number(argv[4]);
  char* const* program = argv + 5;
  if (listener < 0 || grace_seconds < 0 || fcntl(lock, F_SETFD, FD_CLOEXEC) != 0) return kFailed;

  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  sigaddset(&watched, SIGCHLD);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  const int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return kFailed;

  for (;;) {
    pollfd wait[2] = {{listener, POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(wait, 2, -1) < 0 && errno != EINTR) return kFailed;
    signalfd_siginfo info{};
    bool is_over = false;
    while (read(signals, &info, sizeof info) == sizeof info) is_over = is_over || info.ssi_signo != SIGCHLD;
    if (!is_over && (wait[0].revents & POLLIN) != 0) {
      const pid_t child = start(program);
      if (child > 0) is_over = !wait_for(child, signals, grace_seconds);
    }
    if (!is_over) continue;
    unlink(socket_path);
    return 0;
  }
}
