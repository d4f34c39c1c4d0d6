// Whatever a file of the original agent holds, what is made of it is TOML that this agent's own reader takes or refuses
// with a sentence, never a broken line.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/agent/agent_config.hpp"
#include "device/agent/du_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::agent;
  const auto imported = import_du_config(std::string_view(reinterpret_cast<const char*>(data), size), {});
  if (!imported) {
    GODWIT_CHECK(!imported.error().message.empty());
    return 0;
  }
  AgentConfig config;
  auto keys = config.schema();
  const auto loaded = keys.load_text(imported->toml, "agent.toml");
  GODWIT_CHECK(loaded.has_value());
  return 0;
}
