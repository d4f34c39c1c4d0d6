// Only an answer that says so in clamd's own words is clean; an infected one names a signature.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/service/import/clamd_scanner.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::service;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto verdict = read_clamd_answer(text);
  if (!verdict) return 0;
  if (verdict->outcome == ScanOutcome::clean) GODWIT_CHECK(text.find("OK") != std::string_view::npos);
  if (verdict->outcome == ScanOutcome::infected) {
    GODWIT_CHECK(text.find("FOUND") != std::string_view::npos);
    GODWIT_CHECK(!verdict->details.empty());
  }
  return 0;
}
