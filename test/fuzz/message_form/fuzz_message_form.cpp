// Goal: whatever a caller writes as headers or as a document, the message that comes out keeps the hub's limits or is
// refused, and its topic is a topic. The input is `name:value` lines, an empty line, and the rest.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "server/api/iothub/message_form.hpp"

namespace {

void check(const godwit::hub::NewCloudMessage& message) {
  const godwit::hub::CloudMessageLimits limits;
  if (!godwit::hub::check_message(message, limits, godwit::WallTime{})) return;
  const std::string topic = godwit::hub::device_bound_topic(message.id, godwit::hub::print_bag(message.properties));
  if (topic.size() > 0xFFFF || topic.find_first_of(std::string_view("+#\0", 3)) != std::string::npos) std::abort();
  if (message.payload.size() > limits.bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::map<std::string, std::string> headers;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos)
      headers[std::string(line.substr(0, colon))] = std::string(line.substr(colon + 1));
  }
  const IdentityId id = *IdentityId::parse("a+b#");
  if (const auto message = api::iothub::read_message_headers(headers, std::string(rest), id)) check(*message);
  if (const auto document = json::parse_object(rest))
    if (const auto message = api::iothub::read_message_document(*document, id, WallTime{})) check(*message);
  return 0;
}
