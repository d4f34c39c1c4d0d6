// The topics a device may use, as values: what a PUBLISH asks for, which subscription a filter means, and the names of
// topics that go to devices. Ids may hold '+' and '#', so topics are compared as text and never as filters.
// Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/ids.hpp"

namespace godwit::hub {

/// Bits of store::DeviceSession::subscriptions; stored, so never renumbered.
enum class Subscription : std::uint8_t { twin_response = 1, twin_desired = 2, methods = 4, device_bound = 8 };

[[nodiscard]] constexpr bool has(std::uint8_t mask, Subscription bit) {
  return (mask & static_cast<std::uint8_t>(bit)) != 0;
}

/// nullopt: not one of the documented filters of this device or module.
[[nodiscard]] std::optional<Subscription> read_filter(std::string_view filter, const IdentityId& id);

enum class Request : std::uint8_t { unknown, telemetry, twin_get, reported_patch, method_response };

struct DeviceTopic {
  Request request = Request::unknown;
  std::string request_id{};              // $rid exactly as it was written
  std::int64_t status = 0;               // of a method response
  std::string_view properties{};         // of telemetry, as written; a part of the topic's text
  std::optional<std::string> version{};  // $version as it was written
};
[[nodiscard]] DeviceTopic read_topic(std::string_view topic, const IdentityId& id);

/// `$iothub/twin/res/{status}/?$rid={rid}[&$version={n}]`; $rid comes first since a C client looks for it there.
[[nodiscard]] std::string twin_response_topic(int status, std::string_view request_id,
                                              std::optional<std::uint64_t> version = std::nullopt);
[[nodiscard]] std::string desired_patch_topic(std::uint64_t version);

}  // namespace godwit::hub
