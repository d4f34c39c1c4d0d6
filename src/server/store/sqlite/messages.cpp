#include "server/store/sqlite/messages.hpp"

#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kColumns =
    "sequence, device_id, message_id, properties, payload, enqueued, expires, deliveries, acknowledgement";

std::string select_messages(std::string_view rest) {
  return "SELECT " + std::string(kColumns) + " FROM cloud_messages WHERE " + std::string(rest);
}

Result<CloudMessage> read_message(Statement& row) {
  GODWIT_TRY(auto id, IdentityId::parse(row.text_view(1), "stored identity"));
  return CloudMessage{.sequence = row.integer(0),
                      .id = std::move(id),
                      .message_id = row.text(2),
                      .properties = row.text(3),
                      .payload = row.blob(4),
                      .enqueued = row.time(5),
                      .expires = row.time(6),
                      .deliveries = static_cast<std::uint32_t>(row.integer(7)),
                      .acknowledgement = static_cast<Acknowledgement>(row.integer(8))};
}

}  // namespace

Result<std::int64_t> SqliteMessages::append_message(const CloudMessage& message) {
  GODWIT_TRY_VOID(connection_.run(
      "INSERT INTO cloud_messages (device_id, message_id, properties, payload, enqueued, expires, deliveries, "
      "acknowledgement) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      message.id.str(), message.message_id, message.properties, BlobView{message.payload}, message.enqueued,
      message.expires, message.deliveries, static_cast<int>(message.acknowledgement)));
  return connection_.last_row_id();
}

Result<std::size_t> SqliteMessages::count_messages(const IdentityId& id) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT count(*) FROM cloud_messages WHERE device_id = ?"));
  GODWIT_TRY([[maybe_unused]] const bool is_there, row.bind(id.str()).next());
  return static_cast<std::size_t>(row.integer(0));
}

Result<std::vector<CloudMessage>> SqliteMessages::list_messages(const IdentityId& id, std::int64_t after, WallTime now,
                                                                std::size_t limit) {
  static const std::string kSql =
      select_messages("device_id = ? AND sequence > ? AND expires > ? ORDER BY sequence LIMIT ?");
  GODWIT_TRY(auto rows, connection_.prepare(kSql));
  rows.bind(id.str(), after, now, limit);
  return all(rows, read_message);
}

Result<std::optional<CloudMessage>> SqliteMessages::find_message(std::int64_t sequence) {
  static const std::string kSql = select_messages("sequence = ?");
  GODWIT_TRY(auto row, connection_.prepare(kSql));
  GODWIT_TRY(const bool is_there, row.bind(sequence).next());
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto message, read_message(row));
  return message;
}

Result<void> SqliteMessages::save_deliveries(std::int64_t sequence, std::uint32_t deliveries) {
  return connection_.run("UPDATE cloud_messages SET deliveries = ? WHERE sequence = ?", deliveries, sequence);
}

Result<void> SqliteMessages::remove_message(std::int64_t sequence) {
  return connection_.run("DELETE FROM cloud_messages WHERE sequence = ?", sequence);
}

Result<std::vector<CloudMessage>> SqliteMessages::list_expired(WallTime now, std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT sequence, device_id, message_id, '', x'', enqueued, expires, "
                                            "deliveries, acknowledgement FROM cloud_messages WHERE expires <= ? "
                                            "ORDER BY expires LIMIT ?"));
  rows.bind(now, limit);
  return all(rows, read_message);
}

Result<void> SqliteMessages::append_feedback(const Feedback& feedback, std::size_t keep) {
  GODWIT_TRY_VOID(connection_.run(
      "INSERT INTO message_feedback (device, generation, message_id, ended, at) VALUES (?, ?, ?, ?, ?)",
      feedback.device, feedback.generation, feedback.message_id, static_cast<int>(feedback.end), feedback.at));
  return connection_.run("DELETE FROM message_feedback WHERE sequence <= ?",
                         connection_.last_row_id() - static_cast<std::int64_t>(keep));
}

Result<std::vector<Feedback>> SqliteMessages::list_feedback(std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT sequence, device, generation, message_id, ended, at FROM "
                                            "message_feedback ORDER BY sequence LIMIT ?"));
  rows.bind(limit);
  return all(rows, [](Statement& row) -> Result<Feedback> {
    return Feedback{.sequence = row.integer(0),
                    .device = row.text(1),
                    .generation = row.text(2),
                    .message_id = row.text(3),
                    .end = static_cast<MessageEnd>(row.integer(4)),
                    .at = row.time(5)};
  });
}

Result<void> SqliteMessages::remove_feedback(std::int64_t sequence) {
  return connection_.run("DELETE FROM message_feedback WHERE sequence <= ?", sequence);
}

}  // namespace godwit::store::sqlite
