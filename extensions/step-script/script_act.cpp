#include "script_act.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "core/base/file.hpp"
#include "core/model/outcome.hpp"
#include "script_result.hpp"
#include "support/child_process.hpp"

namespace godwit::step_script {
namespace {

/// The file is the installer's own copy: giving it the right to run changes nothing outside.
Result<void> make_executable(const Path& script) {
  const UniqueFd fd{::open(script.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (!fd || ::fchmod(fd.get(), 0700) != 0)
    return tl::unexpected<Error>{error_from_errno("make " + script.string() + " executable", errno)};
  return {};
}

/// A script may leave anything under the name: a link, a folder, a pipe.
Result<ResultFile> read_result(const Path& file) {
  const UniqueFd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!fd)
    return fail(errno == ENOENT ? Code::not_found : Code::io_failed,
                errno == ENOENT ? "the script did not write it" : "it cannot be opened as a plain file");
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return fail(Code::invalid_argument, "it is not a regular file");
  std::string text;
  std::array<char, 4096> chunk;
  while (text.size() <= kResultFileLimit) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0) return tl::unexpected<Error>{error_from_errno("read it", errno)};
    if (got == 0) return parse_result_file(text);
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return fail(Code::too_large, fmt::format("it has more than {} bytes", kResultFileLimit));
}

Surroundings surroundings_of(const godwit_step& step, Action action) {
  Surroundings s;
  s.work_folder = author::str(step.work_dir);
  s.result_file = fmt::format("{}/action_{}_aduc_result.json", s.work_folder, action_name(action));
  if (step.installed_criteria.data != nullptr) s.installed_criteria = author::str(step.installed_criteria);
  if (step.component_json.data != nullptr)
    if (auto component = json::parse_object(author::view(step.component_json))) s.component = *std::move(component);
  return s;
}

}  // namespace

Outcome run_script_step(Action action, const author::Host& host, const godwit_step& step, const ExtraArguments& extra) {
  Surroundings surroundings = surroundings_of(step, action);
  surroundings.extra = extra;
  const CallOrRefusal made = make_call(action, author::view(step.handler_properties_json), surroundings);
  if (!made.call) return {result::failure, made.refusal.extended_code, made.refusal.details};
  const godwit_file* file = author::file_named(step, made.call->script_file_name);
  if (file == nullptr)
    return {result::failure, erc::script_no_file_name,
            fmt::format("scriptFileName '{}' is not among the files of the step", made.call->script_file_name)};
  if (file->path.size == 0) {
    if (action == Action::is_installed)
      return {result::not_installed, erc::none, "the script is not on the device yet"};
    return {result::failure, erc::handler_refused, "the script is not on the device"};
  }
  const Path script = author::str(file->path);
  if (const auto ready = make_executable(script); !ready)
    return {result::failure, erc::handler_refused, ready.error().message};
  if (::unlink(surroundings.result_file.c_str()) != 0 && errno != ENOENT)
    return {
        result::failure, erc::handler_refused,
        fmt::format("an old result file is in the way: {}", error_from_errno(surroundings.result_file, errno).message)};

  const author::ChildWatch watch{.on_line = [&](std::string_view line) { host.info(fmt::format("script: {}", line)); },
                                 .is_cancelled = [&] { return host.is_cancelled(); }};
  const std::vector<std::string> environment{"GODWIT_WORKFLOW_ID=" + author::str(step.workflow_id),
                                             fmt::format("GODWIT_ATTEMPT={}", step.attempt),
                                             fmt::format("GODWIT_STEP={}", step.step_index)};
  const auto end = author::run_child(script, made.call->arguments, environment, surroundings.work_folder, watch);
  if (!end) return {result::failure, erc::handler_refused, end.error().message};
  return conclude(action, *end, read_result(surroundings.result_file));
}

}  // namespace godwit::step_script
