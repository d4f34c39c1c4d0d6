// A pool of connections that only read. Safe from any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "server/store/sqlite/sqlite_records.hpp"

namespace godwit::store::sqlite {

class Readers {
 public:
  Readers(Path file, const trust::Sealer& sealer) : file_(std::move(file)), sealer_(sealer) {}
  /// Runs `job` over one snapshot; waits while all connections are taken.
  [[nodiscard]] Result<void> read(const Store::Job& job);

 private:
  static constexpr std::size_t kMost = 16;

  [[nodiscard]] Result<std::unique_ptr<Connection>> take();
  void give_back(std::unique_ptr<Connection> connection);

  Path file_;
  const trust::Sealer& sealer_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::size_t opened_ = 0;
};

}  // namespace godwit::store::sqlite
