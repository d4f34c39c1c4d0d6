// Result, Error and Code: how every failure an operator can act on travels.
// A bug of ours is not an Error: it ends the process through GODWIT_CHECK.
// Values only; safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace godwit {

/// Stable numbers: printed, stored and documented (docs/reference/error-codes.md); never reused.
enum class Code : std::uint32_t {
  ok = 0,

  // 1xxx: the caller or the outside world
  cancelled = 1001,
  timed_out = 1002,
  unavailable = 1003,       // a peer is not there now; trying again later may help
  unauthorized = 1004,      // no or wrong credentials
  forbidden = 1005,         // known caller, not allowed
  invalid_argument = 1006,  // a flag, a field or a config value
  not_found = 1007,
  conflict = 1008,  // exists already with other content, or in use
  precondition_failed = 1009,
  too_large = 1010,    // a documented limit was exceeded
  too_many = 1011,     // rate or count limit
  unsupported = 1012,  // a version or kind that this build does not speak
  refused = 1013,      // policy said no

  // 2xxx: content
  bad_json = 2001,
  bad_manifest = 2002,
  bad_signature = 2003,
  digest_mismatch = 2004,
  size_mismatch = 2005,
  incompatible = 2006,
  bad_packet = 2007,

  // 3xxx: the machine we run on
  io_failed = 3001,
  disk_full = 3002,
  database_failed = 3003,
  network_failed = 3004,
  tls_failed = 3005,
  crypto_failed = 3006,
  process_failed = 3007,

  // 4xxx: extensions
  extension_missing = 4001,
  extension_refused = 4002,
  extension_crashed = 4003,
  extension_contract = 4004,

  internal = 9001,
};

/// Stable snake_case name of a code, "unknown" for a number outside the enum.
[[nodiscard]] std::string_view code_name(Code code);

/// A failure an operator can act on. `message` is one sentence without a full stop.
struct Error {
  Code code{};
  std::string message;
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

[[nodiscard]] inline tl::unexpected<Error> fail(Code code, std::string message) {
  return tl::unexpected<Error>{Error{code, std::move(message)}};
}

/// Prefixes the story: `with_context("write side B", e)` gives "write side B: no space left".
[[nodiscard]] inline tl::unexpected<Error> with_context(std::string_view context, Error error) {
  std::string message{context};
  message += ": ";
  message += error.message;
  return tl::unexpected<Error>{Error{error.code, std::move(message)}};
}

/// An Error from errno: "<what>: <strerror>"; ENOSPC/EDQUOT become disk_full, everything else io_failed.
[[nodiscard]] Error error_from_errno(std::string_view what, int error_number);

/// Prints the broken invariant and aborts. Use GODWIT_CHECK.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace godwit

#define GODWIT_CONCAT_IMPL_(a, b) a##b
#define GODWIT_CONCAT(a, b) GODWIT_CONCAT_IMPL_(a, b)

/// GODWIT_TRY(const auto image, open_image(path));   -- binds the value, or returns the error to the caller.
#define GODWIT_TRY(decl, expr) GODWIT_TRY_IMPL_(GODWIT_CONCAT(godwit_try_, __LINE__), decl, expr)
#define GODWIT_TRY_IMPL_(tmp, decl, expr)                                   \
  auto tmp = (expr);                                                        \
  if (!tmp) return tl::unexpected<::godwit::Error>{std::move(tmp).error()}; \
  decl = *std::move(tmp)

/// GODWIT_TRY_VOID(sync(fd));   -- the same for Result<void>.
#define GODWIT_TRY_VOID(expr)                                                     \
  do {                                                                            \
    if (auto godwit_try_void = (expr); !godwit_try_void)                          \
      return tl::unexpected<::godwit::Error>{std::move(godwit_try_void).error()}; \
  } while (false)

/// A broken invariant is a bug of ours: log, abort; the supervisor restarts and the journal resumes.
#define GODWIT_CHECK(condition) ((condition) ? void(0) : ::godwit::check_failed(#condition, __FILE__, __LINE__))
