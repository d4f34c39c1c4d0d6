// The agent as a whole: builds its parts in order, joins the three threads and turns the loop of the deciding one.
// Call from main(); the calling thread becomes the deciding thread.
#pragma once

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/base/random.hpp"
#include "core/base/service_manager.hpp"
#include "device/agent/agent_config.hpp"
#include "device/agent/link.hpp"
#include "device/agent/payloads.hpp"

namespace godwit::agent {

enum class AgentEnd : std::uint8_t {
  asked,    // by end_fd
  restart,  // an update goes on once the process has been started anew
};

/// Whom the agent answers to.
struct AgentHost {
  int end_fd = -1;                // readable: end
  const ServiceManager& manager;  // hears when the agent is ready, and then that its loop turns
};

/// Runs until `host.end_fd` becomes readable (a signalfd in main). Ending at any time is safe: the journal takes the
/// work up again. Errors: conflict (another agent uses the data folder), io_failed, what the first read of the files
/// says.
[[nodiscard]] Result<AgentEnd> run_agent(const AgentConfig& config, const AgentHost& host, const Clock& clock,
                                         Random& random, Log& log);

/// How the parts are set up from the configuration; also for tests.
[[nodiscard]] LinkSettings link_settings(const AgentConfig& config);
[[nodiscard]] DialSettings dial_settings(const AgentConfig& config);
[[nodiscard]] json::Object downloader_options(const AgentConfig& config);

}  // namespace godwit::agent
