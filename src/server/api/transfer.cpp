#include "server/api/transfer.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "server/api/range.hpp"
#include "server/service/download_urls.hpp"

namespace godwit::api {
namespace {

[[nodiscard]] Result<Bytes> read_digest(const Request& request) {
  const std::string text = request.parameter("sha256");
  auto digest = hex_decode(text);
  if (!digest || digest->size() != 32)
    return fail(Code::invalid_argument,
                "'" + text.substr(0, 80) + "' is not a SHA-256 digest: 64 hex digits are needed");
  return digest;
}

}  // namespace

Result<FileReply> open_download(const Request& request, Services& services) {
  GODWIT_TRY(const Bytes digest,
             services.urls.check(request.parameter("sha256"), request.query_value("se").value_or(""),
                                 request.query_value("sig").value_or(""), services.clock.now()));
  GODWIT_TRY(UniqueFd file, services.blobs.open(digest));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return tl::unexpected<Error>{error_from_errno("look at a payload", errno)};
  const auto size = static_cast<ByteCount>(info.st_size);
  const std::string etag = "\"" + hex_encode(digest) + "\"";
  const Selection selection = select_bytes(Conditions{.range = request.header("range"),
                                                      .if_range = request.header("if-range"),
                                                      .if_none_match = request.header("if-none-match")},
                                           size, etag);
  FileReply reply{.head = Reply{.status = selection.status, .content_type = "application/octet-stream"}};
  reply.head.headers = {
      {"ETag", etag}, {"Accept-Ranges", "bytes"}, {"Cache-Control", "private, max-age=3600, immutable"}};
  if (selection.status == 206 || selection.status == 416)
    reply.head.headers.emplace_back("Content-Range", selection.content_range(size));
  if (selection.status == 304 || selection.status == 416) return reply;
  ::posix_fadvise(file.get(), static_cast<off_t>(selection.first), static_cast<off_t>(selection.count),
                  POSIX_FADV_SEQUENTIAL);
  reply.file = std::move(file);
  reply.offset = selection.first;
  reply.count = selection.count;
  return reply;
}

Result<UploadStart> start_upload(const Request& request, ByteCount size, Services& services) {
  GODWIT_TRY(const Bytes digest, read_digest(request));
  if (size > kUploadLimit)
    return fail(Code::too_large, "a payload has at most " + std::to_string(kUploadLimit) +
                                     " bytes, this one announces " + std::to_string(size));
  GODWIT_TRY(const auto present, services.blobs.size_of(digest));
  if (present) return UploadStart{};
  GODWIT_TRY(auto writer, services.blobs.start(digest, size));
  return UploadStart{.writer = std::move(writer)};
}

Result<Reply> describe_blob(const Request& request, Services& services) {
  GODWIT_TRY(const Bytes digest, read_digest(request));
  GODWIT_TRY(const auto size, services.blobs.size_of(digest));
  if (!size) return fail(Code::not_found, "there is no payload " + hex_encode(digest) + " here");
  json::Object body;
  body["sha256"] = hex_encode(digest);
  body["sizeInBytes"] = *size;
  Reply reply = Reply::json(std::move(body));
  reply.headers.emplace_back("ETag", "\"" + hex_encode(digest) + "\"");
  return reply;
}

}  // namespace godwit::api
