// Goal: no bytes of a hub may crash the device's side of the conversation, whatever their portions and times.
// The first byte of each portion tells its size and how long the hub was silent before.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/agent/hub_session.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  agent::SessionSettings settings;
  settings.hub_name = "hub.example";
  settings.device_id = "dev";
  settings.identity_patch = "{}";
  settings.packet_limit = 64 * 1024;
  agent::HubSession session(settings);
  Duration now{1'000'000};
  session.start(Secret("token"), now);
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::uint64_t token = 1;
  while (!bytes.empty()) {
    const auto control = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    const auto portion = bytes.substr(0, control & 0x7FU);
    bytes.remove_prefix(portion.size());
    if ((control & 0x80U) != 0) now += std::chrono::seconds(20);
    if (!session.receive(portion, now) || !session.tick(now)) return 0;
    if (session.is_ready()) session.report(token++, "{}", now);
    for (const auto& event : session.take_events())
      if (const auto* answer = std::get_if<agent::SessionAnswer>(&event)) GODWIT_CHECK(answer->token < token);
    GODWIT_CHECK(session.take_output().size() < 64 * 1024);
    static_cast<void>(session.deadline());
  }
  return 0;
}
