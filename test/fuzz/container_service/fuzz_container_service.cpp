// Any text as the properties of a container step: whatever its values are, podman gets options that we chose, then the
// image, then arguments; and what it says of a container is taken or refused.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "podman.hpp"
#include "service_description.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  using namespace godwit::step_container;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  static_cast<void>(parse_inspection(text));
  const auto service = parse_description(text);
  if (!service) {
    GODWIT_CHECK(!service.error().message.empty());
    return 0;
  }
  const auto words = create_words(*service, "0123abcd", "criteria", "token");
  GODWIT_CHECK(is_service_name(service->name) && words.front() == "create");
  GODWIT_CHECK(words.size() > service->arguments.size() + 1);
  const std::size_t image = words.size() - service->arguments.size() - 1;
  GODWIT_CHECK(words[image] == "0123abcd");
  for (std::size_t i = 1; i < image; ++i) {
    GODWIT_CHECK(words[i].starts_with("--") && words[i].find('\0') == std::string::npos);
    for (const std::string_view never : {"--privileged", "--security-opt", "--cap-add", "--pid", "--userns", "--name"})
      GODWIT_CHECK(words[i].substr(0, words[i].find('=')) != never);
  }
  const auto again = parse_words(print_words(words));
  GODWIT_CHECK(again && *again == words);
  return 0;
}
