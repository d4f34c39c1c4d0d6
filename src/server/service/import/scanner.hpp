// Looks for malware in the payloads of an import. The interface is the importer's; behind it are clamd, or a command.
// A scanner answers for what it has read whole: what it could not scan is never called clean. Safe from any thread; a
// scan blocks its caller.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "server/store/catalog_records.hpp"

namespace godwit::service {

enum class ScanOutcome : std::uint8_t { clean, infected, not_scanned };

struct ScanVerdict {
  ScanOutcome outcome = ScanOutcome::not_scanned;
  std::string details{};  // clean: who says so; infected: the signature; not scanned: why
};

class Scanner {
 public:
  /// Asked about once a second; true stops the scan with Code::cancelled.
  using IsCancelled = std::function<bool()>;

  virtual ~Scanner() = default;
  /// Reads `file` from its start, `size` bytes. Errors: unavailable (no scanner there, or its answer makes no sense),
  /// timed_out, cancelled.
  [[nodiscard]] virtual Result<ScanVerdict> scan(int file, ByteCount size, const IsCancelled& is_cancelled) = 0;
};

struct ScanSettings {
  std::string kind = "none";                       // "none", "clamd", "command"
  std::string clamd = "/run/clamav/clamd.ctl";     // path of its socket, or host:port
  std::vector<std::string> command{};              // gets the payload on stdin
  Duration time_limit = std::chrono::minutes(10);  // for one file
};

/// Null for "none". Errors: invalid_argument (kind, address, command).
[[nodiscard]] Result<std::unique_ptr<Scanner>> make_scanner(const ScanSettings& settings);

inline constexpr std::string_view kScanSuccess = "Success";
inline constexpr std::string_view kNotScanned = "NotScanned";

/// What an update shows for all its files together: "Success" only when each of them is.
[[nodiscard]] store::FileScan summarize_scans(const std::map<Bytes, store::FileScan>& scans);

}  // namespace godwit::service
