// Refusals that the hub's clients tell apart by a number, for instance "not online" from "no such device". Pure; safe
// from any thread.
#pragma once

#include <string>

#include "core/base/clock.hpp"
#include "server/api/http.hpp"

namespace godwit::api::iothub {

struct Problem {
  int status = 0;
  int number = 0;         // 404103
  std::string_view word;  // "DeviceNotOnline"
};

inline constexpr Problem kDeviceNotFound{404, 404001, "DeviceNotFound"};
inline constexpr Problem kDeviceNotOnline{404, 404103, "DeviceNotOnline"};
inline constexpr Problem kQueueFull{403, 403004, "DeviceMaximumQueueDepthExceeded"};
inline constexpr Problem kTooManyCalls{429, 429001, "ThrottlingException"};
inline constexpr Problem kBadDeviceResponse{502, 502001, "BadDeviceResponse"};
inline constexpr Problem kServiceUnavailable{503, 503001, "ServiceUnavailable"};
inline constexpr Problem kDeviceTimeout{504, 504101, "GatewayTimeout"};

/// The usual error body of the hub's routes, with the number beside it.
[[nodiscard]] Reply refuse(const Problem& problem, const std::string& message, WallTime now);

}  // namespace godwit::api::iothub
