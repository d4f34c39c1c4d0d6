#include "server/store/sqlite/readers.hpp"

#include <exception>

namespace godwit::store::sqlite {

Result<std::unique_ptr<Connection>> Readers::take() {
  {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [this] { return !idle_.empty() || opened_ < kMost; });
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
    ++opened_;
  }
  auto connection = Connection::open(file_, Connection::Mode::read_only);
  if (!connection) give_back(nullptr);
  return connection;
}

void Readers::give_back(std::unique_ptr<Connection> connection) {
  {
    const std::lock_guard lock(mutex_);
    if (connection)
      idle_.push_back(std::move(connection));
    else
      --opened_;
  }
  freed_.notify_one();
}

Result<void> Readers::read(const Store::Job& job) {
  GODWIT_TRY(auto connection, take());
  auto outcome = connection->run("BEGIN");
  if (outcome) {
    SqliteRecords records(*connection, sealer_);
    try {
      outcome = job(records);
    } catch (const std::exception& thrown) {
      outcome = fail(Code::internal, std::string("a store job threw: ") + thrown.what());
    }
  }
  // A connection that cannot end its snapshot would pin the write-ahead log; it is dropped.
  if (connection->is_in_transaction() && !connection->run("ROLLBACK")) connection.reset();
  give_back(std::move(connection));
  return outcome;
}

}  // namespace godwit::store::sqlite
