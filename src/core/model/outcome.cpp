#include "core/model/outcome.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "core/base/text.hpp"

namespace godwit {
namespace {

struct DeviceStateName {
  DeviceState state;
  std::string_view name;
};
constexpr auto kDeviceStates = std::to_array<DeviceStateName>({
    {DeviceState::succeeded, "Succeeded"},
    {DeviceState::in_progress, "InProgress"},
    {DeviceState::canceled, "Canceled"},
    {DeviceState::failed, "Failed"},
});

}  // namespace

std::string extended_code_hex(ExtendedCode code) { return fmt::format("{:08X}", code); }

Result<ExtendedCode> parse_extended_code(std::string_view hex) {
  std::string_view digits = hex;
  if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
  const auto code = to_number<ExtendedCode>(digits, 16);
  if (digits.size() > 8 || !code)
    return fail(Code::invalid_argument, fmt::format("extended code '{}' is not 1 to 8 hex digits", hex.substr(0, 32)));
  return *code;
}

std::string cut_details(std::string text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t size = limit;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U)
    --size;  // never in the middle of a code point
  text.resize(size);
  return text;
}

std::string_view device_state_name(DeviceState state) {
  for (const DeviceStateName& row : kDeviceStates)
    if (row.state == state) return row.name;
  return "Unknown";
}

std::optional<DeviceState> parse_device_state(std::string_view name) {
  for (const DeviceStateName& row : kDeviceStates)
    if (equal_in_any_case(row.name, name)) return row.state;
  return std::nullopt;
}

std::string_view deployment_state_name(DeploymentState state) {
  switch (state) {
    case DeploymentState::active: return "Active";
    case DeploymentState::active_with_subgroup_failures: return "ActiveWithSubgroupFailures";
    case DeploymentState::failed: return "Failed";
    case DeploymentState::inactive: return "Inactive";
    case DeploymentState::canceled: return "Canceled";
  }
  return "Unknown";
}

}  // namespace godwit
