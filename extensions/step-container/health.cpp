#include "health.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::step_container {

Verdict HealthJudge::look(const Container& container, const std::string& trouble, Duration now) {
  const bool has_restarted = restarts_ && *restarts_ != container.restart_count;
  restarts_ = container.restart_count;
  if (!container.is_running) {
    if (container.has_ended && container.exit_code == 0 && restart_ != "always") return Verdict::healthy;
    trouble_ = fmt::format("the container ended with exit code {}", container.exit_code);
    if (container.has_ended && restart_ == "no") return Verdict::unhealthy;
  } else if (has_restarted) {
    trouble_ = fmt::format("the container restarted, now {} times", container.restart_count);
  } else {
    trouble_ = trouble;
  }
  if (!trouble_.empty()) {
    well_since_.reset();
    return now - begin_ >= health_.time ? Verdict::unhealthy : Verdict::waiting;
  }
  if (!well_since_) well_since_ = now;
  return now - *well_since_ >= health_.steady ? Verdict::healthy : Verdict::waiting;
}

Duration HealthJudge::time_for_a_try(Duration now) const {
  const Duration left = begin_ + health_.time - now;
  return std::clamp<Duration>(left, std::chrono::seconds(1), health_.one_try);
}

}  // namespace godwit::step_container
