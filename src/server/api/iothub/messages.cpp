// Cloud-to-device messages: sending one, purging a queue, and what became of messages whose sender asked to be told.
#include "server/api/iothub/message_form.hpp"
#include "server/api/iothub/problems.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/api/services.hpp"

namespace godwit::api::iothub {
namespace {

constexpr std::size_t kFeedbackBatch = 100;

[[nodiscard]] std::string_view end_name(store::MessageEnd end) {
  switch (end) {
    case store::MessageEnd::success: return "Success";
    case store::MessageEnd::expired: return "Expired";
    case store::MessageEnd::delivery_count_exceeded: return "DeliveryCountExceeded";
    case store::MessageEnd::rejected: return "Rejected";
    case store::MessageEnd::purged: return "Purged";
  }
  return "Unknown";
}

[[nodiscard]] json::Object feedback_json(const store::Feedback& feedback) {
  const auto id = IdentityId::parse(feedback.device);
  json::Object record{{"originalMessageId", feedback.message_id},
                      {"description", end_name(feedback.end)},
                      {"statusCode", end_name(feedback.end)},
                      {"deviceGenerationId", feedback.generation},
                      {"deviceId", id ? id->device_text() : std::string_view(feedback.device)},
                      {"enqueuedTimeUtc", format_time_7(feedback.at)}};
  if (id && id->is_module()) record["moduleId"] = id->module_text();
  return record;
}

[[nodiscard]] Result<store::CloudMessage> send(const Request& request, Services& services,
                                               const hub::NewCloudMessage& message) {
  std::optional<store::CloudMessage> sent;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(sent, services.hub.messages->send(records, message));
    return records.access().append_audit(store::AuditEvent{
        .at = services.clock.now(), .actor = request.caller, .action = "message.sent", .subject = message.id.str()});
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return *std::move(sent);
}

[[nodiscard]] Reply full_queue(const Error& error, Services& services) {
  return refuse(kQueueFull, error.message, services.clock.now());
}

}  // namespace

Result<Reply> send_message(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  GODWIT_TRY(const auto message, read_message_headers(request.headers, request.body, id));
  const auto sent = send(request, services, message);
  if (!sent && sent.error().code == Code::too_many) return full_queue(sent.error(), services);
  if (!sent) return tl::unexpected<Error>{sent.error()};
  return Reply::no_content();
}

Result<Reply> send_message_document(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  GODWIT_TRY(const json::Object document, json::parse_object(request.body));
  GODWIT_TRY(const auto message, read_message_document(document, id, services.clock.now()));
  GODWIT_TRY(const auto sent, send(request, services, message));
  json::Object answer{{"deviceId", id.device_text()},
                      {"sequenceNumber", sent.sequence},
                      {"enqueuedTime", format_time(sent.enqueued)},
                      {"expiryTime", format_time(sent.expires)}};
  if (id.is_module()) answer["moduleId"] = id.module_text();
  if (!sent.message_id.empty()) answer["messageId"] = sent.message_id;
  return Reply::json(answer, 201);
}

Result<Reply> purge_messages(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  std::size_t purged = 0;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(purged, services.hub.messages->purge(records, id));
    return records.access().append_audit(store::AuditEvent{
        .at = services.clock.now(), .actor = request.caller, .action = "messages.purged", .subject = id.str()});
  };
  GODWIT_TRY_VOID(services.store.write(job));
  const json::Value module_id = id.is_module() ? json::Value(id.module_text()) : json::Value(nullptr);
  return Reply::json(
      json::Object{{"totalMessagesPurged", purged}, {"deviceId", id.device_text()}, {"moduleId", module_id}});
}

/// The oldest records, again and again until they are completed. The token names the last of them.
Result<Reply> get_feedback(const Request&, Services& services) {
  std::vector<store::Feedback> records_found;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(records_found, records.messages().list_feedback(kFeedbackBatch));
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  if (records_found.empty()) return Reply::no_content();
  json::Array list;
  for (const store::Feedback& one : records_found) list.emplace_back(feedback_json(one));
  Reply reply = Reply::json(std::move(list));
  reply.headers.emplace_back("ETag",
                             "\"" + etag_text(static_cast<std::uint64_t>(records_found.back().sequence)) + "\"");
  return reply;
}

Result<Reply> complete_feedback(const Request& request, Services& services) {
  GODWIT_TRY(const auto token, parse_etag(request.parameter("lockToken")));
  if (!token) return fail(Code::invalid_argument, "give the token that came with the records");
  GODWIT_TRY_VOID(services.store.write(
      [&](store::Records& records) { return records.messages().remove_feedback(static_cast<std::int64_t>(*token)); }));
  return Reply::no_content();
}

}  // namespace godwit::api::iothub
