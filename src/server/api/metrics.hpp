// What the rim counts, and the text that Prometheus reads (exposition format 0.0.4). docs/reference/metrics.md names
// every figure. Safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/clock.hpp"
#include "server/api/http.hpp"
#include "server/hub/hub.hpp"
#include "server/store/store.hpp"

namespace godwit::api {

/// Writes one figure after another; HELP and TYPE come once for each name.
class MetricText {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string>>;
  enum class Type : std::uint8_t { counter, gauge, histogram };

  void begin(std::string_view name, Type type, std::string_view help);
  void add(double value, const Labels& labels = {});
  /// A histogram of the begun name: `buckets` has one more than `bounds`; not cumulative.
  void add_histogram(const double* bounds, const std::uint64_t* buckets, std::size_t bound_count, double sum);
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void line(std::string_view suffix, const Labels& labels, double value);
  std::string name_;
  std::string text_;
};

class Metrics {
 public:
  static constexpr std::array<double, 10> kBounds{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0};

  /// `pattern`: of the route, "" where none was found.
  void note_request(Method method, std::string_view pattern, int status, Duration took);
  void note_downloaded(ByteCount bytes);
  void note_uploaded(ByteCount bytes);
  void write(MetricText& text) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::tuple<std::string_view, Method, int>, std::uint64_t> requests_;  // patterns outlive the process's rim
  std::array<std::uint64_t, kBounds.size() + 1> durations_{};
  double seconds_ = 0;
  std::uint64_t downloaded_ = 0;
  std::uint64_t uploaded_ = 0;
};

void write_hub(MetricText& text, const hub::Counters& counters);
void write_store(MetricText& text, const store::StoreCounters& counters);
/// Memory, processor time, descriptors, threads: as /proc tells.
void write_process(MetricText& text);

/// GET /metrics.
[[nodiscard]] Result<Reply> get_metrics(const Request& request, Services& services);

}  // namespace godwit::api
