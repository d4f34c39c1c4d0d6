// The plan of an update manifest: its inline steps in their order, and for each step that refers to another update the
// steps of that child, once for each component that it is for. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/json.hpp"
#include "core/model/outcome.hpp"

namespace godwit::manifest_steps {

struct Planned {
  json::Object answer;  // manifest_handler.h
  ExtendedCode extended_code = 0;
  std::string details{};
  [[nodiscard]] bool ok() const { return details.empty(); }
};

/// The members of godwit_plan_request; "" for what is absent.
struct Request {
  std::string_view manifest;
  std::string_view components{};
  std::string_view children{};
};

[[nodiscard]] Planned plan(const Request& request);

}  // namespace godwit::manifest_steps
