#include "core/twin/component.hpp"

#include <utility>

namespace godwit::twin {

json::Object in_component(std::string_view component, std::string_view property, json::Object value) {
  json::Object inner;
  inner["__t"] = "c";  // the marker of a component; nobody adds it for us
  inner[property] = std::move(value);
  json::Object patch;
  patch[component] = std::move(inner);
  return patch;
}

const json::Object* property_of(const json::Object& section, std::string_view component, std::string_view property) {
  const json::Object* inner = json::object_or_null(section, component);
  return inner != nullptr ? json::object_or_null(*inner, property) : nullptr;
}

json::Object acknowledged(json::Object value, int status, std::string_view description, std::uint64_t desired_version) {
  json::Object property;
  property["value"] = std::move(value);
  property["ac"] = status;
  property["ad"] = description;
  property["av"] = desired_version;
  return property;
}

}  // namespace godwit::twin
