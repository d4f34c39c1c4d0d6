#include "device/agent/log_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/model/text.hpp"

extern char** environ;

namespace godwit::agent {
namespace {

constexpr std::size_t kChunk = 64 * 1024;
constexpr int kPollStep = 200;  // ms between two looks at the stop token

/// Copies the last `limit` bytes that the file has now.
[[nodiscard]] Result<ByteCount> copy_end(int from, const Path& to, ByteCount limit) {
  struct stat info {};
  if (::fstat(from, &info) != 0 || !S_ISREG(info.st_mode)) return fail(Code::invalid_argument, "it is no regular file");
  const auto size = static_cast<ByteCount>(info.st_size);
  ByteCount offset = size > limit ? size - limit : 0;
  GODWIT_TRY(const UniqueFd target, open_file(to, O_WRONLY | O_CREAT | O_TRUNC));
  std::vector<char> chunk(kChunk);
  ByteCount copied = 0;
  while (offset < size) {
    const auto wanted = static_cast<std::size_t>(std::min<ByteCount>(chunk.size(), size - offset));
    const ssize_t got = ::pread(from, chunk.data(), wanted, static_cast<off_t>(offset));
    if (got < 0) return tl::unexpected<Error>{error_from_errno("read a log", errno)};
    if (got == 0) break;  // it was cut off meanwhile
    GODWIT_TRY_VOID(write_all(target.get(), {chunk.data(), static_cast<std::size_t>(got)}));
    offset += static_cast<ByteCount>(got);
    copied += static_cast<ByteCount>(got);
  }
  return copied;
}

struct Candidate {
  Path path;
  std::filesystem::file_time_type changed;
};

/// Newest first. Links are not followed: what they name may be no log.
[[nodiscard]] std::vector<Candidate> files_of(const Path& path, std::string& problem) {
  std::vector<Candidate> found;
  std::error_code error;
  const auto status = std::filesystem::symlink_status(path, error);
  if (error || !std::filesystem::exists(status)) {
    problem = path.string() + " is not there";
    return found;
  }
  if (std::filesystem::is_regular_file(status)) return {{path, {}}};
  if (!std::filesystem::is_directory(status)) {
    problem = path.string() + " is neither a file nor a folder";
    return found;
  }
  for (auto it = std::filesystem::directory_iterator(path, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (!it->is_symlink(ignored) && it->is_regular_file(ignored))
      found.push_back({it->path(), it->last_write_time(ignored)});
  }
  if (error) problem = path.string() + ": " + error.message();
  std::sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) { return a.changed > b.changed; });
  return found;
}

/// Ends a child for certain.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  pid_t pid_;
};

/// What journalctl prints of a unit's newest entries; at most `limits.bytes_per_source`, newest last.
[[nodiscard]] Result<std::string> read_journal(const std::string& unit, const LogLimits& limits,
                                               const std::stop_token& stop) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected<Error>{error_from_errno("make a pipe", errno)};
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  std::string program = limits.journalctl.string();
  // --reverse: the newest come first, so that the limit cuts off the oldest.
  std::vector<std::string> words{program,         "--quiet", "--no-pager", "--reverse", "--output=short-iso-precise",
                                 "--unit=" + unit};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int problem = ::posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (problem != 0) return tl::unexpected<Error>{error_from_errno("start " + program, problem)};
  const Child child(pid);
  writing.reset();
  std::string text;
  std::vector<char> chunk(kChunk);
  const SystemClock clock;
  const Duration until = clock.monotonic() + limits.journal_time;
  while (text.size() < limits.bytes_per_source && clock.monotonic() < until && !stop.stop_requested()) {
    pollfd waiting{reading.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kPollStep) <= 0) continue;
    const ssize_t got = ::read(reading.get(), chunk.data(), chunk.size());
    if (got <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  if (text.size() > limits.bytes_per_source) text.resize(limits.bytes_per_source);
  if (const auto end = text.rfind('\n'); end != std::string::npos) text.resize(end);  // whole lines
  std::string in_order;
  in_order.reserve(text.size() + 1);
  while (!text.empty()) {
    const auto start = text.rfind('\n');
    in_order.append(text, start == std::string::npos ? 0 : start + 1).push_back('\n');
    text.resize(start == std::string::npos ? 0 : start);
  }
  return in_order;
}

