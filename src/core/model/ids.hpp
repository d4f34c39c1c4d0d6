// Ids are distinct types: one exists only if it obeys its rule. A raw std::string id stops at the parser.
// Values; safe from any thread.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit {

/// Each rule returns "" when `text` is fine, else a sentence fragment: "has more than 128 characters".
[[nodiscard]] std::string check_device_id(
    std::string_view text);  // 1..128 ASCII alphanumerics and - : . + % _ # * ? ! ( ) , = @ ; $ '
[[nodiscard]] std::string check_group_id(
    std::string_view text);  // "$default", or 1..200 of letters, digits, . - _ ~ ; not "Uncategorized"
[[nodiscard]] std::string check_deployment_id(
    std::string_view text);  // 1..73, no upper case, none of & ^ [ ] { } | < > / \ " and no control characters
[[nodiscard]] std::string check_class_id(std::string_view text);     // 40 lower-case hex digits
[[nodiscard]] std::string check_file_id(std::string_view text);      // 1..64 of a-z A-Z 0-9 . _ -
[[nodiscard]] std::string check_instance_id(std::string_view text);  // 3..36 letters, digits, '-'

template <std::string (*Check)(std::string_view)>
class Id {
 public:
  /// Errors: invalid_argument: "<what> '<text>' <reason>".
  [[nodiscard]] static Result<Id> parse(std::string_view text, std::string_view what = "id") {
    if (std::string reason = Check(text); !reason.empty())
      return fail(Code::invalid_argument, std::string(what) + " '" + std::string(text.substr(0, 200)) + "' " + reason);
    return Id{std::string(text)};
  }
  [[nodiscard]] const std::string& str() const { return text_; }
  friend auto operator<=>(const Id&, const Id&) = default;
  friend bool operator==(const Id&, const Id&) = default;

 private:
  explicit Id(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

using DeviceId = Id<check_device_id>;
using ModuleId = Id<check_device_id>;
using GroupId = Id<check_group_id>;
using DeploymentId = Id<check_deployment_id>;
using DeviceClassId = Id<check_class_id>;
using FileId = Id<check_file_id>;

/// Whoever connects to the hub and has a twin: a device, or a module of one. As text "device" or "device/module"; that
/// is unambiguous, since no id holds a '/'.
class IdentityId {
 public:
  IdentityId(const DeviceId& device) : text_(device.str()), device_size_(text_.size()) {}  // every device is one
  IdentityId(const DeviceId& device, const ModuleId& module)
      : text_(device.str() + "/" + module.str()), device_size_(device.str().size()) {}
  /// Errors: invalid_argument, as Id::parse.
  [[nodiscard]] static Result<IdentityId> parse(std::string_view text, std::string_view what = "id");

  [[nodiscard]] const std::string& str() const { return text_; }
  [[nodiscard]] bool is_module() const { return device_size_ != text_.size(); }
  [[nodiscard]] std::string_view device_text() const { return std::string_view(text_).substr(0, device_size_); }
  /// "" for a device.
  [[nodiscard]] std::string_view module_text() const {
    return is_module() ? std::string_view(text_).substr(device_size_ + 1) : std::string_view{};
  }
  [[nodiscard]] DeviceId device() const;
  friend auto operator<=>(const IdentityId&, const IdentityId&) = default;
  friend bool operator==(const IdentityId&, const IdentityId&) = default;

 private:
  std::string text_;
  std::size_t device_size_;
};

inline constexpr std::string_view kDefaultGroup = "$default";

}  // namespace godwit
