// What a device without an identity may send: a user name ('u'), a topic ('t'), the body of a registration ('b').
// Whatever is read obeys the rules of its parts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/model/ids.hpp"
#include "server/hub/provisioning/visit.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  using namespace godwit::hub;
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'u') {
    const auto name = parse_provisioning_user_name(rest);
    GODWIT_CHECK(!name || is_provisioning_user_name(rest));
    if (!name) return 0;
    GODWIT_CHECK(check_id_scope(name->id_scope).empty());
    GODWIT_CHECK(check_registration_id(name->registration_id).empty());
    GODWIT_CHECK(check_device_id(name->registration_id).empty());
    mqtt::Connect connect{.client_id = name->registration_id};
    connect.user_name = std::string(rest);
    GODWIT_CHECK(!check_visit(connect, name->id_scope, false, WallTime{}, Duration{}));
    GODWIT_CHECK(check_visit(connect, name->id_scope, true, WallTime{}, Duration{}).has_value());
  } else if (data[0] == 't') {
    const VisitTopic topic = read_visit_topic(rest);
    if (topic.request == VisitTopic::Request::unknown) return 0;
    GODWIT_CHECK(!topic.request_id.empty() && topic.request_id.size() <= 256 && topic.operation_id.size() <= 256);
  } else {
    static_cast<void>(check_registration_request(rest, "dev-1", 64 * 1024));
  }
  return 0;
}