class Gatherer {
 public:
  Gatherer(const LogLimits& limits, const Path& folder, const std::stop_token& stop, std::vector<std::string>& problems)
      : limits_(limits), folder_(folder), stop_(stop), problems_(problems) {}

  [[nodiscard]] Result<void> gather(const LogSource& source) {
    return source.unit.empty() ? gather_path(source) : gather_unit(source);
  }
  [[nodiscard]] std::vector<GatheredLog> take() { return std::move(gathered_); }

 private:
  [[nodiscard]] Path next_copy() { return folder_ / std::to_string(number_++); }

  [[nodiscard]] Result<void> gather_unit(const LogSource& source) {
    auto text = read_journal(source.unit, limits_, stop_);
    if (!text || text->empty()) {
      problems_.push_back(source.unit + ": " + (text ? "the journal has nothing of it" : text.error().message));
      return {};
    }
    const Path copy = next_copy();
    GODWIT_TRY_VOID(write_file_durably(copy, *text));
    gathered_.push_back({.source = source.name, .file = source.unit + ".log", .copy = copy, .size = text->size()});
    return {};
  }

  [[nodiscard]] Result<void> gather_path(const LogSource& source) {
    std::string problem;
    ByteCount left = limits_.bytes_per_source;
    std::size_t count = 0;
    for (const Candidate& candidate : files_of(source.path, problem)) {
      if (left == 0 || count == limits_.files_per_source || stop_.stop_requested()) break;
      const std::string name = candidate.path.filename().string();
      const auto from = open_file(candidate.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      if (!from || !is_plain_file_name(name)) {
        problem = from ? name + " is no plain name" : from.error().message;
        continue;
      }
      const Path copy = next_copy();
      const auto size = copy_end(from->get(), copy, left);
      if (!size && size.error().code == Code::disk_full) return tl::unexpected<Error>{size.error()};
      if (!size || *size == 0) continue;
      left -= *size;
      ++count;
      gathered_.push_back({.source = source.name, .file = name, .copy = copy, .size = *size});
    }
    if (!problem.empty()) problems_.push_back(source.name + ": " + problem);
    return {};
  }

  const LogLimits& limits_;
  const Path& folder_;
  const std::stop_token& stop_;
  std::vector<std::string>& problems_;
  std::size_t number_ = 0;
  std::vector<GatheredLog> gathered_;
};

}  // namespace

Result<std::vector<GatheredLog>> gather_logs(const std::vector<LogSource>& sources, const LogLimits& limits,
                                             const Path& folder, const std::stop_token& stop,
                                             std::vector<std::string>& problems) {
  GODWIT_TRY_VOID(remove_tree(folder));
  GODWIT_TRY_VOID(make_folders(folder));
  Gatherer gatherer(limits, folder, stop, problems);
  for (const LogSource& source : sources) GODWIT_TRY_VOID(gatherer.gather(source));
  return gatherer.take();
}

std::string check_log_source_name(std::string_view name) {
  if (name.empty() || name.size() > 64) return "has not 1 to 64 characters";
  const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
    return is_ascii_alphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '@';
  });
  return is_plain && name != "." && name != ".." ? "" : "has other characters than letters, digits and - _ . @";
}

Result<LogSource> parse_log_path(std::string_view text) {
  const auto equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const std::string_view path = equals == std::string_view::npos ? "" : text.substr(equals + 1);
  if (const std::string reason = check_log_source_name(name); !reason.empty() || !path.starts_with('/'))
    return fail(Code::invalid_argument, fmt::format("'{}' must look like \"app=/var/log/app\"{}{}", text,
                                                    reason.empty() ? "" : "; the name ", reason));
  return LogSource{.name = std::string(name), .path = std::string(path)};
}

}  // namespace godwit::agent
