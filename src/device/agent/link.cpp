#include "device/agent/link.hpp"

#include <pthread.h>
#include <signal.h>

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
constexpr Duration kNoticeAgain = std::chrono::hours(24);

/// Writing to a broken connection must be an error, not the end of the process.
void block_pipe_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

Link::Link(LinkSettings settings, Sink sink, const Clock& clock, Random& random, Log& log)
    : settings_(std::move(settings)),
      sink_(std::move(sink)),
      clock_(clock),
      random_(random),
      log_(log),
      waiter_(clock) {}

Link::~Link() { stop(); }

Result<void> Link::start() {
  GODWIT_TRY_VOID(waiter_.open());
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
  return {};
}

void Link::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  waiter_.wake();
  thread_.join();
}

void Link::send_patch(std::uint64_t token, std::string patch) {
  {
    const std::lock_guard lock(mutex_);
    if (commands_.size() >= kCommandLimit) commands_.pop_front();
    commands_.push_back({token, std::move(patch)});
  }
  waiter_.wake();
}

void Link::check() {
  {
    const std::lock_guard lock(mutex_);
    must_check_ = true;
  }
  waiter_.wake();
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

void Link::run(std::stop_token stop) {
  block_pipe_signal();
  dialer_.emplace(settings_.dial, clock_, waiter_, log_);
  if (settings_.provisioning) provisioner_.emplace(*settings_.provisioning, *dialer_, clock_, waiter_, log_);
  std::uint32_t failures = 0;
  while (!stop.stop_requested()) {
    was_online_ = false;
    const auto ended = one_try(stop);
    const bool was_stable = was_online_ && clock_.monotonic() - online_since_ >= settings_.stable_after;
    if (was_stable || (ended && *ended == Ended::renew)) failures = 0;
    drop_commands();
    if (was_online_) sink_(LinkOffline{ended ? "a new credential is due" : ended.error().message});
    if (ended && *ended == Ended::renew && settings_.target.certificate.is_set())
      log_.info("link.certificate_renewed", {{"certificate", settings_.target.certificate.chain_file.string()}});
    if (ended) continue;
    after_failure(ended.error(), failures++, stop);
  }
}

Result<Link::Ended> Link::one_try(const std::stop_token& stop) {
  if (settings_.target.certificate.is_set())
    tried_files_ = fingerprint_of_files(settings_.target.certificate).value_or("");
  if (provisioner_) {
    GODWIT_TRY(const auto assignment, provisioner_->find(stop));
    belong_to(assignment);
  }
  return dialer_->reach([&](Way way) { return one_connection(way, stop); });
}

void Link::belong_to(const Assignment& assignment) {
  // A hub on another port than the usual one says so behind its name, and is then called by both.
  const auto colon = assignment.hub.rfind(':');
  const bool has_port = colon != std::string::npos && assignment.hub.find(']', colon) == std::string::npos;
  settings_.target.host = assignment.hub.substr(0, has_port ? colon : std::string::npos);
  if (has_port) settings_.target.port = assignment.hub.substr(colon + 1);
  if (settings_.target.host.starts_with('[') && settings_.target.host.ends_with(']'))
    settings_.target.host = settings_.target.host.substr(1, settings_.target.host.size() - 2);
  settings_.target.tls_name = settings_.target.host;
  settings_.session.hub_name = assignment.hub;
  settings_.session.device_id = assignment.device_id;
  settings_.key_file = provisioner_->key_file();
}

void Link::after_failure(const Error& error, std::uint32_t failures, const std::stop_token& stop) {
  const Duration pause = reconnect_wait(setback_of(error, was_online_), failures, settings_.reconnect, random_);
  log_.warning("link.broken", {{"reason", error.message + words_of_end()}, {"again_in_ms", pause.count()}});
  const Duration until = clock_.monotonic() + pause;
  if (error.code == Code::unauthorized && provisioner_) provisioner_->doubt();
  // A token is also refused when the clock it was made by is wrong, and that can be found out.
  if (error.code == Code::unauthorized && !settings_.target.certificate.is_set())
    dialer_->ask_time(settings_.target, stop);
  pause_until(until, stop);
}

void Link::pause_until(Duration until, const std::stop_token& stop) {
  const ClientCertificate& certificate = settings_.target.certificate;
  while (!stop.stop_requested() && clock_.monotonic() < until && !is_check_wanted()) {
    if (!certificate.is_set()) {
      (void)waiter_.wait(-1, 0, until);
      continue;
    }
    (void)waiter_.wait(-1, 0, std::min(until, clock_.monotonic() + settings_.certificate_check));
    if (!was_renewed(certificate, tried_files_)) continue;
    log_.info("link.certificate_renewed", {{"certificate", certificate.chain_file.string()}});
    return;
  }
}

std::string Link::words_of_end() const {
  if (!settings_.target.certificate.is_set()) return "";
  const auto life = life_of(settings_.target.certificate);
  if (!life || dialer_->time().now() < life->end) return "";
  return "; by this device's clock its own certificate ended at " + format_time(life->end) +
         ": put a renewed one in place of " + settings_.target.certificate.chain_file.string();
}

Result<Secret> Link::make_token() const {
  if (settings_.target.certificate.is_set()) return Secret{};
  GODWIT_TRY(const auto text, read_file(settings_.key_file, kKeyFileLimit));
  auto key = base64_decode(trimmed(text));
  if (!key || key->empty())
    return fail(Code::invalid_argument, settings_.key_file.string() + " does not hold a key in base64");
  return Secret(trust::make_sas(settings_.session.hub_name + "/devices/" + settings_.session.device_id, *key,
                                dialer_->token_expiry(settings_.token_lifetime)));
}

Result<Link::Ended> Link::one_connection(Way way, const std::stop_token& stop) {
  GODWIT_TRY_VOID(make_token());  // a key that is missing costs no connection
  const Duration begun = clock_.monotonic();
  GODWIT_TRY(auto renewal, plan_renewal(begun));
  GODWIT_TRY(const auto connection, dialer_->dial(settings_.target, way, stop));
  GODWIT_TRY(const auto token, make_token());  // dialling may have told the time
  HubSession session(settings_.session);
  session.start(token, clock_.monotonic());
  auto ended = converse(*connection, way, session, std::move(renewal), stop);
  connection->close();
  return ended;
}

Result<Link::Renewal> Link::plan_renewal(Duration begun) {
  if (settings_.target.certificate.is_set()) {
    GODWIT_TRY(auto files, fingerprint_of_files(settings_.target.certificate));
    Renewal renewal{.at = begun + settings_.certificate_check, .anyway_at = Duration::max(), .files = std::move(files)};
    if (const auto life = life_of(settings_.target.certificate)) renewal.life = *life;
    return renewal;
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
  tell_of_end(renewal, now);
  if (session.is_quiet() && was_renewed(settings_.target.certificate, renewal.files)) return true;
  renewal.at = now + settings_.certificate_check;
  return false;
}

void Link::tell_of_end(Renewal& renewal, Duration now) const {
  if (!renewal.life || now < renewal.notice_at) return;
  const auto left = renewal.life->end - dialer_->time().now();
  if (left > renewal.life->notice()) return;
  log_.warning("link.certificate_ends", {{"at", format_time(renewal.life->end)},
                                         {"hours_left", std::chrono::floor<std::chrono::hours>(left).count()},
                                         {"certificate", settings_.target.certificate.chain_file.string()}});
  renewal.notice_at = now + kNoticeAgain;
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

Result<void> Link::move_bytes(HubConnection& connection, HubSession& session, std::string& pending) {
  GODWIT_TRY_VOID(connection.flush());
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

Result<Link::Ended> Link::converse(HubConnection& connection, Way way, HubSession& session, Renewal renewal,
                                   const std::stop_token& stop) {
  std::string pending;
  for (;;) {
    auto moved = move_bytes(connection, session, pending);
    deliver(session);
    if (session.was_answered()) dialer_->answered(way);
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
    (void)waiter_.wait(connection.fd(), connection.wanted(), std::min(session.deadline(), renew_check));
  }
}

}  // namespace godwit::agent
