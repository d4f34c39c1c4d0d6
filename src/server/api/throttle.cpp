#include "server/api/throttle.hpp"

#include <algorithm>
#include <cmath>

namespace godwit::api {
namespace {

constexpr double kMinuteMs = 60'000;

}  // namespace

ThrottleFamily throttle_family(Method method, std::string_view pattern) {
  if (method == Method::get || method == Method::head || pattern.ends_with("/query")) return ThrottleFamily::reads;
  return pattern.find("/deployments/") != std::string_view::npos ? ThrottleFamily::deployments : ThrottleFamily::writes;
}

std::string_view throttle_family_name(ThrottleFamily family) {
  switch (family) {
    case ThrottleFamily::reads: return "reads";
    case ThrottleFamily::writes: return "writes";
    case ThrottleFamily::deployments: return "changes of deployments";
  }
  return "requests";
}

std::optional<Duration> Throttle::take(const std::string& caller, ThrottleFamily family) {
  const std::int64_t limit = limits_.of(family);
  if (limit == 0) return std::nullopt;
  const Duration now = clock_.monotonic();
  const double full = static_cast<double>(limit);
  if (buckets_.size() >= kMostCallers) forget_full(now);
  const auto [found, is_new] = buckets_.try_emplace({caller, family}, Bucket{.tokens = full, .filled_at = now});
  Bucket& bucket = found->second;
  const double grown = static_cast<double>((now - bucket.filled_at).count()) * full / kMinuteMs;
  bucket.tokens = std::min(full, bucket.tokens + grown);
  bucket.filled_at = now;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return std::nullopt;
  }
  return Duration{static_cast<std::int64_t>(std::ceil((1 - bucket.tokens) * kMinuteMs / full))};
}

/// Who has not asked for a minute is as a caller who never did.
void Throttle::forget_full(Duration now) {
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.filled_at >= std::chrono::minutes(1); });
  if (buckets_.size() >= kMostCallers) buckets_.clear();
}

}  // namespace godwit::api
