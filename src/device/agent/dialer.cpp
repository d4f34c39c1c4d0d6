#include "device/agent/dialer.hpp"

#include <poll.h>

#include "core/base/json.hpp"
#include "device/agent/http_answer.hpp"
#include "device/agent/http_date.hpp"

namespace godwit::agent {
namespace {

constexpr ByteCount kMemoryLimit = 4096;
constexpr Duration kTimePatience = std::chrono::seconds(10);
constexpr Duration kUncertainty = std::chrono::hours(365 * 24);
constexpr Duration kTimeAgain = std::chrono::hours(1);  // a device that is refused costs its hub enough

std::optional<Way> remembered_way(const Path& file) {
  if (file.empty()) return std::nullopt;
  const auto text = read_file(file, kMemoryLimit);
  if (!text) return std::nullopt;
  const auto document = json::parse_object(*text, {.bytes = kMemoryLimit, .depth = 4});
  const auto name = document ? json::text_or_nothing(*document, "transport") : std::nullopt;
  for (const Way way : {Way::mqtt, Way::websocket})
    if (name && *name == name_of(way)) return way;
  return std::nullopt;
}

}  // namespace

Dialer::Dialer(DialSettings settings, const Clock& clock, const Wakeable& waiter, Log& log)
    : settings_(std::move(settings)),
      clock_(clock),
      waiter_(waiter),
      log_(log),
      choice_(settings_.fixed, remembered_way(settings_.memory_file)),
      time_(settings_.time_file, clock, log) {}

Result<TlsTarget> Dialer::prepared(TlsTarget target) const {
  GODWIT_TRY(target.proxy, proxy_for(settings_.proxy, target.host));
  if (time_.is_clock_behind()) target.judge_at = time_.now();
  return target;
}

template <class Connection>
Result<void> Dialer::proceed(Connection& connection, const std::string& host, const std::stop_token& stop) {
  const Duration until = clock_.monotonic() + settings_.connect_timeout;
  for (;;) {
    GODWIT_TRY(const bool is_open, connection.proceed());
    if (is_open) return {};
    if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
    if (clock_.monotonic() >= until) return fail(Code::timed_out, "connect to " + host + ": no answer in time");
    (void)waiter_.wait(connection.fd(), connection.wanted(), until);
  }
}

Result<std::unique_ptr<HubConnection>> Dialer::dial(TlsTarget target, Way way, const std::stop_token& stop) {
  if (way == Way::websocket) target.port = settings_.websocket_port;
  GODWIT_TRY(const auto prepared_target, prepared(std::move(target)));
  GODWIT_TRY(auto connection, HubConnection::open(prepared_target, way));
  GODWIT_TRY_VOID(proceed(*connection, prepared_target.host + ":" + prepared_target.port, stop));
  learn(connection->tls(), connection->date());
  return connection;
}

std::int64_t Dialer::token_expiry(Duration lifetime) const {
  const auto expiry = time_.now() + lifetime + (time_.is_guess() ? kUncertainty : Duration{0});
  return std::chrono::floor<std::chrono::seconds>(expiry).time_since_epoch().count();
}

void Dialer::learn(const TlsConnection& connection, std::optional<WallTime> date) {
  const auto validity = connection.peer_validity();
  if (!validity) return;
  time_.learn_floor(validity->not_before);
  if (date) time_.learn_now(*date, validity->not_before, validity->not_after);
}

void Dialer::answered(Way way) {
  was_answered_ = true;
  if (!choice_.worked(way)) return;
  log_.info("link.transport", {{"works", name_of(way)}});
  if (settings_.memory_file.empty()) return;
  const std::string text = json::print(json::Object{{"version", 1}, {"transport", std::string(name_of(way))}}) + "\n";
  if (const auto written = write_file_durably(settings_.memory_file, text); !written)
    log_.warning("link.transport_not_kept", {{"reason", written.error().message}});
}

Result<std::string> Dialer::fetch_head(TlsConnection& connection, const std::string& request, Duration until,
                                       const std::stop_token& stop) {
  std::string_view left = request;
  std::string head;
  for (;;) {
    GODWIT_TRY(const auto sent, connection.write(left));
    left.remove_prefix(sent);
    auto got = connection.read(head, kHttpHeadLimit);
    const auto end = head.find("\r\n\r\n");
    if (end != std::string::npos) return head.substr(0, end + 4);
    GODWIT_TRY_VOID(std::move(got));
    if (head.size() >= kHttpHeadLimit) return fail(Code::too_large, "the answer has no end");
    if (stop.stop_requested() || clock_.monotonic() >= until) return fail(Code::timed_out, "no answer in time");
    (void)waiter_.wait(connection.fd(), connection.wanted(), until);
  }
}

void Dialer::ask_time(TlsTarget target, const std::stop_token& stop) {
  const Duration now = clock_.monotonic();
  if (time_asked_at_ && now < *time_asked_at_ + kTimeAgain) return;
  time_asked_at_ = now;
  target.port = settings_.websocket_port;
  target.certificate = {};  // nothing is asked for that needs it
  const auto asked = [&]() -> Result<WallTime> {
    GODWIT_TRY(const auto prepared_target, prepared(target));
    GODWIT_TRY(const auto connection, TlsConnection::open(prepared_target));
    GODWIT_TRY_VOID(proceed(*connection, target.host + ":" + target.port, stop));
    GODWIT_TRY(const auto head,
               fetch_head(*connection, "GET / HTTP/1.1\r\nHost: " + target.host + "\r\nConnection: close\r\n\r\n",
                          clock_.monotonic() + kTimePatience, stop));
    GODWIT_TRY(const auto answer, parse_http_answer(head));
    const auto date = parse_http_date(answer.field("date"));
    if (!date) return fail(Code::bad_packet, "the answer has no date");
    learn(*connection, date);
    return *date;
  }();
  if (!asked) return log_.debug("clock.not_told", {{"reason", asked.error().message}});
  const auto off = std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - *asked).count();
  if (off < -60 || off > 60)
    log_.warning("clock.off", {{"server_says", format_time(*asked)}, {"clock_is_ahead_by_s", off}});
}

}  // namespace godwit::agent
