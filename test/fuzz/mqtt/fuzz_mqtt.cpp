// Goal: no bytes of a stranger may crash the packet decoder, and what it accepts must be what it would write:
// decode, encode and decode again end in the same bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/mqtt/packets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  while (!bytes.empty()) {
    const auto first = godwit::mqtt::decode(bytes, 64 * 1024);
    if (!first || !*first) return 0;
    if ((*first)->used == 0 || (*first)->used > bytes.size()) std::abort();
    bytes.remove_prefix((*first)->used);
    const auto* connect = std::get_if<godwit::mqtt::Connect>(&(*first)->packet);
    if (connect != nullptr && (connect->protocol_level != 4 || connect->protocol_name != "MQTT"))
      continue;  // its rest was not read
    const std::string again = godwit::mqtt::encode((*first)->packet);
    const auto second = godwit::mqtt::decode(again, 64 * 1024);
    if (!second || !*second || (*second)->used != again.size()) std::abort();
    if (godwit::mqtt::encode((*second)->packet) != again) std::abort();
    if (const auto* publish = std::get_if<godwit::mqtt::Publish>(&(*first)->packet);
        publish != nullptr && publish->topic.size() < 200)
      if (!godwit::mqtt::topic_matches("#", publish->topic) && publish->topic.front() != '$') std::abort();
  }
  return 0;
}
