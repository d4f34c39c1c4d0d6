// Is the new container well? Judged from what was seen of it, look by look. Pure; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "podman.hpp"
#include "service_description.hpp"

namespace godwit::step_container {

enum class Verdict : std::uint8_t { waiting, healthy, unhealthy };

class HealthJudge {
 public:
  /// `now`: monotonic, when the container was started.
  HealthJudge(const ServiceDescription& service, Duration now)
      : health_(service.health), restart_(service.restart), begin_(now) {}

  /// `trouble`: what the health commands said, empty if they succeeded or there are none; it is asked for only when
  /// the container runs. Healthy: it ran without trouble and without a restart for the steady time, or ended with exit
  /// code 0 where it is not always restarted. Unhealthy: it had not become so in its time, or failed and is never
  /// restarted.
  [[nodiscard]] Verdict look(const Container& container, const std::string& trouble, Duration now);

  /// How long a health command may run now.
  [[nodiscard]] Duration time_for_a_try(Duration now) const;
  /// What was wrong at the last look; empty: nothing.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  Health health_;
  std::string restart_;
  Duration begin_;
  std::optional<Duration> well_since_{};
  std::optional<std::int64_t> restarts_{};
  std::string trouble_{};
};

}  // namespace godwit::step_container
