// Goal: no bytes of a provisioning service may crash the agent or lead it to a hub that has no usable name, whatever
// their portions and times. The first byte of each portion tells its size and how long the service was silent before.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/model/ids.hpp"
#include "device/agent/provisioning_session.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  agent::RegistrationRequest request;
  request.id_scope = "0ne00000000";
  request.registration_id = "dev-1";
  agent::ProvisioningSession session(request);
  Duration now{1'000'000};
  session.start(Secret("token"), now);
  const Duration last = now + request.whole_limit;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  while (!bytes.empty() && !session.assignment()) {
    const auto control = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    const auto portion = bytes.substr(0, control & 0x7FU);
    bytes.remove_prefix(portion.size());
    if ((control & 0x80U) != 0) now += std::chrono::seconds(20);
    const auto heard = session.receive(portion, now);
    if (!heard || !session.tick(now)) {
      GODWIT_CHECK(!session.assignment());
      GODWIT_CHECK(heard || heard.error().message.size() < 2000);
      return 0;
    }
    GODWIT_CHECK(now < last || session.assignment());  // it does not ask for ever
    GODWIT_CHECK(session.deadline() <= last);
    GODWIT_CHECK(session.take_output().size() < 64 * 1024);
  }
  if (!session.assignment()) return 0;
  GODWIT_CHECK(session.was_answered());
  const auto& [hub, device_id] = *session.assignment();
  GODWIT_CHECK(!hub.empty() && hub.size() <= 255 && hub.find_first_of("/@?# \r\n") == hub.npos);
  GODWIT_CHECK(check_device_id(device_id).empty());
  return 0;
}
