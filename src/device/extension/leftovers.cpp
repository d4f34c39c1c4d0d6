#include "device/extension/leftovers.hpp"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/file.hpp"

namespace godwit::extension {
namespace {

struct ProcessInfo {
  char state = '?';
  pid_t session = -1;
};

/// proc(5): "pid (comm) state ppid pgrp session ..."; comm may hold anything, so count from the last ')'.
ProcessInfo info_of(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return {};
  const auto close = text->rfind(')');
  if (close == std::string::npos || close + 2 >= text->size()) return {};
  ProcessInfo info;
  int parent = 0;
  int group = 0;
  int session = 0;
  if (std::sscanf(text->c_str() + close + 1, " %c %d %d %d", &info.state, &parent, &group, &session) != 4) return {};
  info.session = session;
  return info;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder{::opendir("/proc"), ::closedir};
  if (!folder) return pids;
  while (const dirent* entry = ::readdir(folder.get())) {
    char* end = nullptr;
    const long pid = std::strtol(entry->d_name, &end, 10);
    if (end != entry->d_name && *end == '\0' && pid > 0) pids.push_back(static_cast<pid_t>(pid));
  }
  return pids;
}

bool carries(pid_t pid, const std::string& assignment) {
  const auto environment = read_file("/proc/" + std::to_string(pid) + "/environ", 1024 * 1024);
  if (!environment) return false;
  const std::string with_borders = '\0' + *environment;
  return with_borders.find('\0' + assignment + '\0') != std::string::npos;
}

int kill_matching(pid_t session, const std::function<bool(pid_t)>& is_ours) {
  constexpr int kRounds = 100;
  constexpr useconds_t kPause = 20'000;
  int killed = 0;
  for (int round = 0; round < kRounds; ++round) {
    int found = 0;
    for (const pid_t pid : all_processes()) {
      const ProcessInfo info = info_of(pid);
      if (info.session != session || info.state == 'Z' || pid == ::getpid() || !is_ours(pid)) continue;
      ++found;
      ::kill(pid, SIGKILL);
    }
    if (found == 0) break;
    killed += round == 0 ? found : 0;
    ::usleep(kPause);
  }
  return killed;
}

}  // namespace

int kill_session(pid_t session) {
  if (session <= 1 || session == ::getsid(0)) return 0;
  return kill_matching(session, [](pid_t) { return true; });
}

int kill_old_session(pid_t session, std::string_view call) {
  if (session <= 1 || session == ::getsid(0)) return 0;
  const std::string assignment = std::string(kCallVariable) + "=" + std::string(call);
  return kill_matching(session, [&](pid_t pid) { return carries(pid, assignment); });
}

std::string boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id", 128);
  return text ? text->substr(0, text->find('\n')) : "";
}

}  // namespace godwit::extension
