#include "server/api/iothub/message_form.hpp"

#include <array>

#include "core/base/bytes.hpp"

namespace godwit::api::iothub {
namespace {

constexpr std::string_view kPropertyPrefix = "iothub-app-";
constexpr std::size_t kPropertyLimit = 100;
constexpr std::int64_t kLongestLife = 30LL * 24 * 3600;  // seconds; the hub knows the true bound

struct Name {
  std::string_view outside, key;
};
constexpr std::array kHeaders{Name{"iothub-messageid", "mid"}, Name{"iothub-correlationid", "cid"},
                              Name{"iothub-userid", "uid"}, Name{"content-type", "ct"}, Name{"content-encoding", "ce"}};
constexpr std::array kMembers{Name{"messageId", "mid"}, Name{"correlationId", "cid"}, Name{"userId", "uid"},
                              Name{"contentType", "ct"}, Name{"contentEncoding", "ce"}};

[[nodiscard]] Result<store::Acknowledgement> read_ack(std::string_view text) {
  if (text == "none") return store::Acknowledgement::none;
  if (text == "positive") return store::Acknowledgement::positive;
  if (text == "negative") return store::Acknowledgement::negative;
  if (text == "full") return store::Acknowledgement::full;
  return fail(Code::invalid_argument,
              "the wish for an acknowledgement is none of 'none', 'positive', 'negative', 'full'");
}

[[nodiscard]] Result<void> add_property(hub::NewCloudMessage& message, std::string_view name,
                                        std::optional<std::string> value) {
  if (name.empty()) return fail(Code::invalid_argument, "a property has no name");
  if (message.properties.application.size() >= kPropertyLimit)
    return fail(Code::invalid_argument, "there are more than 100 properties");
  message.properties.application.push_back({.key = std::string(name), .value = std::move(value)});
  return {};
}

[[nodiscard]] Result<void> read_properties(hub::NewCloudMessage& message, const json::Object& document) {
  const json::Value* const properties = json::find(document, "properties");
  if (properties == nullptr || properties->is_null()) return {};
  if (!properties->is_object()) return fail(Code::invalid_argument, "properties is not an object");
  for (const auto& member : properties->get_object()) {
    const std::string name(member.key());
    if (!member.value().is_string() && !member.value().is_null())
      return fail(Code::invalid_argument, "property '" + name.substr(0, 64) + "' is neither a text nor null");
    std::optional<std::string> value;
    if (member.value().is_string()) value = std::string(member.value().get_string());
    GODWIT_TRY_VOID(add_property(message, name, std::move(value)));
  }
  return {};
}

[[nodiscard]] Result<void> read_body(hub::NewCloudMessage& message, const json::Object& document) {
  int given = 0;
  if (const json::Value* body = json::find(document, "body")) {
    ++given;
    message.payload = json::print(*body);
    if (message.properties.system_value("ct").empty()) {
      message.properties.set_system("ct", "application/json");
      message.properties.set_system("ce", "utf-8");
    }
  }
  if (document.contains("bodyText")) {
    ++given;
    GODWIT_TRY(message.payload, json::text(document, "bodyText", "bodyText"));
  }
  if (document.contains("bodyBase64")) {
    ++given;
    GODWIT_TRY(const std::string text, json::text(document, "bodyBase64", "bodyBase64"));
    auto bytes = base64_decode(text);
    if (!bytes) return fail(Code::invalid_argument, "bodyBase64 is not base64");
    message.payload = *std::move(bytes);
  }
  if (given > 1) return fail(Code::invalid_argument, "give one of body, bodyText and bodyBase64");
  return {};
}

[[nodiscard]] Result<void> read_expiry(hub::NewCloudMessage& message, const json::Object& document, WallTime now) {
  const bool has_time = document.contains("expiryTimeUtc");
  if (!document.contains("timeToLiveInSeconds")) {
    if (!has_time) return {};
    GODWIT_TRY(const std::string text, json::text(document, "expiryTimeUtc", "expiryTimeUtc"));
    GODWIT_TRY(message.expires, parse_time(text));
    return {};
  }
  if (has_time) return fail(Code::invalid_argument, "give one of expiryTimeUtc and timeToLiveInSeconds");
  GODWIT_TRY(const std::int64_t seconds, json::integer(document, "timeToLiveInSeconds", "timeToLiveInSeconds"));
  if (seconds < 1 || seconds > kLongestLife) return fail(Code::invalid_argument, "timeToLiveInSeconds is out of range");
  message.expires = now + Duration{seconds * 1000};
  return {};
}

}  // namespace

Result<hub::NewCloudMessage> read_message_headers(const std::map<std::string, std::string>& headers, std::string body,
                                                  const IdentityId& id) {
  hub::NewCloudMessage message{.id = id, .payload = std::move(body)};
  for (const Name& name : kHeaders)
    if (const auto found = headers.find(std::string(name.outside)); found != headers.end() && !found->second.empty())
      message.properties.set_system(name.key, found->second);
  if (const auto found = headers.find("iothub-expiry"); found != headers.end()) {
    auto time = parse_time(found->second);
    if (!time) return with_context("iothub-expiry", time.error());
    message.expires = *time;
  }
  if (const auto found = headers.find("iothub-ack"); found != headers.end()) {
    auto ack = read_ack(found->second);
    if (!ack) return with_context("iothub-ack", ack.error());
    message.acknowledgement = *ack;
  }
  for (const auto& [name, value] : headers)
    if (name.starts_with(kPropertyPrefix))
      GODWIT_TRY_VOID(add_property(message, std::string_view(name).substr(kPropertyPrefix.size()), value));
  return message;
}

Result<hub::NewCloudMessage> read_message_document(const json::Object& document, const IdentityId& id, WallTime now) {
  hub::NewCloudMessage message{.id = id};
  for (const Name& name : kMembers)
    if (document.contains(name.outside)) {
      GODWIT_TRY(std::string text, json::text(document, name.outside, name.outside));
      if (!text.empty()) message.properties.set_system(name.key, std::move(text));
    }
  if (document.contains("ack")) {
    GODWIT_TRY(const std::string text, json::text(document, "ack", "ack"));
    GODWIT_TRY(message.acknowledgement, read_ack(text));
  }
  GODWIT_TRY_VOID(read_expiry(message, document, now));
  GODWIT_TRY_VOID(read_properties(message, document));
  GODWIT_TRY_VOID(read_body(message, document));
  return message;
}

}  // namespace godwit::api::iothub
