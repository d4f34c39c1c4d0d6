// What this device says of an extension: the options of its registration (extension register --option name=value).
// Header only.
#pragma once

#include <string>
#include <string_view>

#include "core/base/json.hpp"
#include "godwit/author.hpp"

namespace godwit::author {

/// The option of this name; `otherwise` where it is not there, or the host is too old to know options.
inline std::string option(const Host& host, std::string_view name, std::string_view otherwise) {
  const auto options = json::parse_object(host.options_json(), {.bytes = 64 * 1024, .depth = 2});
  auto value = options ? json::text_or_nothing(*options, name) : std::nullopt;
  return value ? *std::move(value) : std::string(otherwise);
}

}  // namespace godwit::author
