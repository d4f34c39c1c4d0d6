// Which bytes of a file a download asks for (RFC 9110 sections 13 and 14). Pure functions; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"

namespace godwit::api {

/// What the conditional headers of a GET or HEAD say about a file of `size` bytes with the strong tag `etag` (quoted).
struct Selection {
  int status = 200;  // 200 whole, 206 part, 304 nothing new, 416 no such bytes
  ByteCount first = 0;
  ByteCount count = 0;  // bytes of body (of a GET)

  /// "bytes 0-99/1000", for 206 and 416.
  [[nodiscard]] std::string content_range(ByteCount size) const;
};

struct Conditions {
  std::optional<std::string> range{};
  std::optional<std::string> if_range{};
  std::optional<std::string> if_none_match{};
};

/// One range of any form is served; several ranges, an unknown unit or a malformed value give the whole file, as the
/// RFC allows.
[[nodiscard]] Selection select_bytes(const Conditions& conditions, ByteCount size, std::string_view etag);

/// True if the list `value` ("*", or tags with or without W/) names `etag` by weak comparison.
[[nodiscard]] bool names_etag(std::string_view value, std::string_view etag);

}  // namespace godwit::api
