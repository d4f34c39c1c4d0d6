#include "server/service/import/scanner.hpp"

#include <fmt/format.h>

#include "server/service/import/clamd_scanner.hpp"
#include "server/service/import/command_scanner.hpp"

namespace godwit::service {

Result<std::unique_ptr<Scanner>> make_scanner(const ScanSettings& settings) {
  if (settings.kind == "none") return std::unique_ptr<Scanner>{};
  if (settings.kind == "clamd") {
    GODWIT_TRY(auto address, parse_clamd_address(settings.clamd));
    return std::unique_ptr<Scanner>{std::make_unique<ClamdScanner>(std::move(address), settings.time_limit)};
  }
  if (settings.kind != "command")
    return fail(Code::invalid_argument,
                fmt::format("scan.kind is '{}', known are none, clamd and command", settings.kind.substr(0, 64)));
  if (settings.command.empty() || !settings.command.front().starts_with('/'))
    return fail(Code::invalid_argument,
                "scan.command begins with the whole path of a program, e.g. [\"/usr/bin/clamdscan\", "
                "\"--no-summary\", \"-\"]");
  return std::unique_ptr<Scanner>{std::make_unique<CommandScanner>(settings.command, settings.time_limit)};
}

store::FileScan summarize_scans(const std::map<Bytes, store::FileScan>& scans) {
  std::size_t not_scanned = 0;
  std::string first_reason;
  std::string by;
  for (const auto& [sha256, scan] : scans) {
    if (scan.result == kScanSuccess) {
      by = scan.details;
      continue;
    }
    if (not_scanned++ == 0) first_reason = scan.details;
  }
  if (not_scanned == 0) return {.result = std::string(kScanSuccess), .details = by};
  if (not_scanned == scans.size()) return {.result = std::string(kNotScanned), .details = first_reason};
  return {.result = std::string(kNotScanned),
          .details = fmt::format("{} of {} files were not scanned: {}", not_scanned, scans.size(), first_reason)};
}

}  // namespace godwit::service
