// The journal in words, for `godwit-agent status`. Pure; safe from any thread.
#pragma once

#include <string>

#include "device/agent/record.hpp"

namespace godwit::agent {

[[nodiscard]] std::string status_text(const Record& record, std::size_t reports_waiting);
[[nodiscard]] std::string status_json(const Record& record, std::size_t reports_waiting);

}  // namespace godwit::agent
