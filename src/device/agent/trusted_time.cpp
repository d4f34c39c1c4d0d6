#include "device/agent/trusted_time.hpp"

#include <algorithm>

#include "core/base/json.hpp"

namespace godwit::agent {
namespace {

constexpr ByteCount kFileLimit = 4096;
constexpr Duration kWorthKeeping = std::chrono::hours(1);  // a flash chip bears one small write an hour
constexpr Duration kJump = std::chrono::minutes(1);        // clock and monotonic time drift apart by less than this

}  // namespace

WallTime TrustedTime::build_time() { return from_unix_ms(std::int64_t{GODWIT_BUILD_DAY} * 24 * 3600 * 1000); }

TrustedTime::TrustedTime(Path file, const Clock& clock, Log& log)
    : file_(std::move(file)), clock_(clock), log_(log), floor_(build_time()), kept_floor_{} {
  load();
  if (is_clock_behind())
    log_.warning("clock.behind", {{"says", format_time(clock_.now())},
                                  {"not_before", format_time(floor_)},
                                  {"remedy", "set the clock; until then tokens and certificates go by the later one"}});
}

void TrustedTime::load() {
  if (file_.empty()) return;
  const auto text = read_file(file_, kFileLimit);
  if (!text && text.error().code == Code::not_found) return;
  const auto document = text ? json::parse_object(*text, {.bytes = kFileLimit, .depth = 4})
                             : Result<json::Object>{tl::unexpected<Error>{text.error()}};
  const auto written = document ? json::text_or_nothing(*document, "notBefore") : std::nullopt;
  const auto time = written ? parse_time(*written) : Result<WallTime>{fail(Code::bad_json, "no time")};
  if (!time) return log_.warning("clock.forgotten", {{"file", file_.string()}, {"reason", "it is not readable"}});
  kept_floor_ = *time;
  floor_ = std::max(floor_, *time);
}

std::optional<WallTime> TrustedTime::by_anchor() const {
  if (!anchor_) return std::nullopt;
  const Duration passed = clock_.monotonic() - anchor_->monotonic;
  const Duration by_clock = clock_.now() - anchor_->clock;
  // Somebody set the clock, or the device slept: what the server said can no longer be carried on.
  if (by_clock > passed + kJump || by_clock < passed - kJump) return std::nullopt;
  return anchor_->server + passed;
}

WallTime TrustedTime::now() const { return std::max(floor_, by_anchor().value_or(clock_.now())); }

void TrustedTime::raise(WallTime to) {
  if (to <= floor_) return;
  floor_ = to;
  if (file_.empty() || floor_ - kept_floor_ < kWorthKeeping) return;
  const std::string text = json::print(json::Object{{"version", 1}, {"notBefore", format_time(floor_)}}) + "\n";
  if (const auto written = write_file_durably(file_, text); !written)
    return log_.warning("clock.not_kept", {{"reason", written.error().message}});
  kept_floor_ = floor_;
}

void TrustedTime::learn_floor(WallTime not_before) { raise(not_before); }

void TrustedTime::learn_now(WallTime date, WallTime not_before, WallTime not_after) {
  if (date < not_before || date > not_after) return;
  anchor_ = Anchor{.server = date, .clock = clock_.now(), .monotonic = clock_.monotonic()};
  raise(date);
}

}  // namespace godwit::agent
