#include "server/hub/store_desk.hpp"

#include <algorithm>
#include <utility>

namespace godwit::hub {
namespace {

constexpr std::size_t kThreads = 2;
constexpr std::size_t kWorthSplitting = 16;  // reads; fewer are done sooner by one thread than by waking two
constexpr std::size_t kMostGathered = 256;   // writes; as many are a good commit already

}  // namespace

StoreDesk::StoreDesk(net::Loop& loop, store::Store& store, Duration gather_time)
    : loop_(loop), store_(store), gather_time_(gather_time), gather_timer_(loop.context()), pool_(kThreads) {}

StoreDesk::~StoreDesk() {
  stop_reads();
  wait_for_writes();
}

// ---- writes ------------------------------------------------------------------------------------------------------

void StoreDesk::write(Job job, Then then) {
  hurry();
  submit(std::make_unique<Work>(Work{.job = std::move(job), .then = std::move(then)}));
}

void StoreDesk::write_soon(Job job, Then then) {
  gathered_.push_back(std::make_unique<Work>(Work{.job = std::move(job), .then = std::move(then)}));
  if (gathered_.size() >= kMostGathered) return hurry();
  if (gathered_.size() > 1) return;
  gather_timer_.expires_after(gather_time_);
  gather_timer_.async_wait([this](const net::ErrorCode& ec) {
    if (!ec) hurry();
  });
}

void StoreDesk::hurry() {
  if (gathered_.empty()) return;
  gather_timer_.cancel();
  for (auto& work : std::exchange(gathered_, {})) submit(std::move(work));
}

void StoreDesk::submit(std::unique_ptr<Work> work) {
  {
    const std::lock_guard lock(mutex_);
    ++writes_in_flight_;
  }
  // A plain pointer fits into the functions without memory of their own; the store answers each job exactly once.
  Work* const lent = work.get();
  lent_.emplace(lent, std::move(work));
  store_.submit([lent](store::Records& records) { return lent->job(records); },
                [this, lent](Result<void> outcome) {
                  lent->outcome = std::move(outcome);
                  loop_.post([this, lent] {
                    const auto back = lent_.extract(lent);
                    lent->then(lent->outcome);
                  });
                  const std::lock_guard lock(mutex_);
                  if (--writes_in_flight_ == 0) writes_done_.notify_all();
                });
}

void StoreDesk::wait_for_writes() {
  std::unique_lock lock(mutex_);
  writes_done_.wait(lock, [this] { return writes_in_flight_ == 0; });
}

// ---- reads -------------------------------------------------------------------------------------------------------

void StoreDesk::read(Job job, Then then) {
  reads_.push_back(std::make_unique<Work>(Work{.job = std::move(job), .then = std::move(then)}));
  if (reads_.size() == 1) net::asio::post(loop_.context(), [this] { hand_out_reads(); });
}

void StoreDesk::hand_out_reads() {
  Batch all = std::exchange(reads_, {});
  const std::size_t each = all.size() < kWorthSplitting ? all.size() : (all.size() + kThreads - 1) / kThreads;
  for (std::size_t begin = 0; begin < all.size(); begin += each) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto to = all.begin() + static_cast<std::ptrdiff_t>(std::min(begin + each, all.size()));
    auto batch = std::make_shared<Batch>(std::make_move_iterator(from), std::make_move_iterator(to));
    net::asio::post(pool_, [this, batch] { run_reads(std::move(*batch)); });
  }
}

void StoreDesk::run_reads(Batch batch) {
  std::size_t done = 0;
  const auto outcome = store_.read([&](store::Records& records) -> Result<void> {
    for (const auto& work : batch) {
      work->outcome = work->job(records);
      ++done;
    }
    return {};
  });
  // No snapshot, or a job that threw: it and those behind it get the error.
  if (!outcome)
    for (std::size_t at = done; at < batch.size(); ++at) batch[at]->outcome = outcome;
  loop_.post([this, held = std::make_shared<Batch>(std::move(batch))] { answer(*held); });
}

void StoreDesk::answer(const Batch& batch) {
  for (const auto& work : batch) work->then(work->outcome);
}

void StoreDesk::stop_reads() {
  pool_.stop();
  pool_.join();
}

}  // namespace godwit::hub
