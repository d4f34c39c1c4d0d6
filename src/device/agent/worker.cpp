#include "device/agent/worker.hpp"

#include <utility>

namespace godwit::agent {

void Worker::begin() {
  thread_ = std::jthread([this](const std::stop_token& ending) { run(ending); });
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  request_stop();
  thread_.join();
}

void Worker::start(EffectRequest request) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(request), std::stop_source{}});
  }
  changed_.notify_all();
}

void Worker::request_stop() {
  std::deque<std::stop_source> sources;
  {
    const std::lock_guard lock(mutex_);
    for (auto& job : jobs_) sources.push_back(job.stop);
  }
  for (auto& source : sources) source.request_stop();  // callbacks of the stop run here, outside the lock
}

void Worker::run(const std::stop_token& ending) {
  for (;;) {
    EffectRequest request;
    std::stop_token stop;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, ending, [this] { return !jobs_.empty(); });
      if (ending.stop_requested()) return;
      request = jobs_.front().request;
      stop = jobs_.front().stop.get_token();
    }
    const auto progressed = [this, epoch = request.epoch](const twin::Progress& progress) {
      callbacks_.progressed(epoch, progress);
    };
    EffectResult result = runner_.run(request, stop, progressed);
    {
      const std::lock_guard lock(mutex_);
      jobs_.pop_front();
    }
    if (ending.stop_requested()) return;  // cut short by the end of the process: the journal takes it up again
    if (request.epoch != 0) callbacks_.ended(request.epoch, std::move(result));
  }
}

}  // namespace godwit::agent
