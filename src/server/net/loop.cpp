#include "server/net/loop.hpp"

#include <pthread.h>

#include <future>
#include <utility>

#include "core/base/error.hpp"

namespace godwit::net {

Loop::Loop(std::string name) : name_(name.substr(0, 15)), guard_(asio::make_work_guard(context_)) {}

Loop::~Loop() { stop(); }

void Loop::start() {
  GODWIT_CHECK(!thread_.joinable());
  thread_ = std::thread([this] {
    thread_id_ = std::this_thread::get_id();
    pthread_setname_np(pthread_self(), name_.c_str());
    context_.run();
  });
}

void Loop::stop() {
  GODWIT_CHECK(!is_current());
  if (!thread_.joinable()) return;
  context_.stop();
  thread_.join();
  thread_id_ = std::thread::id{};
}

void Loop::post(std::function<void()> work) {
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    is_first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (is_first) asio::post(context_, [this] { run_posted(); });
}

void Loop::run_posted() {
  std::vector<std::function<void()>> all;
  {
    const std::lock_guard lock(mutex_);
    all.swap(posted_);
  }
  for (auto& work : all) {
    work();
    work = nullptr;  // what it holds ends in order, too
  }
}

void Loop::run_and_wait(const std::function<void()>& work) {
  if (is_current() || !thread_.joinable()) return work();
  std::promise<void> done;
  post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

bool Loop::is_current() const { return thread_id_ == std::this_thread::get_id(); }

}  // namespace godwit::net
