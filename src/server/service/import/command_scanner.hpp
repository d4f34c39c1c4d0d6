// A scan by a program of the operator's choice. It gets the payload on its standard input and says by its exit status
// what it found, as clamscan and clamdscan do: 0 nothing, 1 malware (its output names it), else it could not tell.
// Safe from any thread; one process for each scan.
#pragma once

#include "server/service/import/scanner.hpp"

namespace godwit::service {

class CommandScanner final : public Scanner {
 public:
  CommandScanner(std::vector<std::string> command, Duration time_limit)
      : command_(std::move(command)), time_limit_(time_limit) {}
  Result<ScanVerdict> scan(int file, ByteCount size, const IsCancelled& is_cancelled) override;

 private:
  std::vector<std::string> command_;
  Duration time_limit_;
};

}  // namespace godwit::service
