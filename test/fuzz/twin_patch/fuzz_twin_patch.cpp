// Goal: whatever a device sends as its patch, the section that results is within the limits, has a mirror of metadata
// for each member, and applying the same patch twice changes nothing but the version.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/twin/twin.hpp"

namespace {

void check_mirror(const godwit::json::Object& values, const godwit::json::Object& metadata) {
  if (!metadata.contains("$lastUpdated") || metadata.size() != values.size() + 1) std::abort();
  for (const auto& member : values) {
    const auto* mirror = metadata.if_contains(member.key());
    if (mirror == nullptr || !mirror->is_object()) std::abort();
    if (member.value().is_object()) check_mirror(member.value().get_object(), mirror->get_object());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto patch = godwit::json::parse_object(text);
  const godwit::twin::Limits limits{.section_bytes = 2048};
  if (!patch || !godwit::twin::check_patch(*patch, limits)) return 0;
  godwit::twin::Section section;
  const auto start = godwit::json::parse_object(R"({"a":{"b":{"c":1},"d":[1,2]},"e":"f"})");
  if (!godwit::twin::replace(section, *start, godwit::WallTime{}, limits)) std::abort();
  if (!godwit::twin::merge(section, *patch, godwit::WallTime{}, limits)) return 0;
  if (godwit::twin::counted_size(section.values) > limits.section_bytes) std::abort();
  check_mirror(section.values, section.metadata);
  const std::string once = godwit::json::print(section.values);
  if (!godwit::twin::merge(section, *patch, godwit::WallTime{}, limits)) std::abort();
  if (godwit::json::print(section.values) != once || section.version != 4) std::abort();
  return 0;
}
