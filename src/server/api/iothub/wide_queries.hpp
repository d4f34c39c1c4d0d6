// How many queries that may read the whole fleet run at a time. They share the workers with every other request, so a
// few are let in and the next ones are asked to come again. Safe from any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace godwit::api::iothub {

class WideQueries {
 public:
  explicit WideQueries(std::size_t most = 2) : most_(most) {}

  /// A place for as long as it lives; a narrow query needs none.
  class Turn {
   public:
    Turn(WideQueries& queries, bool is_wide)
        : queries_(is_wide ? &queries : nullptr), is_mine_(!is_wide || queries.running_++ < queries.most_) {}
    ~Turn() {
      if (queries_ != nullptr) --queries_->running_;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    [[nodiscard]] bool is_mine() const { return is_mine_; }

   private:
    WideQueries* queries_;
    bool is_mine_;
  };

 private:
  std::size_t most_;
  std::atomic<std::size_t> running_{0};
};

}  // namespace godwit::api::iothub
