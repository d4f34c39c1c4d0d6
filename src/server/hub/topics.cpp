#include "server/hub/topics.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/bytes.hpp"
#include "core/model/text.hpp"

namespace godwit::hub {
namespace {

constexpr std::string_view kTwinGet = "$iothub/twin/GET/";
constexpr std::string_view kReportedPatch = "$iothub/twin/PATCH/properties/reported/";
constexpr std::string_view kMethodResponse = "$iothub/methods/res/";
constexpr std::size_t kRequestIdLimit = 256;

/// Takes `{prefix}{id}/` off, with the id written plainly or percent-encoded; nullopt for another id.
std::optional<std::string_view> behind(std::string_view topic, std::string_view prefix, std::string_view id) {
  if (!topic.starts_with(prefix)) return std::nullopt;
  topic.remove_prefix(prefix.size());
  const auto slash = topic.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view written = topic.substr(0, slash);
  if (written != id && percent_decode(written).value_or("") != id) return std::nullopt;
  return topic.substr(slash + 1);
}

/// The part behind `devices/{id}/`, for a module behind `devices/{id}/modules/{module}/`.
std::optional<std::string_view> behind_identity(std::string_view topic, const IdentityId& id) {
  const auto rest = behind(topic, "devices/", id.device_text());
  return rest && id.is_module() ? behind(*rest, "modules/", id.module_text()) : rest;
}

/// Reads `?$rid=..&$version=..`; other parameters are passed over.
DeviceTopic with_parameters(Request request, std::string_view bag) {
  DeviceTopic out{.request = request};
  if (!bag.starts_with('?')) return {};
  bag.remove_prefix(1);
  bool has_request_id = false;
  while (!bag.empty()) {
    const std::string_view part = bag.substr(0, bag.find('&'));
    bag.remove_prefix(std::min(part.size() + 1, bag.size()));
    if (part.starts_with("$rid=")) {
      out.request_id = std::string(part.substr(5));
      has_request_id = true;
    } else if (part.starts_with("$version=")) {
      out.version = std::string(part.substr(9));
    }
  }
  if (!has_request_id || out.request_id.size() > kRequestIdLimit) return {};
  return out;
}

DeviceTopic read_method_response(std::string_view rest) {
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return {};
  const std::string_view status = rest.substr(0, slash);
  std::int32_t number = 0;
  const auto [end, problem] = std::from_chars(status.data(), status.data() + status.size(), number);
  if (problem != std::errc{} || end != status.data() + status.size()) return {};
  DeviceTopic topic = with_parameters(Request::method_response, rest.substr(slash + 1));
  topic.status = number;
  return topic;
}

}  // namespace

std::optional<Subscription> read_filter(std::string_view filter, const IdentityId& id) {
  if (filter == "$iothub/twin/res/#") return Subscription::twin_response;
  if (filter == "$iothub/twin/PATCH/properties/desired/#") return Subscription::twin_desired;
  if (filter == "$iothub/methods/POST/#") return Subscription::methods;
  const auto rest = behind_identity(filter, id);
  if (rest == "messages/devicebound/#") return Subscription::device_bound;
  if (id.is_module() && (rest == "#" || rest == "inputs/#")) return Subscription::device_bound;
  return std::nullopt;
}

DeviceTopic read_topic(std::string_view topic, const IdentityId& id) {
  if (topic.starts_with(kTwinGet)) return with_parameters(Request::twin_get, topic.substr(kTwinGet.size()));
  if (topic.starts_with(kReportedPatch))
    return with_parameters(Request::reported_patch, topic.substr(kReportedPatch.size()));
  if (topic.starts_with(kMethodResponse)) return read_method_response(topic.substr(kMethodResponse.size()));
  const auto rest = behind_identity(topic, id);
  constexpr std::string_view kEvents = "messages/events";
  if (rest && (*rest == kEvents || rest->starts_with("messages/events/")))
    return {.request = Request::telemetry, .properties = rest->substr(std::min(rest->size(), kEvents.size() + 1))};
  return {};
}

std::string twin_response_topic(int status, std::string_view request_id, std::optional<std::uint64_t> version) {
  std::string topic = "$iothub/twin/res/" + std::to_string(status) + "/?$rid=";
  topic += request_id;
  if (version) topic += "&$version=" + std::to_string(*version);
  return topic;
}

std::string desired_patch_topic(std::uint64_t version) {
  return "$iothub/twin/PATCH/properties/desired/?$version=" + std::to_string(version);
}

}  // namespace godwit::hub
