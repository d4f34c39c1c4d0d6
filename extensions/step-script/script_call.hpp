// From a step's properties to the exact command line. No shell is involved: arguments are split at spaces and handed
// over as they are. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.hpp"

namespace godwit::step_script {

enum class Action : std::uint8_t { is_installed, download, install, apply, cancel };
[[nodiscard]] std::string_view action_name(Action action);  // "is-installed", ...

/// What another handler adds to the call.
struct ExtraArguments {
  std::vector<std::string> before{};  // before those of the manifest
  std::vector<std::string> after{};   // after all others
};

/// What a script is called with, apart from the manifest.
struct Surroundings {
  std::string work_folder{};
  std::string result_file{};
  std::optional<std::string> installed_criteria{};
  ExtraArguments extra{};
  json::Object component{};  // empty: the device itself
};

struct ScriptCall {
  std::string script_file_name{};
  std::vector<std::string> arguments{};  // without the script itself
};

struct Refusal {
  std::uint32_t extended_code = 0;
  std::string details{};
};
/// One of the two is set.
struct CallOrRefusal {
  std::optional<ScriptCall> call{};
  Refusal refusal{};
};

/// `properties`: the text of handlerProperties.
[[nodiscard]] CallOrRefusal make_call(Action action, std::string_view properties, const Surroundings& surroundings);

}  // namespace godwit::step_script
