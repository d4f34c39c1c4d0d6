// What devices say unasked: one message as it came, the port of whoever wants to hear it, and its form as JSON.
// The hub keeps none of it. Values; safe from any thread.
#pragma once

#include <string>

#include "core/base/clock.hpp"
#include "core/base/json.hpp"
#include "core/model/ids.hpp"

namespace godwit::hub {

struct Telemetry {
  IdentityId id;
  WallTime received{};
  std::string properties{};  // as written behind messages/events/, not looked at yet
  std::string payload{};
  bool is_retained = false;
  bool is_will = false;
};

/// Both functions are called on the hub's loop: they neither block nor work.
class TelemetryListener {
 public:
  virtual ~TelemetryListener() = default;
  /// False: a message is counted and forgotten.
  [[nodiscard]] virtual bool is_listening() const = 0;
  virtual void take(Telemetry message) = 0;
};

/// A message for whoever reads it outside. `component` is also what a filter looks at.
struct TelemetryEvent {
  json::Object document;
  std::string component{};  // "" = none
};
/// {"id","deviceId","moduleId"?,"enqueuedTime","component"?,"systemProperties","properties", and one of "body" (JSON),
/// "bodyText" (UTF-8) and "bodyBase64"}. Properties that cannot be read are named in "propertiesError".
[[nodiscard]] TelemetryEvent telemetry_event(const Telemetry& message, std::string_view id);

}  // namespace godwit::hub
