// How a twin holds a component and how a device acknowledges a writable property of it (IoT Plug and Play conventions).
// Private to this room; safe from any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/json.hpp"

namespace godwit::twin {

/// A patch of a section with one property of a component.
[[nodiscard]] json::Object in_component(std::string_view component, std::string_view property, json::Object value);
/// null when the section has no such object.
[[nodiscard]] const json::Object* property_of(const json::Object& section, std::string_view component,
                                              std::string_view property);
/// `value` as a device reports it back: status as in HTTP, a sentence, and the version of the desired section.
[[nodiscard]] json::Object acknowledged(json::Object value, int status, std::string_view description,
                                        std::uint64_t desired_version);

}  // namespace godwit::twin
