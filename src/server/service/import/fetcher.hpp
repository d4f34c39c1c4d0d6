// Fetches a URL of an import into a sink, within limits. The interface is the importer's; libcurl is behind it.
// Safe from any thread; a fetch blocks its caller.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"

namespace godwit::service {

class Fetcher {
 public:
  /// An error stops the fetch and becomes its outcome.
  using Sink = std::function<Result<void>(std::string_view bytes)>;
  /// Asked about once a second; true stops the fetch with Code::cancelled.
  using IsCancelled = std::function<bool()>;

  virtual ~Fetcher() = default;
  /// Errors: invalid_argument (URL), refused (address, protocol), not_found (HTTP 404, 410), unavailable (other
  /// statuses, no connection), too_large (more than `expected` bytes), size_mismatch (fewer), timed_out, cancelled.
  /// Messages hold no query: it may carry a key.
  [[nodiscard]] virtual Result<void> fetch(const std::string& url, ByteCount expected, const Sink& sink,
                                           const IsCancelled& is_cancelled) = 0;
};

struct FetchLimits {
  bool allow_private_addresses = false;  // config import.allow_private_addresses
  std::string ca_file{};                 // "" = the system's
  Duration connect_time = std::chrono::seconds(20);
  Duration whole_time = std::chrono::hours(2);
  std::int64_t slow_bytes_per_second = 1024;  // slower than this for slow_time ends it
  Duration slow_time = std::chrono::seconds(60);
  long redirects = 5;
  std::function<bool(const sockaddr&)> is_allowed{};  // instead of is_public_address()
};

class CurlFetcher final : public Fetcher {
 public:
  explicit CurlFetcher(FetchLimits limits);
  Result<void> fetch(const std::string& url, ByteCount expected, const Sink& sink,
                     const IsCancelled& is_cancelled) override;

 private:
  FetchLimits limits_;
};

/// The URL without user, password, query and fragment: what may be logged.
[[nodiscard]] std::string printable_url(std::string_view url);

}  // namespace godwit::service
