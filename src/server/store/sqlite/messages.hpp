// Messages for devices and their feedback in SQLite. One connection, one thread.
#pragma once

#include "server/store/message_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteMessages final : public MessageRecords {
 public:
  explicit SqliteMessages(Connection& connection) : connection_(connection) {}
  Result<std::int64_t> append_message(const CloudMessage& message) override;
  Result<std::size_t> count_messages(const IdentityId& id) override;
  Result<std::vector<CloudMessage>> list_messages(const IdentityId& id, std::int64_t after, WallTime now,
                                                  std::size_t limit) override;
  Result<std::optional<CloudMessage>> find_message(std::int64_t sequence) override;
  Result<void> save_deliveries(std::int64_t sequence, std::uint32_t deliveries) override;
  Result<void> remove_message(std::int64_t sequence) override;
  Result<std::vector<CloudMessage>> list_expired(WallTime now, std::size_t limit) override;
  Result<void> append_feedback(const Feedback& feedback, std::size_t keep) override;
  Result<std::vector<Feedback>> list_feedback(std::size_t limit) override;
  Result<void> remove_feedback(std::int64_t sequence) override;

 private:
  Connection& connection_;
};

}  // namespace godwit::store::sqlite
