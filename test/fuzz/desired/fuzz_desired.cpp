// A goal that an agent reads out of a desired section stays the same when the service writes it there again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/twin/dialect.hpp"
#include "core/twin/twin.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  auto desired =
      json::parse_object(std::string_view(reinterpret_cast<const char*>(data), size), {.bytes = 1 << 16, .depth = 12});
  if (!desired) return 0;
  const auto goal = twin::read_desired(*desired);
  if (!goal || !goal->has_value()) return 0;
  GODWIT_CHECK((*goal)->workflow_id.find('/') == std::string::npos && (*goal)->workflow_id != "..");
  static_cast<void>(twin::desired_patch(**goal, ContractModel::v1, *desired));
  static_cast<void>(twin::ack_patch(**goal, 200, "", 1));
  twin::merge_plain(*desired, twin::desired_patch(**goal, ContractModel::v3, *desired));
  const auto again = twin::read_desired(*desired);
  GODWIT_CHECK(again && again->has_value());
  GODWIT_CHECK(**again == **goal);
  return 0;
}
