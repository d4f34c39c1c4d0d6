// Carries the hub's requests to the store and the answers back to the loop, many at a time: a lookup for each device of
// a returning fleet would otherwise cost two changes of thread, and memory given back on another thread than the one
// that took it makes both wait for each other. All functions are called on the loop's thread; jobs run on the store's
// writer or on the pool, `then` on the loop.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/base/clock.hpp"
#include "server/net/loop.hpp"
#include "server/store/store.hpp"

namespace godwit::hub {

class StoreDesk {
 public:
  using Job = store::Store::Job;
  using Then = std::function<void(const Result<void>& outcome)>;

  /// `gather_time`: how long write_soon() may hold a write back.
  StoreDesk(net::Loop& loop, store::Store& store, Duration gather_time);
  ~StoreDesk();
  StoreDesk(const StoreDesk&) = delete;
  StoreDesk& operator=(const StoreDesk&) = delete;

  /// Runs `job` on the writer, behind every write asked for before.
  void write(Job job, Then then);
  /// The same a little later, together with others: for writes that many devices ask for at once and that nobody waits
  /// for within milliseconds.
  void write_soon(Job job, Then then);
  /// Hands out what write_soon() holds back.
  void hurry();
  /// Runs `job` over a snapshot taken after this call, on the pool, together with the others of this turn of the loop.
  void read(Job job, Then then);

  /// No read is begun any more and none is running; what they found has been posted to the loop. Not on the loop.
  void stop_reads();
  /// Until every write has been answered. Not on the loop.
  void wait_for_writes();

 private:
  struct Work {
    Job job;
    Then then;
    Result<void> outcome{};
  };
  using Batch = std::vector<std::unique_ptr<Work>>;
  void submit(std::unique_ptr<Work> work);
  void hand_out_reads();
  void run_reads(Batch batch);  // pool
  void answer(const Batch& batch);

  net::Loop& loop_;
  store::Store& store_;
  const Duration gather_time_;
  net::asio::steady_timer gather_timer_;
  net::asio::thread_pool pool_;
  Batch gathered_;                                         // writes
  std::unordered_map<Work*, std::unique_ptr<Work>> lent_;  // writes that the store or the loop still has to look at
  Batch reads_;                                            // of this turn
  std::mutex mutex_;                                       // guards the two below
  std::condition_variable writes_done_;
  std::size_t writes_in_flight_ = 0;
};

}  // namespace godwit::hub
