#include "device/agent/link.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "core/trust/sas.hpp"

namespace godwit::agent {
namespace {

constexpr std::size_t kCommandLimit = 64;
constexpr std::size_t kReadAtOnce = 64 * 1024;
constexpr ByteCount kKeyFileLimit = 4096;

/// Writing to a broken connection must be an error, not the end of the process.
void block_pipe_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

Link::Link(LinkSettings settings, Sink sink, const Clock& clock, Random& random, Log& log)
    : settings_(std::move(settings)), sink_(std::move(sink)), clock_(clock), random_(random), log_(log) {}

Link::~Link() { stop(); }

Result<void> Link::start() {
  wake_fd_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_fd_) return tl::unexpected<Error>{error_from_errno("make an event descriptor", errno)};
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
  return {};
}

void Link::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  wake();
  thread_.join();
}

void Link::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_.get(), &one, sizeof one);  // full means: awake already
}

void Link::send_patch(std::uint64_t token, std::string patch) {
  {
    const std::lock_guard lock(mutex_);
    if (commands_.size() >= kCommandLimit) commands_.pop_front();
    commands_.push_back({token, std::move(patch)});
  }
  wake();
}

void Link::check() {
  {
    const std::lock_guard lock(mutex_);
    must_check_ = true;
  }
  wake();
}

bool Link::is_check_wanted() {
  const std::lock_guard lock(mutex_);
  return std::exchange(must_check_, false);
}

void Link::take_commands(HubSession& session) {
  std::deque<Command> commands;
  {
    const std::lock_guard lock(mutex_);
    commands.swap(commands_);
    if (std::exchange(must_check_, false)) session.ask_twin(clock_.monotonic());
  }
  for (const auto& command : commands) session.report(command.token, command.patch, clock_.monotonic());
}

void Link::drop_commands() {
  const std::lock_guard lock(mutex_);
  commands_.clear();
}

bool Link::wait(int fd, short events, Duration until) {
  const auto left = until - clock_.monotonic();
  const int timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
  pollfd watched[2] = {{wake_fd_.get(), POLLIN, 0}, {fd, events, 0}};
  const int ready = ::poll(watched, fd >= 0 ? 2 : 1, timeout);
  if (ready <= 0) return false;
  if (watched[0].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_fd_.get(), &count, sizeof count);
  }
  return fd >= 0 && watched[1].revents != 0;
}

void Link::run(std::stop_token stop) {
  block_pipe_signal();
  std::uint32_t failures = 0;
  while (!stop.stop_requested()) {
    was_online_ = false;
    const auto ended = one_connection(stop);
    const bool was_stable = was_online_ && clock_.monotonic() - online_since_ >= settings_.stable_after;
    if (was_stable || (ended && *ended == Ended::renew)) failures = 0;
    drop_commands();
    if (was_online_) sink_(LinkOffline{ended ? "a new credential is due" : ended.error().message});
    if (ended) continue;
    const Duration pause =
        reconnect_wait(setback_of(ended.error(), was_online_), failures++, settings_.reconnect, random_);
    log_.warning("link.broken", {{"reason", ended.error().message}, {"again_in_ms", pause.count()}});
    const Duration until = clock_.monotonic() + pause;
    while (!stop.stop_requested() && clock_.monotonic() < until && !is_check_wanted()) (void)wait(-1, 0, until);
  }
}

Result<Secret> Link::make_token() const {
  if (settings_.target.certificate.is_set()) return Secret{};
  GODWIT_TRY(const auto text, read_file(settings_.key_file, kKeyFileLimit));
  auto key = base64_decode(trimmed(text));
  if (!key || key->empty())
    return fail(Code::invalid_argument, settings_.key_file.string() + " does not hold a key in base64");
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.now().time_since_epoch());
  const auto lifetime = std::chrono::duration_cast<std::chrono::seconds>(settings_.token_lifetime);
  return Secret(trust::make_sas(settings_.session.hub_name + "/devices/" + settings_.session.device_id, *key,
                                (now + lifetime).count()));
}

