#include "device_arguments.hpp"

#include <fmt/format.h>

#include "core/base/file.hpp"
#include "core/base/json.hpp"

namespace godwit::step_swupdate_script {

Result<std::vector<std::string>> parse_device_arguments(std::string_view text) {
  GODWIT_TRY(const json::Object object, json::parse_object(text, {.bytes = kDeviceFileLimit, .depth = 4}));
  if (object.size() > kDeviceMembersLimit)
    return fail(Code::too_large, fmt::format("it has more than {} members", kDeviceMembersLimit));
  std::vector<std::string> arguments;
  for (const auto& [key, value] : object) {
    if (!value.is_string()) return fail(Code::invalid_argument, fmt::format("{} is no text", std::string_view(key)));
    arguments.emplace_back(key);
    arguments.emplace_back(value.get_string());
  }
  return arguments;
}

Result<std::string> swu_file_name(std::string_view properties) {
  GODWIT_TRY(const json::Object object, json::parse_object(properties));
  std::string name = json::text_or_nothing(object, "swuFileName").value_or("");
  if (!is_plain_file_name(name)) return fail(Code::invalid_argument, "swuFileName is missing or no plain file name");
  return name;
}

}  // namespace godwit::step_swupdate_script
