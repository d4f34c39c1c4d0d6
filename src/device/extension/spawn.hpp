// Starts the process of one call. Between fork and exec only async-signal-safe calls are made, so the host may have
// threads.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "device/extension/process.hpp"

namespace godwit::extension {

inline constexpr std::size_t kWorkerFrameLimit = 4 * 1024 * 1024;

struct Worker {
  pid_t pid = -1;     // leads its session and process group
  UniqueFd socket{};  // frames
  UniqueFd output{};  // what it prints to stdout and stderr
};

/// `environment`: "NAME=value". The worker dies with the calling thread (PR_SET_PDEATHSIG). Errors: process_failed.
[[nodiscard]] Result<Worker> spawn_worker(const std::vector<std::string>& environment, const Limits& limits);

/// A small, known environment; nothing is inherited but, for a downloader, the proxy settings.
[[nodiscard]] std::vector<std::string> worker_environment(Type type, const std::string& call);

}  // namespace godwit::extension
