// The worker: a thread that carries out one effect after another and tells how each ended.
// start() and request_stop() from the deciding thread; callbacks come on the worker's thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

#include "core/twin/dialect.hpp"
#include "device/agent/record.hpp"

namespace godwit::agent {

struct EffectRequest {
  std::uint64_t epoch = 0;  // 0: nobody waits for the result (tidying after the report)
  Effect effect = Effect::nothing;
  Record record{};
};

/// Carries out one effect; implemented by DeviceEffects, and by fakes.
class EffectRunner {
 public:
  using Progress = std::function<void(const twin::Progress&)>;
  virtual ~EffectRunner() = default;
  /// Blocks. Idempotent: the same request may come again after a cut at any instruction.
  [[nodiscard]] virtual EffectResult run(const EffectRequest& request, std::stop_token stop,
                                         const Progress& progress) = 0;
};

/// Where the executor puts effects; a port so that tests run them in line.
class EffectQueue {
 public:
  virtual ~EffectQueue() = default;
  virtual void start(EffectRequest request) = 0;
  /// Asks the effect that runs now, and those that wait, to end early.
  virtual void request_stop() = 0;
};

class Worker final : public EffectQueue {
 public:
  struct Callbacks {
    std::function<void(std::uint64_t epoch, EffectResult)> ended;
    std::function<void(std::uint64_t epoch, const twin::Progress&)> progressed;
  };
  Worker(EffectRunner& runner, Callbacks callbacks) : runner_(runner), callbacks_(std::move(callbacks)) {}
  ~Worker() override { stop(); }

  void begin();
  /// Ends the thread; what runs is asked to stop first.
  void stop();
  void start(EffectRequest request) override;
  void request_stop() override;

 private:
  struct Job {
    EffectRequest request;
    std::stop_source stop;
  };
  void run(const std::stop_token& ending);

  EffectRunner& runner_;
  Callbacks callbacks_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Job> jobs_;  // the first one runs
  std::jthread thread_;
};

}  // namespace godwit::agent
