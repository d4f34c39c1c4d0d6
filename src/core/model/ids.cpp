#include "core/model/ids.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/model/text.hpp"

namespace godwit {
namespace {

/// Shared frame: length first, then the first character outside the alphabet is named.
std::string check_ascii(std::string_view text, std::size_t min, std::size_t max, std::string_view specials,
                        std::string_view alphabet) {
  if (text.empty()) return "is empty";
  if (text.size() < min) return fmt::format("has fewer than {} characters", min);
  if (text.size() > max) return fmt::format("has more than {} characters", max);
  const auto bad = std::find_if(text.begin(), text.end(), [&](char c) {
    return !is_ascii_alphanumeric(c) && specials.find(c) == std::string_view::npos;
  });
  if (bad == text.end()) return {};
  return fmt::format("has a character at position {} that is not one of {}", bad - text.begin() + 1, alphabet);
}

}  // namespace

std::string check_device_id(std::string_view text) {
  return check_ascii(text, 1, 128, "-:.+%_#*?!(),=@;$'", "letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '");
}

std::string check_group_id(std::string_view text) {
  if (text == kDefaultGroup) return {};
  if (text == "Uncategorized") return "is a reserved name";
  return check_ascii(text, 1, 200, ".-_~", "letters, digits and . - _ ~");
}

std::string check_deployment_id(std::string_view text) {
  constexpr std::string_view kForbidden = "&^[]{}|<>/\\\"";
  if (text.empty()) return "is empty";
  if (!is_valid_utf8(text)) return "is not valid UTF-8";
  if (count_characters(text) > 73) return "has more than 73 characters";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c >= 'A' && c <= 'Z') return fmt::format("has an upper-case letter at position {}", i + 1);
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      return fmt::format("has a control character at position {}", i + 1);
    if (kForbidden.find(c) != std::string_view::npos)
      return fmt::format("has '{}' at position {}, which is not allowed", c, i + 1);
  }
  return {};
}

std::string check_class_id(std::string_view text) {
  const bool is_hex =
      std::all_of(text.begin(), text.end(), [](char c) { return is_ascii_digit(c) || (c >= 'a' && c <= 'f'); });
  return text.size() == 40 && is_hex ? std::string{} : "is not 40 lower-case hex digits";
}

std::string check_file_id(std::string_view text) {
  if (text == "." || text == "..") return "is a folder name";  // file ids become path segments of URLs and folders
  return check_ascii(text, 1, 64, "._-", "letters, digits and . _ -");
}

std::string check_instance_id(std::string_view text) { return check_ascii(text, 3, 36, "-", "letters, digits and -"); }

Result<IdentityId> IdentityId::parse(std::string_view text, std::string_view what) {
  const auto slash = text.find('/');
  GODWIT_TRY(const DeviceId device, DeviceId::parse(text.substr(0, slash), what));
  if (slash == std::string_view::npos) return IdentityId(device);
  GODWIT_TRY(const ModuleId module, ModuleId::parse(text.substr(slash + 1), what));
  return IdentityId(device, module);
}

DeviceId IdentityId::device() const {
  auto device = DeviceId::parse(device_text());
  GODWIT_CHECK(device.has_value());  // an identity was made from checked parts
  return *std::move(device);
}

}  // namespace godwit
