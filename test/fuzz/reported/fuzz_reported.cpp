// Whatever a device reports is read into bounded values, and what was read can be reported and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/twin/dialect.hpp"
#include "core/twin/twin.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  const auto reported =
      json::parse_object(std::string_view(reinterpret_cast<const char*>(data), size), {.bytes = 1 << 16, .depth = 12});
  if (!reported) return 0;
  const twin::ReportedAgent read = twin::read_reported(*reported);
  GODWIT_CHECK(read.identity.has_value() == read.identity_problem.empty());
  if (read.identity) GODWIT_CHECK(twin::read_reported(twin::identity_patch(*read.identity)).identity.has_value());
  if (!read.report) return 0;
  json::Object merged;
  twin::merge_plain(merged, twin::report_patch(*read.report));
  const auto again = twin::read_reported(merged).report;
  GODWIT_CHECK(again && again->state == read.report->state && again->installed_update == read.report->installed_update);
  if (!read.report->result) return 0;
  GODWIT_CHECK(read.report->result->steps.size() <= 32 && read.report->result->extended_codes.size() <= 9);
  GODWIT_CHECK(again->result && again->result->result_code == read.report->result->result_code &&
               again->result->details == read.report->result->details);
  return 0;
}
