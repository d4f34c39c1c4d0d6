// Goal: a stranger's user name, topic or filter never crashes the hub, and what is taken for a device id obeys its
// rule. The first line of the input is a user name, the second a topic and filter.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "server/hub/topics.hpp"
#include "server/hub/user_name.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view first = text.substr(0, text.find('\n'));
  const std::string_view second = first.size() < text.size() ? text.substr(first.size() + 1) : std::string_view{};
  godwit::IdentityId identity = *godwit::IdentityId::parse("dev1");
  if (const auto name = godwit::hub::parse_user_name(first)) {
    if (!godwit::IdentityId::parse(name->identity.str()) || name->hub.empty() ||
        name->hub.find('/') != std::string::npos)
      std::abort();
    if (name->model_id.size() > 512 || name->api_version.size() > 512) std::abort();
    identity = name->identity;
  }
  const auto topic = godwit::hub::read_topic(second, identity);
  if (topic.request_id.size() > 256) std::abort();
  if (topic.request == godwit::hub::Request::twin_get &&
      second.find("$rid=" + topic.request_id) == std::string_view::npos)
    std::abort();
  if (godwit::hub::read_filter(second, identity) && topic.request == godwit::hub::Request::twin_get) std::abort();
  return 0;
}
