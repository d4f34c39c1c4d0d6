// Which update: provider, name, version. Versions compare part by part as numbers.
// Values; safe from any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit {

/// 2 to 4 numeric parts, each 0..2147483647; leading zeros are dropped ("1.02" is "1.2"). "1.2" < "1.2.0" never equal.
class Version {
 public:
  [[nodiscard]] static Result<Version> parse(std::string_view text);
  [[nodiscard]] std::string str() const;
  friend std::strong_ordering operator<=>(const Version& a, const Version& b);
  friend bool operator==(const Version& a, const Version& b) { return (a <=> b) == std::strong_ordering::equal; }

 private:
  std::vector<std::uint32_t> parts_;
};

struct UpdateId {
  std::string provider;  // 1..64 of A-Z a-z 0-9 . -
  std::string name;      // same rule
  Version version;

  [[nodiscard]] static Result<UpdateId> parse(std::string_view provider, std::string_view name,
                                              std::string_view version);
  /// Reads {"provider","name","version"}; other members are refused when `strict`.
  [[nodiscard]] static Result<UpdateId> from_json(const json::Object& object, bool strict);
  [[nodiscard]] json::Object to_json() const;  // order: provider, name, version
  [[nodiscard]] std::string str() const;       // "Contoso/Toaster/1.2.0": for people and as a key in tables

  friend auto operator<=>(const UpdateId&, const UpdateId&) = default;
  friend bool operator==(const UpdateId&, const UpdateId&) = default;
};

}  // namespace godwit
