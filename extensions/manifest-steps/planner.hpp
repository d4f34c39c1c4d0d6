// The plan behind an update manifest: its steps, one after the other. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/json.hpp"

namespace godwit::manifest_steps {

struct Planned {
  json::Object answer{};            // {"steps":[...]}; empty if refused
  std::uint32_t extended_code = 0;  // of a refusal
  std::string details{};
  [[nodiscard]] bool ok() const { return !answer.empty(); }
};

/// `components`: "" or the enumerator's document; steps of the device itself do not look at it.
[[nodiscard]] Planned plan(std::string_view manifest, std::string_view components);

}  // namespace godwit::manifest_steps
