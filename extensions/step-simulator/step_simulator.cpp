// The border of microsoft/simulator:1: every act answers what the data file says, and touches nothing.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/model/outcome.hpp"
#include "simulator_data.hpp"

namespace {

using godwit::Code;
using godwit::Path;
using godwit::Result;
using godwit::author::Host;
using godwit::author::Outcome;
namespace author = godwit::author;
namespace erc = godwit::erc;
namespace result = godwit::result;
using namespace godwit::step_simulator;

constexpr godwit::ExtendedCode kBadData = 0x30300001;
constexpr std::string_view kFileName = "du-simulator-data.json";
constexpr std::string_view kDefaultFolder = "/tmp";

/// The file that the update brought, else the one that the step's property names, else the customary place.
Result<Path> data_file(const godwit_step& step) {
  if (const godwit_file* file = author::file_named(step, kFileName); file != nullptr && file->path.size != 0)
    return Path(author::str(file->path));
  GODWIT_TRY(const auto properties, godwit::json::parse_object(author::view(step.handler_properties_json)));
  const godwit::json::Value* named = godwit::json::find(properties, "simulatorDataFile");
  if (named == nullptr || named->is_null()) return Path(kDefaultFolder) / kFileName;
  GODWIT_TRY(const std::string name, godwit::json::text(properties, "simulatorDataFile", "handlerProperties"));
  if (name.empty() || name.front() != '/')
    return godwit::fail(Code::invalid_argument, "handlerProperties.simulatorDataFile is not an absolute path");
  return Path(name);
}

Result<SimulatorData> read_data(const godwit_step& step) {
  GODWIT_TRY(const Path path, data_file(step));
  const godwit::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!fd && errno == ENOENT) return SimulatorData{};
  if (!fd) return tl::unexpected<godwit::Error>{godwit::error_from_errno("open " + path.string(), errno)};
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return godwit::fail(Code::invalid_argument, path.string() + " is not a regular file");
  std::string text;
  std::array<char, 16384> chunk;
  for (;;) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0) return tl::unexpected<godwit::Error>{godwit::error_from_errno("read " + path.string(), errno)};
    if (got == 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kDataFileLimit)
      return godwit::fail(Code::too_large, fmt::format("{} has more than {} bytes", path.string(), kDataFileLimit));
  }
  auto data = parse_simulator_data(text);
  if (!data) return tl::unexpected<godwit::Error>{godwit::with_context(path.string(), data.error())};
  return data;
}

/// Takes the time that the answer asks for. A cancel ends it as "cancel" says: 801 and failures mean that it goes on.
Outcome play(const Host& host, const SimulatorData& data, const Answer& answer) {
  const std::int32_t on_cancel = data.cancel ? data.cancel->outcome.result_code : 800;
  const bool can_cancel = on_cancel > 0 && on_cancel != 801;
  constexpr std::int64_t kTicksPerSecond = 10;
  const auto ticks = static_cast<std::uint64_t>(answer.delay_seconds * kTicksPerSecond);
  for (std::uint64_t tick = 0; tick <= ticks; ++tick) {
    if (can_cancel && host.is_cancelled())
      return {result::cancelled, erc::none,
              data.cancel && !data.cancel->outcome.details.empty() ? data.cancel->outcome.details
                                                                   : "the simulated act was cancelled"};
    host.progress(tick, ticks);
    if (tick < ticks) std::this_thread::sleep_for(std::chrono::milliseconds(1000 / kTicksPerSecond));
  }
  return answer.outcome;
}

/// One answer for each file; the first that is no success ends the act.
Outcome download(const Host& host, const godwit_step& step, const SimulatorData& data) {
  Outcome last{result::download_ok, erc::none, ""};
  for (std::size_t i = 0; i < step.file_count; ++i) {
    const std::string name = author::str(step.files[i]->name);
    const Answer* answer = answer_for(data.download, name);
    if (answer == nullptr) continue;
    host.info(fmt::format("simulated download of {}: {}", name, answer->outcome.result_code));
    last = play(host, data, *answer);
    if (last.result_code <= 0) return last;
  }
  return last;
}

enum class Act { is_installed, download, backup, install, apply, restore };

Outcome answer(const Host& host, const godwit_step& step, const SimulatorData& data, Act act) {
  const auto one = [&](const std::optional<Answer>& answer, std::int32_t otherwise) {
    return play(host, data, answer.value_or(Answer{.outcome = {otherwise, erc::none, ""}}));
  };
  switch (act) {
    case Act::is_installed: {
      const Answer* found = answer_for(data.is_installed, author::view(step.installed_criteria));
      return one(found == nullptr ? std::nullopt : std::optional<Answer>(*found), result::is_installed);
    }
    case Act::download: return download(host, step, data);
    case Act::backup: return one(data.backup, result::backup_ok);
    case Act::install: return one(data.install, result::install_ok);
    case Act::apply: return one(data.apply, result::apply_ok);
    case Act::restore: return one(data.restore, result::restore_ok);
  }
  return {};
}

template <Act kAct>
Outcome act_as(const Host& host, const godwit_step& step) {
  const godwit_file* brought = author::file_named(step, kFileName);
  if (kAct == Act::is_installed && brought != nullptr && brought->path.size == 0)
    return {result::not_installed, erc::none, "the data file is not on the device yet"};
  const auto data = read_data(step);
  if (!data) return {result::failure, kBadData, data.error().message};
  return answer(host, step, *data, kAct);
}

constexpr godwit_step_handler kTable{sizeof(godwit_step_handler),
                                     author::step_act<act_as<Act::is_installed>>,
                                     author::step_act<act_as<Act::download>>,
                                     author::step_act<act_as<Act::backup>>,
                                     author::step_act<act_as<Act::install>>,
                                     author::step_act<act_as<Act::apply>>,
                                     author::step_act<act_as<Act::restore>>};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
