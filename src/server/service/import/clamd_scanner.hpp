// A scan by ClamAV's daemon over its socket (command INSTREAM): nothing of ClamAV runs in this process, and the payload
// needs no path that the daemon may read. Safe from any thread; one connection for each scan.
#pragma once

#include <variant>

#include "core/base/file.hpp"
#include "server/service/import/scanner.hpp"

namespace godwit::service {

struct ClamdAddress {
  std::string socket_path{};  // or
  std::string host{};
  std::string port{};
};
/// "/path/of/socket", "host:port" or "[::1]:port". Errors: invalid_argument.
[[nodiscard]] Result<ClamdAddress> parse_clamd_address(const std::string& text);

class ClamdScanner final : public Scanner {
 public:
  ClamdScanner(ClamdAddress address, Duration time_limit) : address_(std::move(address)), time_limit_(time_limit) {}
  Result<ScanVerdict> scan(int file, ByteCount size, const IsCancelled& is_cancelled) override;

 private:
  ClamdAddress address_;
  Duration time_limit_;
};

/// What clamd's answer to INSTREAM means, without the NUL at its end: "stream: OK", "stream: NAME FOUND",
/// "... ERROR". A file beyond a limit of clamd counts as not scanned. Errors: unavailable.
[[nodiscard]] Result<ScanVerdict> read_clamd_answer(std::string_view answer);

}  // namespace godwit::service
