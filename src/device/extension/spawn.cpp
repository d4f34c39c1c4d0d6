#include "device/extension/spawn.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string_view>

#include "device/extension/leftovers.hpp"

namespace godwit::extension {
namespace {

constexpr int kWorkerFd = 3;
constexpr int kCannotExec = 126;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kHasShadowMemory = true;  // reserves terabytes of addresses, so RLIMIT_AS would end it at once
#else
constexpr bool kHasShadowMemory = false;
#endif

void limit(int resource, rlim_t value) {
  const rlimit both{.rlim_cur = value, .rlim_max = value};
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &both);
}

/// The child, from fork to exec. Async-signal-safe calls only.
[[noreturn]] void become_worker(pid_t parent, int socket, int output, const Limits& limits, char* const* argv,
                                char* const* envp) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kCannotExec);  // the host died before prctl()
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int ignored : {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGCHLD}) ::signal(ignored, SIG_DFL);
  ::umask(077);
  if (::chdir("/") != 0) ::_exit(kCannotExec);
  limit(RLIMIT_CORE, 0);
  if (limits.memory != 0 && !kHasShadowMemory) limit(RLIMIT_AS, limits.memory);
  if (limits.file_size != 0) limit(RLIMIT_FSIZE, limits.file_size);

  // First away from the numbers 0..3, then onto them: source and target may overlap.
  const int high_socket = ::fcntl(socket, F_DUPFD, 10);
  const int high_output = ::fcntl(output, F_DUPFD, 10);
  const int null = ::open("/dev/null", O_RDONLY);
  if (high_socket < 0 || high_output < 0 || null < 0) ::_exit(kCannotExec);
  if (::dup2(null, 0) < 0 || ::dup2(high_output, 1) < 0 || ::dup2(high_output, 2) < 0 ||
      ::dup2(high_socket, kWorkerFd) < 0)
    ::_exit(kCannotExec);
  ::syscall(SYS_close_range, kWorkerFd + 1, UINT_MAX, 0);
  ::execve("/proc/self/exe", argv, envp);
  ::_exit(kCannotExec);
}

}  // namespace

std::vector<std::string> worker_environment(Type type, const std::string& call) {
  std::vector<std::string> environment{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/",
                                       "LANG=C.UTF-8", std::string(kCallVariable) + "=" + call};
  const auto keep = [&](const char* name) {
    if (const char* value = std::getenv(name); value != nullptr && std::string_view(value).size() < 4096)
      environment.push_back(std::string(name) + "=" + value);
  };
  if (type == Type::content_downloader)
    for (const char* name :
         {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"})
      keep(name);
  if (kHasShadowMemory)
    for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) keep(name);
  return environment;
}

Result<Worker> spawn_worker(const std::vector<std::string>& environment, const Limits& limits) {
  std::array<int, 2> sockets{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0)
    return fail(Code::process_failed, error_from_errno("make a socket pair", errno).message);
  UniqueFd ours{sockets[0]};
  const UniqueFd theirs{sockets[1]};
  std::array<int, 2> pipes{};
  if (::pipe2(pipes.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return fail(Code::process_failed, error_from_errno("make a pipe", errno).message);
  UniqueFd output{pipes[0]};
  const UniqueFd output_end{pipes[1]};
  ::fcntl(output_end.get(), F_SETFL, 0);  // the extension prints to a blocking pipe, as programs expect

  std::string name = "godwit-extension";
  std::string verb = "extension-worker";
  std::string number = std::to_string(kWorkerFd);
  std::array<char*, 4> argv{name.data(), verb.data(), number.data(), nullptr};
  std::vector<std::string> variables = environment;
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0)
    return fail(Code::process_failed, error_from_errno("start a process for the extension", errno).message);
  if (child == 0) become_worker(parent, theirs.get(), output_end.get(), limits, argv.data(), envp.data());
  Worker worker;
  worker.pid = child;
  worker.socket = std::move(ours);
  worker.output = std::move(output);
  return worker;
}

}  // namespace godwit::extension
