// Text forms of bytes: base64 (standard and url), hex, percent-encoding; SHA-256; random bytes.
// Pure functions; safe from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit {

using Bytes = std::string;  // raw bytes; std::string keeps the conversions to SQL, HTTP and MQTT free
using ByteCount = std::uint64_t;

[[nodiscard]] std::string base64_encode(std::string_view bytes);     // RFC 4648 section 4, padded
[[nodiscard]] std::string base64url_encode(std::string_view bytes);  // RFC 4648 section 5, no padding
/// Accepts both alphabets, with or without padding (the original service mixes them). Errors: invalid_argument.
[[nodiscard]] Result<Bytes> base64_decode(std::string_view text);

[[nodiscard]] std::string hex_encode(std::string_view bytes);   // lower case
[[nodiscard]] Result<Bytes> hex_decode(std::string_view text);  // either case

/// Everything outside RFC 3986 "unreserved" becomes %XX with upper-case digits.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// Errors: invalid_argument for a broken %-sequence. '+' stays '+'.
[[nodiscard]] Result<std::string> percent_decode(std::string_view text);

/// 32 raw bytes of SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes);
  [[nodiscard]] Bytes finish();  // 32 bytes; the object may not be used afterwards

 private:
  void* context_;
};
[[nodiscard]] Bytes sha256(std::string_view bytes);

[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b);
[[nodiscard]] bool is_valid_utf8(std::string_view text);

/// Cryptographically strong; aborts if the system cannot give any.
[[nodiscard]] Bytes random_bytes(std::size_t count);
/// Random (version 4) GUID in lower case: "6f8b2f1e-0d8b-4c1e-9d6f-1c3a54c0a001".
[[nodiscard]] std::string random_guid();

}  // namespace godwit
