#include "server/hub/user_name.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"

namespace godwit::hub {
namespace {

constexpr std::size_t kUserNameLimit = 4096;
constexpr std::size_t kHubLimit = 260;
constexpr std::size_t kParameterLimit = 512;

tl::unexpected<Error> refuse(std::string why) { return fail(Code::unauthorized, "the user name " + std::move(why)); }

struct Halves {
  std::string_view path;
  std::string_view query;
};

/// Ids may hold '?', so the query begins at the first "/?" or, where that is missing, at "?api-version=".
Halves split_query(std::string_view text) {
  if (const auto at = text.find("/?"); at != std::string_view::npos) return {text.substr(0, at), text.substr(at + 2)};
  if (const auto at = text.find("?api-version="); at != std::string_view::npos)
    return {text.substr(0, at), text.substr(at + 1)};
  if (text.ends_with('/')) text.remove_suffix(1);
  return {text, {}};
}

Result<void> read_query(std::string_view query, UserName& out) {
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = part.substr(0, equals);
    std::string* slot = name == "api-version"        ? &out.api_version
                        : name == "model-id"         ? &out.model_id
                        : name == "DeviceClientType" ? &out.client_type
                                                     : nullptr;
    if (slot == nullptr) continue;
    const auto value = percent_decode(part.substr(equals + 1));
    if (!value || !is_valid_utf8(*value)) return refuse("has a broken value of " + std::string(name));
    if (value->size() > kParameterLimit)
      return refuse("has a value of " + std::string(name) + " above " + std::to_string(kParameterLimit) + " bytes");
    if (std::any_of(value->begin(), value->end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }))
      return refuse("has a control character in " + std::string(name));
    *slot = *value;
  }
  return {};
}

Result<std::string> decode_id(std::string_view text) {
  auto decoded = percent_decode(text);
  // An id may hold a '%' of its own that was never encoded: then the text stands for itself.
  return decoded ? decoded : Result<std::string>(std::string(text));
}

}  // namespace

Result<UserName> parse_user_name(std::string_view text) {
  if (text.size() > kUserNameLimit) return refuse("is longer than " + std::to_string(kUserNameLimit) + " bytes");
  const auto first_slash = text.find('/');
  if (first_slash == std::string_view::npos || first_slash == 0 || first_slash > kHubLimit)
    return refuse("does not begin with '<hub>/<device>'");
  const auto [path, query] = split_query(text.substr(first_slash + 1));
  const auto middle = path.find('/');
  GODWIT_TRY(const std::string device_text, decode_id(path.substr(0, middle)));
  const auto device = DeviceId::parse(device_text, "device id");
  if (!device) return refuse("names no usable device: " + device.error().message);
  UserName name{.hub = std::string(text.substr(0, first_slash)), .identity = *device};
  if (middle != std::string_view::npos) {
    GODWIT_TRY(const std::string module_text, decode_id(path.substr(middle + 1)));
    const auto module = ModuleId::parse(module_text, "module id");
    if (!module) return refuse("names no usable module: " + module.error().message);
    name.identity = IdentityId(*device, *module);
  }
  GODWIT_TRY_VOID(read_query(query, name));
  return name;
}

}  // namespace godwit::hub
