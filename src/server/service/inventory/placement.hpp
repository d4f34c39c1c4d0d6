// Where a device belongs: its class and its group, read from its twin; or why it cannot be updated yet.
// Pure functions; safe from any thread.
#pragma once

#include <optional>
#include <string>

#include "core/base/json.hpp"
#include "core/model/compatibility.hpp"
#include "core/model/ids.hpp"
#include "core/twin/dialect.hpp"

namespace godwit::service {

/// The five checks of device health, by the names that health answers print.
namespace health_check {
inline constexpr std::string_view model_id = "DigitalTwinModelId", interface_id = "DeviceUpdateInterface",
                                  compat_names = "CompatPropertyNames", compat_values = "CompatPropertyValues",
                                  group = "ADUGroup";
inline constexpr std::string_view all[] = {model_id, interface_id, compat_names, compat_values, group};
}  // namespace health_check

struct Placement {
  GroupId group;                              // $default when there is no tag or a wrong one
  std::optional<DeviceClass> device_class{};  // nullopt: unhealthy
  std::string failed_check{};                 // the first that failed
  std::string problem{};                      // one sentence without a full stop
};

/// `reported` is the whole reported section and `agent` what the dialect reads out of it. An empty model id is forgiven
/// when the device reports a usable identity: the properties say more than the announcement.
[[nodiscard]] Placement place(const json::Object& tags, const json::Object& reported, const twin::ReportedAgent& agent,
                              const std::string& model_id);

/// "dtmi:contoso:thing;1": dtmi, colon-separated segments of letters, digits and '_', a version from 1.
[[nodiscard]] bool is_model_id(std::string_view text);

}  // namespace godwit::service
