// An answer that comes later: a handler of this shape returns at once and no thread waits; whoever holds the responder
// answers, from any thread. Copies stand for the same request, so it fits into a std::function. The first answer
// counts. When the last copy goes without one, the client is told that the request was dropped (500).
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "server/api/http.hpp"

namespace godwit::api {

/// One request that waits for its answer: what the rim and the responders share.
class PendingReply {
 public:
  /// `deliver` is called at most once, on the thread that answers, and must not block. `slot` is kept as long as this.
  PendingReply(std::function<void(Result<Reply>)> deliver, std::shared_ptr<void> slot)
      : deliver_(std::move(deliver)), slot_(std::move(slot)) {}
  ~PendingReply();
  PendingReply(const PendingReply&) = delete;
  PendingReply& operator=(const PendingReply&) = delete;

  bool settle(Result<Reply> reply);
  /// Nobody waits any more: what comes now is dropped.
  void abandon() { is_settled_ = true; }
  [[nodiscard]] bool is_settled() const { return is_settled_; }

 private:
  std::function<void(Result<Reply>)> deliver_;
  std::shared_ptr<void> slot_;
  std::atomic<bool> is_settled_ = false;
};

class Responder {
 public:
  explicit Responder(std::shared_ptr<PendingReply> pending) : pending_(std::move(pending)) {}

  /// Sends `reply`, or the error as the family of the route shows it. False, and no effect, when the request was
  /// answered before, has run out of time, or its client has gone. Returns at once.
  bool answer(Result<Reply> reply) const { return pending_->settle(std::move(reply)); }
  /// False once an answer would have no effect: work for it may stop.
  [[nodiscard]] bool is_wanted() const { return !pending_->is_settled(); }

 private:
  std::shared_ptr<PendingReply> pending_;
};

}  // namespace godwit::api
