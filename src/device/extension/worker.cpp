#include "device/extension/worker.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/text.hpp"
#include "device/extension/frames.hpp"
#include "device/extension/library.hpp"
#include "device/extension/spawn.hpp"
#include "device/extension/worker_calls.hpp"
#include "device/extension/worker_messages.hpp"

namespace godwit::extension {
namespace {

constexpr Duration kCallPatience = std::chrono::minutes(2);  // the host may be busy writing its journal
constexpr Duration kSendPatience = std::chrono::minutes(10);
constexpr Duration kProgressPause = std::chrono::milliseconds(250);
constexpr std::size_t kLogLineLimit = 8 * 1024;
constexpr std::size_t kAnswerLimit = 1024 * 1024;
constexpr int kCannotAnswer = 2;
constexpr int kHostGone = 3;

/// What the C functions of godwit_host reach. Any thread of the extension may call them.
class HostSide {
 public:
  explicit HostSide(int fd) : fd_(fd) {
    host_.size = sizeof host_;
    host_.context = this;
    host_.log = [](void* self, std::uint32_t level, godwit_text text) {
      static_cast<HostSide*>(self)->log(level, text);
    };
    host_.progress = [](void* self, std::uint64_t done, std::uint64_t total) {
      static_cast<HostSide*>(self)->progress(done, total);
    };
    host_.cancelled = [](void* self) -> std::int32_t {
      return static_cast<HostSide*>(self)->cancelled_.load() ? 1 : 0;
    };
    host_.answer = [](void* self, godwit_text text) { static_cast<HostSide*>(self)->answer(text); };
  }
  HostSide(const HostSide&) = delete;
  HostSide& operator=(const HostSide&) = delete;

  void set_options(const std::map<std::string, std::string>& options) {
    json::Object object;
    for (const auto& [name, value] : options) object[name] = value;
    options_ = json::print(object);
    host_.options_json = {options_.data(), options_.size()};
  }
  [[nodiscard]] const godwit_host& host() const { return host_; }
  [[nodiscard]] const std::optional<std::string>& answer_text() const { return answer_; }

  void send(const WorkerMessage& message) {
    const std::lock_guard lock(mutex_);
    if (!write_frame(fd_, to_json(message), kSendPatience, kWorkerFrameLimit)) ::_exit(kHostGone);
  }

  /// Waits for a cancel for the whole life of the process; ends the process when the host is gone.
  void watch(FrameSplitter splitter) {
    std::thread([this, splitter = std::move(splitter)]() mutable {
      for (;;) {
        const auto message = read_frame(fd_, splitter, std::chrono::hours(24));
        if (message && *message && is_cancel_message(**message)) cancelled_.store(true);
        if ((!message && message.error().code != Code::timed_out) || (message && !*message)) ::_exit(kHostGone);
      }
    }).detach();
  }

 private:
  static std::string_view view(godwit_text text) {
    return text.data == nullptr ? std::string_view{} : std::string_view{text.data, text.size};
  }

  void log(std::uint32_t level, godwit_text text) {
    const auto known = static_cast<LogLevel>(std::min<std::uint32_t>(level, GODWIT_LOG_ERROR));
    send(WorkerLog{known, printable(view(text).substr(0, kLogLineLimit))});
  }

  void progress(std::uint64_t done, std::uint64_t total) {
    {
      const std::lock_guard lock(mutex_);
      const Duration now = SystemClock{}.monotonic();
      if (last_progress_ && now - *last_progress_ < kProgressPause && done != total) return;
      last_progress_ = now;
    }
    send(WorkerProgress{done, total});
  }

  void answer(godwit_text text) { answer_ = std::string(view(text).substr(0, kAnswerLimit + 1)); }

  int fd_;
  godwit_host host_{};
  std::mutex mutex_{};
  std::optional<Duration> last_progress_{};
  std::atomic<bool> cancelled_{false};
  std::optional<std::string> answer_{};
  std::string options_{};
};

/// A step that was not granted the network gets an empty one. Needs root; without it the host has no rights to give
/// away either.
void leave_network(HostSide& side) {
  if (::geteuid() != 0) return;
  if (::unshare(CLONE_NEWNET) == 0) return;
  side.send(WorkerLog{LogLevel::warning,
                      fmt::format("cannot take the network away from this step: {}", std::strerror(errno))});
}

/// Foreign input, no need for any right: a planner that was talked into something can do little with it.
Result<void> drop_rights() {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() != 0) return {};
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0)
    return tl::unexpected<Error>{error_from_errno("drop the rights of the planner's process", errno)};
  return {};
}

