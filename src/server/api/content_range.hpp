// Content-Range of an upload: "bytes 0-99/1000". Pure; safe from any thread.
#pragma once

#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace godwit::api {

struct ContentRange {
  ByteCount first = 0;
  ByteCount last = 0;  // inclusive
  ByteCount size = 0;  // of the whole
  [[nodiscard]] ByteCount count() const { return last - first + 1; }
  [[nodiscard]] bool is_end() const { return last + 1 == size; }
};

/// Errors: invalid_argument for anything else, an unknown size, and numbers that contradict each other.
[[nodiscard]] Result<ContentRange> parse_content_range(std::string_view text);

}  // namespace godwit::api
