#include "device/agent/reporter.hpp"

#include <algorithm>

#include "device/agent/backoff.hpp"

namespace godwit::agent {
namespace {

constexpr Duration kProgressPause = std::chrono::seconds(1);
constexpr Duration kWritePause = std::chrono::seconds(10);
constexpr Duration kFirstRefusalPause = std::chrono::seconds(5);
constexpr Duration kLongestRefusalPause = std::chrono::minutes(5);

/// The hub will never take these, however often they come.
bool is_hopeless(int status) { return status == 400 || status == 404 || status == 413; }

}  // namespace

void Reporter::report(const Record& record, bool is_final) {
  unwritten_.reset();
  put(record, is_final);
  send_next();
}

void Reporter::put(const Record& record, bool is_final) {
  OutboxEntry entry;
  entry.workflow_id = record.goal ? record.goal->workflow_id : "";
  entry.attempt = record.attempt;
  entry.is_final = is_final;
  entry.patch = json::print(twin::report_patch(is_final ? report_of_end(record) : report_of_start(record)));
  const auto done = outbox_.put(std::move(entry));
  if (done) return;
  log_.error("report.not_written",
             {{"reason", done.error().message}, {"workflow", record.goal ? record.goal->workflow_id : ""}});
  unwritten_ = Unwritten{record, is_final};
  write_again_at_ = clock_.monotonic() + kWritePause;
}

void Reporter::progress(const twin::Progress& progress) {
  progress_ = progress;
  send_next();
}

void Reporter::acknowledge(std::string patch) {
  acknowledgement_ = std::move(patch);
  send_next();
}

void Reporter::notify(std::string patch) {
  notice_ = std::move(patch);
  send_next();
}

void Reporter::on_online() {
  is_online_ = true;
  under_way_.reset();
  send_next();
}

void Reporter::on_offline() {
  is_online_ = false;
  under_way_.reset();
}

void Reporter::on_answer(std::uint64_t token, int status) {
  if (!under_way_ || under_way_->token != token) return;
  const UnderWay request = *std::move(under_way_);
  under_way_.reset();
  settle(request, status);
  send_next();
}

void Reporter::settle(const UnderWay& request, int status) {
  const bool is_taken = status >= 200 && status < 300;
  if (!is_taken && !is_hopeless(status)) {
    quiet_until_ = clock_.monotonic() + backoff(refusals_++, kFirstRefusalPause, kLongestRefusalPause, random_);
    log_.warning("report.later", {{"status", status}});
    if (request.kind == Kind::acknowledgement && !acknowledgement_) acknowledgement_ = request.patch;
    return;  // a report stays in the outbox, progress comes again by itself
  }
  refusals_ = 0;
  if (!is_taken)
    log_.error(
        "report.refused",
        {{"status", status}, {"remedy", "the hub does not take this report and it is dropped; look at the hub's log"}});
  if (request.kind == Kind::notice && notice_ == request.patch) {
    notice_.reset();
    if (notice_taken_) notice_taken_();
  }
  if (request.kind != Kind::report) return;
  if (auto removed = outbox_.remove(request.number); !removed) {
    // It stays the oldest and goes out again: not at once, the disk needs a while.
    quiet_until_ = clock_.monotonic() + kWritePause;
    log_.error("report.not_removed", {{"reason", removed.error().message}});
  }
}

void Reporter::send_next() {
  if (!is_online_ || under_way_ || clock_.monotonic() < quiet_until_) return;
  if (const auto* entry = outbox_.front()) return send(Kind::report, entry->number, entry->patch);
  if (acknowledgement_) {
    std::string patch = std::move(*acknowledgement_);
    acknowledgement_.reset();
    return send(Kind::acknowledgement, 0, std::move(patch));
  }
  if (notice_) return send(Kind::notice, 0, *notice_);
  if (!progress_ || clock_.monotonic() < next_progress_at_) return;
  next_progress_at_ = clock_.monotonic() + kProgressPause;
  std::string patch = json::print(twin::progress_patch(*progress_));
  progress_.reset();
  send(Kind::progress, 0, std::move(patch));
}

void Reporter::send(Kind kind, std::uint64_t number, std::string patch) {
  const bool is_kept = kind == Kind::acknowledgement || kind == Kind::notice;
  under_way_ = UnderWay{next_token_++, kind, number, is_kept ? patch : std::string{}};
  sender_.send_patch(under_way_->token, std::move(patch));
}

void Reporter::tick() {
  if (unwritten_ && clock_.monotonic() >= write_again_at_) {
    const Unwritten again = *std::move(unwritten_);
    unwritten_.reset();
    put(again.record, again.is_final);
  }
  send_next();
}

std::optional<Duration> Reporter::deadline() const {
  std::optional<Duration> earliest;
  const auto consider = [&earliest](Duration at) { earliest = earliest ? std::min(*earliest, at) : at; };
  if (unwritten_) consider(write_again_at_);
  if (is_online_ && !under_way_) {
    const bool has_now = outbox_.front() != nullptr || acknowledgement_.has_value() || notice_.has_value();
    if (has_now) consider(quiet_until_);
    if (progress_ && !has_now) consider(std::max(quiet_until_, next_progress_at_));
  }
  return earliest;
}

}  // namespace godwit::agent
