// One try to send one file with libcurl: one PUT, in constant memory. Blocking; one thread.
#pragma once

#include <map>
#include <string>

#include "download.hpp"

namespace godwit::downloader_curl {

struct UploadRequest {
  std::string url{};  // its query is a credential and is in no message
  Path source{};
  std::map<std::string, std::string> headers{};
  DownloadOptions options{};
};

/// `bytes_received` and `file_size` of the answer: what was sent, and the size of the file.
[[nodiscard]] DownloadAnswer upload(const UploadRequest& request, const DownloadWatch& watch);

}  // namespace godwit::downloader_curl
