// Log files in, as a storage container takes them, and out.
#include "core/base/text.hpp"
#include "server/api/text.hpp"
#include "server/api/transfer.hpp"
#include "server/service/diagnostics/log_collections.hpp"

namespace godwit::api {
namespace {

/// A name that comes from a device, as a header may carry it.
[[nodiscard]] std::string disposition_of(std::string_view name) {
  std::string plain;
  for (const char c : name)
    plain.push_back(
        static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E || c == '"' || c == '\\' ? '_'
                                                                                                              : c);
  return "attachment; filename=\"" + plain + "\"; filename*=UTF-8''" + percent_encode(name);
}

}  // namespace

Result<UploadStart> start_log_upload(const Request& request, ByteCount size, Services& services) {
  if (services.logs == nullptr) return fail(Code::unavailable, "logs are not collected here");
  if (request.query_value("comp")) return fail(Code::unsupported, "a log is put whole, in one request without comp");
  if (!equal_in_any_case(request.header("x-ms-blob-type").value_or(""), "BlockBlob"))
    return fail(Code::invalid_argument, "the header x-ms-blob-type must be BlockBlob");
  GODWIT_TRY(auto writer, services.logs->begin_upload({.container = request.parameter("container"),
                                                       .expires = request.query_value("se").value_or(""),
                                                       .signature = request.query_value("sig").value_or(""),
                                                       .name = request.parameter("blob"),
                                                       .size = size}));
  Reply done{.status = 201};
  done.headers = {{"ETag", "\"0x" + hex_encode(random_bytes(8)) + "\""},
                  {"Last-Modified", http_date(services.clock.now())},
                  {"x-ms-request-server-encrypted", "false"},
                  {"x-ms-request-id", random_guid()},
                  {"x-ms-version", "2020-08-04"}};
  return UploadStart{.writer = std::move(writer), .done = std::move(done)};
}

Result<FileReply> open_log_file(const Request& request, Services& services) {
  if (services.logs == nullptr) return fail(Code::unavailable, "logs are not collected here");
  const std::int64_t id = to_number<std::int64_t>(request.parameter("fileId")).value_or(0);
  GODWIT_TRY(auto opened, services.logs->open_log(request.parameter("operationId"), id));
  FileReply reply{.head = Reply{.content_type = "application/octet-stream"}};
  reply.head.headers = {{"Content-Disposition", disposition_of(opened.name)}};
  reply.file = std::move(opened.file);
  reply.count = opened.size;
  return reply;
}

}  // namespace godwit::api
