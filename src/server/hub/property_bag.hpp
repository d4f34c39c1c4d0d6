// Properties of a message as they stand in a topic: `k=v` pairs joined by `&`, percent-encoded; a key that begins with
// `$.` is the system's. Telemetry brings them, cloud-to-device messages carry them.
// Pure; safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit::hub {

struct BagLimits {
  std::size_t bytes = 16 * 1024;  // as written, encoded
  std::size_t pairs = 100;
  std::size_t key_bytes = 256;  // decoded
  std::size_t value_bytes = 8 * 1024;
};

struct Property {
  std::string key;
  std::optional<std::string> value{};  // nullopt: the key stood alone
  friend bool operator==(const Property&, const Property&) = default;
};

struct PropertyBag {
  std::vector<Property> system{};  // keys without the "$.": "mid", "ct"
  std::vector<Property> application{};

  /// "" when it is not there or has no value.
  [[nodiscard]] std::string system_value(std::string_view key) const;
  void set_system(std::string_view key, std::string value);
  friend bool operator==(const PropertyBag&, const PropertyBag&) = default;
};

/// Errors: invalid_argument, too_large.
[[nodiscard]] Result<PropertyBag> parse_bag(std::string_view text, const BagLimits& limits = {});
/// System properties first. A value that is there but empty is written `key=`.
[[nodiscard]] std::string print_bag(const PropertyBag& bag);

/// {"messageId": ..., "contentType": ...}; what has no name in the original is left out.
[[nodiscard]] json::Object system_json(const PropertyBag& bag);
/// A value that is not there is null.
[[nodiscard]] json::Object application_json(const PropertyBag& bag);

}  // namespace godwit::hub
