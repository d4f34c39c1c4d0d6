// The webhook's HTTP client: libcurl behind api::HttpPost. HTTPS only, no redirects, no proxy from the environment.
// One thread posts; cancel() from any.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/base/file.hpp"
#include "core/base/secret.hpp"
#include "server/api/telemetry/webhook.hpp"

namespace godwit::daemon {

struct PostTarget {
  std::string url;
  Path ca_file{};  // empty: the system's
  Secret token{};  // empty: no Authorization
};

[[nodiscard]] std::unique_ptr<api::HttpPost> make_curl_post(PostTarget target);

}  // namespace godwit::daemon