struct Loaded {
  void* entry = nullptr;
  std::string contract;
};

Result<void*> symbol(void* library, const std::string& name, const Path& path) {
  void* found = ::dlsym(library, name.c_str());
  if (found == nullptr)
    return fail(Code::extension_contract, fmt::format("{} does not export {}", path.string(), name));
  return found;
}

/// Hash and load of one opened file: what was hashed is what is loaded.
Result<Loaded> load(const Registration& registration) {
  GODWIT_TRY(OpenedLibrary library, open_library(registration.path));
  if (library.sha256 != registration.sha256 || library.size != registration.size)
    return fail(Code::digest_mismatch,
                fmt::format("{} changed after it was registered for {}; if that was you, register it again",
                            registration.path.string(), registration.id));
  void* handle = ::dlopen(fmt::format("/proc/self/fd/{}", library.fd.get()).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    return fail(Code::extension_contract,
                fmt::format("{} cannot be loaded: {}", registration.path.string(), ::dlerror()));

  GODWIT_TRY(void* get_contract_info, symbol(handle, "GetContractInfo", registration.path));
  godwit_contract_info info{};
  info.size = sizeof info;
  if (reinterpret_cast<std::int32_t (*)(godwit_contract_info*)>(get_contract_info)(&info) != 0)
    return fail(Code::extension_contract, registration.path.string() + " cannot say which contract it speaks");
  if (info.type != static_cast<std::uint32_t>(registration.type))
    return fail(Code::extension_contract,
                fmt::format("{} is not a {}: it says it has type {}", registration.path.string(),
                            type_name(registration.type), info.type));
  if (info.major != GODWIT_ABI)
    return fail(Code::extension_contract,
                fmt::format("{} speaks contract {}.{}, this host speaks {}.{}; build it against this host's headers",
                            registration.path.string(), info.major, info.minor, GODWIT_ABI, GODWIT_ABI_MINOR));
  Loaded loaded{.entry = nullptr, .contract = fmt::format("{}.{}", info.major, info.minor)};
  GODWIT_TRY(loaded.entry, symbol(handle, std::string(entry_symbol(registration.type)), registration.path));
  return loaded;
}

Result<Outcome> do_call(HostSide& side, const CallMessage& message) {
  if (!message.registration.network &&
      (message.registration.type == Type::step_handler || message.registration.type == Type::manifest_handler))
    leave_network(side);
  GODWIT_TRY(const Loaded loaded, load(message.registration));
  if (json::text_or_nothing(message.call, "verb") == "probe") {
    Outcome outcome;
    outcome.result_code = result::success;
    outcome.answer = json::Object{{"contract", loaded.contract}};
    return outcome;
  }
  if (message.registration.type != Type::step_handler) ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (message.registration.type == Type::manifest_handler) GODWIT_TRY_VOID(drop_rights());
  side.set_options(message.registration.options);
  godwit_outcome filled{};
  filled.size = sizeof filled;
  GODWIT_TRY_VOID(run_call(message.registration.type, loaded.entry, message.call, side.host(), filled));
  Outcome outcome{.result_code = filled.result_code, .extended_code = filled.extended_code};
  outcome.details = cut_details(printable({filled.details, ::strnlen(filled.details, sizeof filled.details)}));
  if (side.answer_text()) {
    auto answer = json::parse_object(*side.answer_text(), {.bytes = kAnswerLimit, .depth = 32});
    if (!answer)
      return fail(Code::extension_contract, fmt::format("{} gave an answer that is not a JSON object: {}",
                                                        message.registration.id, answer.error().message));
    outcome.answer = *std::move(answer);
  }
  return outcome;
}

}  // namespace

int extension_worker_main(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);  // what the extension starts has no business with the host
  FrameSplitter splitter(kWorkerFrameLimit);
  const auto first = read_frame(fd, splitter, kCallPatience);
  if (!first || !*first) ::_exit(kHostGone);
  HostSide side(fd);
  const auto message = parse_call_message(**first);
  if (!message) {
    side.send(message.error());
    return kCannotAnswer;
  }
  side.watch(std::move(splitter));
  const auto outcome = do_call(side, *message);
  if (outcome)
    side.send(*outcome);
  else
    side.send(outcome.error());
  ::_exit(0);  // the library's destructors and threads are no concern of anybody any more
}

int run_if_extension_worker(int argc, const char* const* argv) {
  if (argc != 3 || std::string_view(argv[1]) != "extension-worker") return -1;
  const int fd = to_number<int>(argv[2]).value_or(-1);
  if (fd < 3) return kCannotAnswer;
  return extension_worker_main(fd);
}

}  // namespace godwit::extension
