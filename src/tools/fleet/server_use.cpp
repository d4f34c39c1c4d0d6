#include "tools/fleet/server_use.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "core/base/file.hpp"

namespace godwit::fleet {
namespace {

constexpr ByteCount kProcLimit = 64 * 1024;

}  // namespace

Result<ServerUse> read_server_use(pid_t pid) {
  GODWIT_TRY(const std::string stat, read_file(fmt::format("/proc/{}/stat", pid), kProcLimit));
  ServerUse use;
  unsigned long user = 0;
  unsigned long system = 0;
  long resident = 0;
  // The second field is the name in brackets and may hold anything: count from its end (proc(5): 14, 15 and 24).
  const auto end = stat.rfind(')');
  const bool is_read =
      end != std::string::npos &&
      std::sscanf(stat.c_str() + end + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld", &user,
                  &system, &resident) == 3;
  if (!is_read) return fail(Code::io_failed, fmt::format("/proc/{}/stat reads strangely", pid));
  use.cpu_seconds = static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  use.resident_kib = static_cast<std::uint64_t>(resident * ::sysconf(_SC_PAGESIZE) / 1024);
  return use;
}

}  // namespace godwit::fleet
