// Payload bytes in and out: what a download is made of and how an upload begins. The functions block on disk and run on
// the worker pool; moving the bytes between socket and file is connection_transfer.cpp's.
#pragma once

#include <memory>

#include "server/api/http.hpp"
#include "server/api/services.hpp"

namespace godwit::api {

inline constexpr std::size_t kUploadChunk = 256 * 1024;   // held in memory per upload
inline constexpr std::size_t kDownloadTurn = 256 * 1024;  // sent before other connections get their turn
inline constexpr ByteCount kUploadLimit = 2'147'483'648;  // the largest file a manifest may name

/// A reply whose body is `count` bytes of `file` from `offset`. No file: the reply stands for itself.
struct FileReply {
  Reply head;
  UniqueFd file{};
  ByteCount offset = 0;
  ByteCount count = 0;
};

/// GET and HEAD /download/{sha256}/{filename}?se=&sig=. Errors: forbidden, invalid_argument, not_found, io_failed.
[[nodiscard]] Result<FileReply> open_download(const Request& request, Services& services);

/// An upload that may begin. `writer` is null when the payload is here already: its bytes are read and dropped.
struct UploadStart {
  std::unique_ptr<blobs::Upload> writer{};
  bool is_whole = true;       // false: after this request something is still missing
  Reply done{.status = 201};  // once all of it is on disk
};
/// PUT /godwit/v1/{instanceId}/blobs/{sha256} with a body of `length` bytes. With Content-Range the upload outlives its
/// connection. Errors: invalid_argument (digest, range), too_large, disk_full, conflict (another offset), too_many.
[[nodiscard]] Result<UploadStart> start_upload(const Request& request, ByteCount length, Services& services);

/// PUT /device-logs/{container}/{blob...}: a block blob, as clients of a storage container put it. Errors: forbidden
/// (credential), invalid_argument, too_large, unsupported.
[[nodiscard]] Result<UploadStart> start_log_upload(const Request& request, ByteCount size, Services& services);
/// GET .../logCollections/{operationId}/files/{fileId}. Errors: not_found, invalid_argument.
[[nodiscard]] Result<FileReply> open_log_file(const Request& request, Services& services);

/// HEAD and GET of the same path: is it here, and how long is it? An ordinary handler.
[[nodiscard]] Result<Reply> describe_blob(const Request& request, Services& services);

/// GET and DELETE of .../blobs/{sha256}/upload: how much of an upload that was begun is here; give it up.
[[nodiscard]] Result<Reply> describe_upload(const Request& request, Services& services);
[[nodiscard]] Result<Reply> drop_upload(const Request& request, Services& services);

}  // namespace godwit::api
