/* The content-downloader contract, ABI 1: how the bytes behind a URL come to a file, and the other way for logs. Read
 * common.h first.
 *
 * A downloader runs in the agent's half, unprivileged, with network. One call is one try: whether and when to try again
 * is decided by the agent, from the answer. What arrives is not trusted: size and SHA-256 are checked by the agent, and
 * by the installer once more.
 *
 * Result codes: 500 the file is whole; 0 failure; -1 cancelled (what has come stays for the next try). */
#ifndef GODWIT_CONTENT_DOWNLOADER_H
#define GODWIT_CONTENT_DOWNLOADER_H

#include "godwit/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* expected_size of a file whose size nobody knows: then `size_limit` of the options bounds it. */
#define GODWIT_SIZE_UNKNOWN UINT64_MAX

/* One file to fetch. */
typedef struct godwit_download {
  uint32_t size;
  godwit_text url;          /* of a scheme in the registration's option `schemes` ("file", "http,https"); without that
                             * option https, or http where the options allow it */
  godwit_text target_path;  /* the file; what an earlier try left there is to be continued from resume_offset */
  uint64_t expected_size;   /* bytes of the whole file; never write more than this */
  uint64_t resume_offset;   /* bytes of target_path that may be kept; what is beyond is to be cut off first */
  godwit_text options_json; /* an object, every member optional:
                             *   "caFile": PEM file of the authorities to believe instead of the system's
                             *   "proxy": "http://host:port"; without it the usual environment variables count
                             *   "allowHttp": true admits http URLs (default false)
                             *   "maxRedirects": 0..20 (default 5)
                             *   "connectTimeoutMs" (default 30000), "timeoutMs" of the whole try (default 0: none)
                             *   "minRateBytesPerSecond" (default 64) over "minRateSeconds" (default 60): slower is an
                             * error "maxRateBytesPerSecond" (default 0: none) "sizeLimit": bytes, for an unknown size
                             * (default 1 MiB) A downloader ignores members that it does not know. */
} godwit_download;

/* One file to send (since minor 1). */
typedef struct godwit_upload {
  uint32_t size;
  godwit_text url;          /* https, or http where the options allow it; its query is a credential: never log it */
  godwit_text source_path;  /* the file; it does not change meanwhile */
  godwit_text headers_json; /* an object of texts: request headers to send beside the usual ones */
  godwit_text options_json; /* as in godwit_download; redirects are not followed */
} godwit_upload;

/* Pieces of one file to fetch (since minor 3). */
typedef struct godwit_ranges {
  uint32_t size;
  godwit_text url;            /* of the whole file; https, or http where the options allow it */
  godwit_text target_path;    /* gets the pieces, one after the other and nothing else; to be continued as a download */
  const godwit_range* ranges; /* in rising order, not overlapping, inside the file; at most GODWIT_RANGES_MAX */
  size_t range_count;
  uint64_t file_size;       /* bytes of the whole file at `url` */
  uint64_t resume_offset;   /* bytes of target_path that may be kept */
  godwit_text options_json; /* as in godwit_download */
} godwit_ranges;

/* The table of a content downloader; static, never freed. */
typedef struct godwit_content_downloader {
  uint32_t size;
  /* Fetches, reports progress (done counts from the start of the file), syncs the file to disk, and answers, also on
   * failure, through host->answer():
   *   {"retryable":true,"httpStatus":206,"bytesReceived":1048576,"fileSize":20971520,"resumed":true,"retryAfterSeconds":30}
   * `bytesReceived` is what crossed the network in this try, `fileSize` what target_path holds now. `httpStatus` is 0
   * when no answer came; "retryAfterSeconds" only if the server asked for it. `retryable` false: trying the same again
   * cannot help. */
  void (*download)(const godwit_host* host, const godwit_download* what, godwit_outcome* outcome);
  /* Since minor 1; may be NULL. PUTs the file in one try and one request, and answers as download() does; result code
   * 500: the server has taken it. The agent sends its logs with it, when they are asked for. */
  void (*upload)(const godwit_host* host, const godwit_upload* what, godwit_outcome* outcome);
  /* Since minor 3; may be NULL: then the agent fetches whole files only. Fetches the pieces in one try and answers as
   * download() does; `fileSize` is what target_path holds. A server that sends the whole file instead of a piece is a
   * failure with `retryable` false. */
  void (*download_ranges)(const godwit_host* host, const godwit_ranges* what, godwit_outcome* outcome);
} godwit_content_downloader;

/* The entry function. Returns NULL if this extension does not speak `abi`. */
GODWIT_EXPORT const godwit_content_downloader* godwit_content_downloader_entry(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif /* GODWIT_CONTENT_DOWNLOADER_H */
