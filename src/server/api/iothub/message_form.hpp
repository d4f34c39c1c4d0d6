// How a message for a device is written: as headers beside a body, or as one JSON document.
// Pure; safe from any thread.
#pragma once

#include <map>
#include <string>

#include "core/base/json.hpp"
#include "server/hub/cloud_messages.hpp"

namespace godwit::api::iothub {

/// From `iothub-messageid`, `-correlationid`, `-userid`, `-expiry` (ISO 8601), `-ack`, `iothub-app-{name}`,
/// Content-Type and Content-Encoding; names are lower-cased, as HTTP has it. Errors: invalid_argument.
[[nodiscard]] Result<hub::NewCloudMessage> read_message_headers(const std::map<std::string, std::string>& headers,
                                                                std::string body, const IdentityId& id);

/// {"messageId"?,"correlationId"?,"userId"?,"contentType"?,"contentEncoding"?,"expiryTimeUtc"? or
/// "timeToLiveInSeconds"?,"ack"?,"properties"?, and one of "body" (any JSON), "bodyText" and "bodyBase64"}.
/// Errors: invalid_argument; bad_json.
[[nodiscard]] Result<hub::NewCloudMessage> read_message_document(const json::Object& document, const IdentityId& id,
                                                                 WallTime now);

}  // namespace godwit::api::iothub
