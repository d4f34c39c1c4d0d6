// The border of microsoft/swupdate:1: one signed .swu image is given to the device's swupdate.
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

#include "core/base/command.hpp"
#include "core/base/file.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "godwit/author.hpp"
#include "slot_step.hpp"
#include "support/child_process.hpp"
#include "support/options.hpp"
#include "swupdate_config.hpp"
#include "swupdate_words.hpp"

namespace {

using godwit::Code;
using godwit::Path;
using godwit::Result;
using godwit::author::Host;
using godwit::author::Outcome;
namespace author = godwit::author;
namespace result = godwit::result;
using namespace godwit::step_swupdate;

constexpr const char* kConfigFile = "/etc/godwit/swupdate.json";
constexpr std::string_view kSlotsFile = "/etc/godwit/slots.toml";
constexpr const char* kSwupdate = "/usr/bin/swupdate";
constexpr const char* kAppliedMark = "swupdate-applied";
constexpr auto kCommandTime = std::chrono::minutes(5);

Outcome failed(std::uint32_t extended_code, std::string details) {
  return {result::failure, extended_code, std::move(details)};
}

/// SWUpdate's progress socket, in a folder of this run: TMPDIR. Connects once it is there; reads without waiting.
class ProgressReader {
 public:
  explicit ProgressReader(const Path& folder) : path_(folder / "swupdateprog") {}

  void read(const Host& host) {
    if (!socket_ && !connect()) return;
    std::array<char, 8192> chunk;
    for (;;) {
      const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (got <= 0) break;
      buffer_.append(chunk.data(), static_cast<std::size_t>(got));
      while (buffer_.size() >= kProgressMessageSize) {
        tell(host, parse_progress(std::string_view(buffer_).substr(0, kProgressMessageSize)));
        buffer_.erase(0, kProgressMessageSize);
      }
    }
  }

 private:
  bool connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = path_.string();
    if (path.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, path.data(), path.size());
    godwit::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    socket_ = std::move(fd);
    return true;
  }
  void tell(const Host& host, const std::optional<Progress>& progress) {
    if (!progress || progress->steps == 0) return;
    if (progress->image != image_) host.info(fmt::format("installing {}", progress->image));
    image_ = progress->image;
    const std::uint64_t step = std::max<std::uint32_t>(progress->step, 1) - 1;
    host.progress(step * 100 + progress->percent, std::uint64_t{progress->steps} * 100);
  }

  Path path_;
  godwit::UniqueFd socket_{};
  std::string buffer_{};
  std::string image_{};
};

/// A short name for a folder, gone with this object: a socket's path has room for 107 bytes only.
class ShortName {
 public:
  explicit ShortName(const Path& folder) {
    std::string name = "/tmp/godwit-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return;
    folder_ = name;
    std::error_code problem;
    std::filesystem::create_directory_symlink(folder, folder_ / "t", problem);
    if (!problem) path_ = folder_ / "t";
  }
  ShortName(const ShortName&) = delete;
  ShortName& operator=(const ShortName&) = delete;
  ~ShortName() {
    if (!folder_.empty()) (void)godwit::remove_tree(folder_);
  }
  [[nodiscard]] const Path& path() const { return path_; }  // empty: it could not be made

 private:
  Path folder_{};
  Path path_{};
};

Result<SwupdateConfig> read_config() {
  const auto text = godwit::read_file(kConfigFile, kConfigLimit);
  if (!text) return tl::unexpected<godwit::Error>{text.error()};
  auto config = parse_swupdate_config(*text);
  if (!config) return tl::unexpected<godwit::Error>{godwit::with_context(kConfigFile, config.error())};
  return config;
}

Result<std::string> effective_select(const SwupdateConfig& config) {
  if (config.select_command.empty()) return config.select;
  GODWIT_TRY(const godwit::CommandEnd end, godwit::run_command(config.select_command, "", {.time = kCommandTime}));
  const std::string said(godwit::trimmed(end.output));
  if (!end.ok() || said.empty() || said.find('\n') != said.npos || said.starts_with('-') || said.size() > 256)
    return godwit::fail(Code::invalid_argument, fmt::format("selectCommand {} and printed '{}', not one SELECTION,MODE",
                                                            end.in_words(), said.substr(0, 200)));
  return said;
}

SlotCall slot_call(const Host& host, const godwit_step& step, const SwupdateConfig& config) {
  return {.host = host, .step = step, .config = config, .slots_file = author::option(host, "slots", kSlotsFile)};
}

Outcome is_installed(const Host& host, const godwit_step& step, const SwupdateConfig& config) {
  if (config.has_slots()) return slot_is_installed(slot_call(host, step, config));
  const auto text = godwit::read_file(config.version_file, 4096);
  if (!text && text.error().code != Code::not_found) return failed(code::bad_config, text.error().message);
  const std::string version(text ? godwit::trimmed(*text) : std::string_view{});
  if (version == author::view(step.installed_criteria)) return {result::is_installed, 0, ""};
  return {result::not_installed, 0, fmt::format("{} says '{}'", config.version_file, version.substr(0, 200))};
}

