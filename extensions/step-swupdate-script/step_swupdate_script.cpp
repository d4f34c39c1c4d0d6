// The border of microsoft/swupdate:2: a script of the update that gets the .swu image and the device's own arguments.
#include <fmt/format.h>

#include <string>

#include "core/base/file.hpp"
#include "core/model/outcome.hpp"
#include "device_arguments.hpp"
#include "godwit/author.hpp"
#include "godwit/step_handler.h"
#include "script_act.hpp"

namespace {

using godwit::Code;
using godwit::author::Host;
using godwit::author::Outcome;
namespace author = godwit::author;
namespace result = godwit::result;
using namespace godwit::step_script;
using namespace godwit::step_swupdate_script;

constexpr godwit::ExtendedCode kBadImage = 0x30100001;
constexpr godwit::ExtendedCode kBadDeviceFile = 0x30100003;
constexpr std::int32_t kCannotCancel = 801;
constexpr std::int32_t kCancelledByRestart = 805;  // as 605 and 705: what ran before comes back with a restart
constexpr std::int32_t kRestoreReboot = 1105;
constexpr const char* kDeviceFiles[] = {"/etc/godwit/swupdate-handler-config.json",
                                        "/etc/adu/swupdate-handler-config.json"};

/// The first of the files that is there; none is no arguments.
godwit::Result<std::vector<std::string>> device_arguments() {
  for (const char* path : kDeviceFiles) {
    const auto text = godwit::read_file(path, kDeviceFileLimit);
    if (!text && text.error().code == Code::not_found) continue;
    auto arguments = text ? parse_device_arguments(*text) : tl::unexpected<godwit::Error>{text.error()};
    if (!arguments) return tl::unexpected<godwit::Error>{godwit::with_context(path, arguments.error())};
    return arguments;
  }
  return std::vector<std::string>{};
}

Outcome act(Action action, const Host& host, const godwit_step& step) {
  const auto name = swu_file_name(author::view(step.handler_properties_json));
  if (!name) return {result::failure, kBadImage, "handlerProperties: " + name.error().message};
  if (author::file_named(step, *name) == nullptr)
    return {result::failure, kBadImage, fmt::format("swuFileName '{}' is not among the files of the step", *name)};
  auto arguments = device_arguments();
  if (!arguments) return {result::failure, kBadDeviceFile, arguments.error().message};
  return run_script_step(action, host, step,
                         {.before = *std::move(arguments),
                          .after = {"--swu-file", fmt::format("{}/{}", author::view(step.work_dir), *name)}});
}

template <Action kAction>
Outcome act_as(const Host& host, const godwit_step& step) {
  return act(kAction, host, step);
}

/// Scripts of this handler know no backup; what they did is taken back by their verb `cancel`.
Outcome backup(const Host&, const godwit_step&) { return {result::backup_ok, 0, ""}; }
Outcome restore(const Host& host, const godwit_step& step) {
  Outcome outcome = act(Action::cancel, host, step);
  switch (outcome.result_code) {
    case kCannotCancel: outcome.result_code = result::restore_unsupported; break;
    case kCancelledByRestart: outcome.result_code = kRestoreReboot; break;
    default:
      if (outcome.result_code > 0) outcome.result_code = result::restore_ok;
  }
  return outcome;
}

constexpr godwit_step_handler kTable{sizeof(godwit_step_handler),
                                     author::step_act<act_as<Action::is_installed>>,
                                     author::step_act<act_as<Action::download>>,
                                     author::step_act<backup>,
                                     author::step_act<act_as<Action::install>>,
                                     author::step_act<act_as<Action::apply>>,
                                     author::step_act<restore>};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
