// The parts of a proxy device: an inventory file says which there should be, each part's socket says what is really on
// it. Blocking (two seconds for a part that does not answer); safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"

namespace godwit::components_example {

inline constexpr std::string_view kInventoryFile = "/etc/godwit/components.json";

/// {"components":[...]} of the file at `path`, each part with its `version` and its property `state`: "on-line", or
/// "off-line" when its socket does not answer. A part without the property `socket` is taken as it is written.
/// Errors: not_found, bad_json, invalid_argument, too_large, naming file and place.
[[nodiscard]] Result<json::Object> read_inventory(const Path& path);

/// Those of `inventory` that match every pair of `selector`: id, name, group, manufacturer, model or a property.
[[nodiscard]] json::Object select(const json::Object& inventory, const json::Object& selector);

/// One line to the part behind `socket` and its one line back, without the line end. Errors: unavailable, timed_out.
[[nodiscard]] Result<std::string> ask_part(const Path& socket, std::string_view line);

}  // namespace godwit::components_example