Result<Link::Ended> Link::one_connection(const std::stop_token& stop) {
  GODWIT_TRY(const auto token, make_token());
  const Duration begun = clock_.monotonic();
  GODWIT_TRY(auto renewal, plan_renewal(begun));
  GODWIT_TRY(const auto connection, TlsConnection::open(settings_.target));
  GODWIT_TRY_VOID(handshake(*connection, begun + settings_.connect_timeout, stop));
  HubSession session(settings_.session);
  session.start(token, clock_.monotonic());
  auto ended = converse(*connection, session, std::move(renewal), stop);
  connection->close();
  return ended;
}

Result<Link::Renewal> Link::plan_renewal(Duration begun) {
  if (settings_.target.certificate.is_set()) {
    GODWIT_TRY(auto files, fingerprint_of_files(settings_.target.certificate));
    return Renewal{.at = begun + settings_.certificate_check, .anyway_at = Duration::max(), .files = std::move(files)};
  }
  // A little earlier than needed and by chance, so that a fleet that started together does not renew together.
  const auto spread = static_cast<std::uint64_t>(settings_.token_lifetime.count() / 10);
  const Duration at =
      begun + settings_.token_lifetime * 8 / 10 - Duration{static_cast<std::int64_t>(random_.below(spread + 1))};
  return Renewal{.at = at, .anyway_at = at + settings_.token_lifetime / 10};
}

bool Link::is_renewal_due(Renewal& renewal, const HubSession& session, Duration now) const {
  if (!session.is_ready() || now < renewal.at) return false;
  if (renewal.files.empty()) return session.is_quiet() || now >= renewal.anyway_at;
  if (session.is_quiet() && was_renewed(settings_.target.certificate, renewal.files)) return true;
  renewal.at = now + settings_.certificate_check;
  return false;
}

Result<void> Link::handshake(TlsConnection& connection, Duration deadline, const std::stop_token& stop) {
  for (;;) {
    GODWIT_TRY(const bool is_open, connection.proceed());
    if (is_open) return {};
    if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
    if (clock_.monotonic() >= deadline)
      return fail(Code::timed_out, "connect to " + settings_.target.host + ": no answer in time");
    (void)wait(connection.fd(), connection.wanted(), deadline);
  }
}

void Link::deliver(HubSession& session) {
  for (auto& event : session.take_events()) {
    if (const auto* ready = std::get_if<SessionReady>(&event)) {
      was_online_ = true;
      online_since_ = clock_.monotonic();
      log_.info("link.online", {{"hub", settings_.target.host}, {"session_present", ready->session_present}});
      sink_(LinkOnline{});
    }
    if (auto* desired = std::get_if<SessionDesired>(&event)) sink_(std::move(*desired));
    if (const auto* answer = std::get_if<SessionAnswer>(&event)) sink_(*answer);
  }
}

Result<void> Link::move_bytes(TlsConnection& connection, HubSession& session, std::string& pending) {
  std::string input;
  auto got = connection.read(input, kReadAtOnce);
  if (!input.empty()) GODWIT_TRY_VOID(session.receive(input, clock_.monotonic()));
  if (!got) return got;
  GODWIT_TRY_VOID(session.tick(clock_.monotonic()));
  take_commands(session);
  pending += session.take_output();
  while (!pending.empty()) {
    GODWIT_TRY(const auto sent, connection.write(pending));
    if (sent == 0) break;
    pending.erase(0, sent);
  }
  if (pending.empty()) pending.shrink_to_fit();
  return {};
}

Result<Link::Ended> Link::converse(TlsConnection& connection, HubSession& session, Renewal renewal,
                                   const std::stop_token& stop) {
  std::string pending;
  for (;;) {
    auto moved = move_bytes(connection, session, pending);
    deliver(session);
    if (!moved) return tl::unexpected<Error>{std::move(moved).error()};
    const Duration now = clock_.monotonic();
    const bool is_due = is_renewal_due(renewal, session, now);
    if (stop.stop_requested() || is_due) {
      session.finish();
      pending += session.take_output();
      (void)connection.write(pending);
      return stop.stop_requested() ? Ended::stop : Ended::renew;
    }
    if (connection.has_buffered()) continue;
    const Duration renew_check = now < renewal.at ? renewal.at : std::min(renewal.anyway_at, now + Duration{200});
    (void)wait(connection.fd(), connection.wanted(), std::min(session.deadline(), renew_check));
  }
}

}  // namespace godwit::agent