/// SWUpdate with this selection, from start to end.
Outcome run_swupdate(const Host& host, const godwit_step& step, const SwupdateConfig& config,
                     const std::string& select) {
  const Path folder = Path(author::str(step.work_dir)) / "swupdate";
  if (auto made = godwit::remove_tree(folder); !made) return failed(author::kRefused, made.error().message);
  if (auto made = godwit::make_folders(folder); !made) return failed(author::kRefused, made.error().message);
  const ShortName short_name(folder);
  if (short_name.path().empty()) return failed(author::kRefused, "no folder can be made in /tmp");
  SwupdateErrors errors;
  ProgressReader progress(short_name.path());
  const author::ChildWatch watch{.on_line =
                                     [&](std::string_view line) {
                                       errors.take(line);
                                       host.info(fmt::format("swupdate: {}", line));
                                     },
                                 .is_cancelled =
                                     [&] {
                                       progress.read(host);
                                       return host.is_cancelled();
                                     }};
  const auto end = author::run_child(kSwupdate, swupdate_arguments(config, select, author::view(step.files[0]->path)),
                                     {"TMPDIR=" + short_name.path().string(), "LC_ALL=C.UTF-8"}, folder, watch);
  if (!end) return failed(author::kRefused, end.error().message);
  if (end->was_cancelled) return {result::cancelled, 0, "swupdate was ended because of a cancel"};
  if (end->is_success()) return {result::install_ok, 0, ""};
  // 2022.12 asks itself for the result, and may ask a moment too late: it then ends with 1 after it has said success.
  if (end->signal == 0 && end->exit_status == 1 && errors.says_success()) {
    host.warning("swupdate said that it was successful and ended with status 1; its word counts");
    return {result::install_ok, 0, ""};
  }
  const auto status = static_cast<unsigned>(end->signal != 0 ? 128 + end->signal : end->exit_status);
  return failed(errors.extended_code(status), fmt::format("swupdate {}: {}", author::how_it_ended(*end),
                                                          errors.text().empty() ? end->last_output : errors.text()));
}

Outcome install(const Host& host, const godwit_step& step, const SwupdateConfig& config) {
  if (config.has_slots())
    return slot_install(slot_call(host, step, config),
                        [&](const std::string& select) { return run_swupdate(host, step, config, select); });
  const auto select = effective_select(config);
  if (!select) return failed(code::bad_config, select.error().message);
  return run_swupdate(host, step, config, *select);
}

Outcome switch_by(const std::vector<std::string>& command, std::int32_t on_success) {
  if (command.empty()) return {on_success, 0, ""};
  const auto end = godwit::run_command(command, "", {.time = kCommandTime});
  if (!end) return failed(code::switch_failed, end.error().message);
  if (end->ok()) return {on_success, 0, ""};
  return failed(code::switch_failed, fmt::format("{} {}: {}", command.front(), end->in_words(),
                                                 godwit::trimmed(std::string_view(end->output).substr(0, 500))));
}

Outcome apply(const Host& host, const godwit_step& step, const SwupdateConfig& config) {
  if (config.has_slots()) return slot_apply(slot_call(host, step, config));
  // Marked before it is done: a restore after a cut in between reverts what may have been switched.
  if (auto marked = godwit::write_file_durably(Path(author::str(step.work_dir)) / kAppliedMark, "1"); !marked)
    return failed(author::kRefused, marked.error().message);
  return switch_by(config.apply_command, config.reboots ? result::apply_reboot : result::apply_ok);
}

Outcome restore(const Host& host, const godwit_step& step, const SwupdateConfig& config) {
  if (config.has_slots()) return slot_restore(slot_call(host, step, config));
  if (!std::filesystem::exists(Path(author::str(step.work_dir)) / kAppliedMark))
    return {result::restore_ok, 0, "nothing was switched"};
  if (config.revert_command.empty()) return {result::restore_unsupported, 0, ""};
  return switch_by(config.revert_command, result::restore_ok);
}

using Act = Outcome (*)(const Host&, const godwit_step&, const SwupdateConfig&);

template <Act kAct>
Outcome act_as(const Host& host, const godwit_step& step) {
  if (step.file_count != 1 || !author::view(step.files[0]->name).ends_with(".swu"))
    return failed(code::bad_image_list, "the step takes exactly one file, and its name ends in .swu");
  if (step.installed_criteria.size == 0)
    return failed(code::no_criteria, "handlerProperties.installedCriteria is missing");
  const auto config = read_config();
  if (!config) return failed(code::bad_config, config.error().message);
  if (step.files[0]->path.size == 0 && kAct == install)
    return failed(author::kRefused, "the image is not on the device");
  return kAct(host, step, *config);
}

constexpr godwit_step_handler kTable{sizeof(godwit_step_handler),
                                     author::step_act<act_as<is_installed>>,
                                     nullptr,
                                     nullptr,
                                     author::step_act<act_as<install>>,
                                     author::step_act<act_as<apply>>,
                                     author::step_act<act_as<restore>>};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
