#include "core/base/error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace godwit {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::ok: return "ok";
    case Code::cancelled: return "cancelled";
    case Code::timed_out: return "timed_out";
    case Code::unavailable: return "unavailable";
    case Code::unauthorized: return "unauthorized";
    case Code::forbidden: return "forbidden";
    case Code::invalid_argument: return "invalid_argument";
    case Code::not_found: return "not_found";
    case Code::conflict: return "conflict";
    case Code::precondition_failed: return "precondition_failed";
    case Code::too_large: return "too_large";
    case Code::too_many: return "too_many";
    case Code::unsupported: return "unsupported";
    case Code::refused: return "refused";
    case Code::bad_json: return "bad_json";
    case Code::bad_manifest: return "bad_manifest";
    case Code::bad_signature: return "bad_signature";
    case Code::digest_mismatch: return "digest_mismatch";
    case Code::size_mismatch: return "size_mismatch";
    case Code::incompatible: return "incompatible";
    case Code::bad_packet: return "bad_packet";
    case Code::io_failed: return "io_failed";
    case Code::disk_full: return "disk_full";
    case Code::database_failed: return "database_failed";
    case Code::network_failed: return "network_failed";
    case Code::tls_failed: return "tls_failed";
    case Code::crypto_failed: return "crypto_failed";
    case Code::process_failed: return "process_failed";
    case Code::extension_missing: return "extension_missing";
    case Code::extension_refused: return "extension_refused";
    case Code::extension_crashed: return "extension_crashed";
    case Code::extension_contract: return "extension_contract";
    case Code::internal: return "internal";
  }
  return "unknown";
}

Error error_from_errno(std::string_view what, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  std::string message{what};
  message += ": ";
  message += std::generic_category().message(error_number);
  return Error{full ? Code::disk_full : Code::io_failed, std::move(message)};
}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "bug: %s does not hold at %s:%d; ending so that the journal can resume\n", expression, file,
               line);
  std::abort();
}

}  // namespace godwit
