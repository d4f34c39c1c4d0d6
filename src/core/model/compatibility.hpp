// What a device is, as far as updates care: its compatibility properties and its contract model; and which
// updates fit it. Values; safe from any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit {

/// One set: every pair must match. 1..5 pairs, name 1..32, value 1..64 characters.
using CompatibilitySet = std::map<std::string, std::string>;

[[nodiscard]] bool matches(const CompatibilitySet& wanted, const CompatibilitySet& device_properties);
[[nodiscard]] bool matches_any(const std::vector<CompatibilitySet>& wanted, const CompatibilitySet& device_properties);
/// Reads an object of strings within the limits above. `where` names the place for the sentence.
[[nodiscard]] Result<CompatibilitySet> compatibility_set_from_json(const json::Value& value, std::string_view where);
[[nodiscard]] json::Object to_json(const CompatibilitySet& set);

/// Which dialect of the deviceUpdate twin contract a device speaks (contractModelId ";1", ";2", ";3").
enum class ContractModel : std::uint8_t { v1 = 1, v2 = 2, v3 = 3 };
[[nodiscard]] Result<ContractModel> parse_contract_model(
    std::string_view model_id);  // "dtmi:azure:iot:deviceUpdateContractModel;3"
[[nodiscard]] std::string contract_model_id(ContractModel model);
[[nodiscard]] std::string contract_model_name(ContractModel model);  // "Device Update Model V3"

struct DeviceClass {
  CompatibilitySet compatibility;
  ContractModel contract = ContractModel::v3;
  /// 40 lower-case hex digits: SHA-1 over the length-prefixed sorted pairs and the contract model id
  /// (docs/reference/formats/device-class-id.md).
  [[nodiscard]] std::string id() const;
};

}  // namespace godwit
