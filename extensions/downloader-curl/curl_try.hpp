// What a try with libcurl has in common, whichever way the bytes go. One thread.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "core/model/outcome.hpp"
#include "download_options.hpp"

namespace godwit::downloader_curl {

inline constexpr ExtendedCode kCurlBase = 0x40301000;  // + libcurl's number

struct CurlDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Curl = std::unique_ptr<CURL, CurlDeleter>;
using HeaderList = std::unique_ptr<curl_slist, CurlDeleter>;

/// libcurl's own initialisation, once for the process. False: it cannot start.
[[nodiscard]] bool is_curl_ready();
/// URL, schemes, redirects, authorities, proxy, times. `url` and `options` outlive the transfer.
void apply_options(CURL* curl, const std::string& url, const DownloadOptions& options);

[[nodiscard]] bool is_retryable_status(long status);
/// Would the same try have another end? Certificates and addresses do not heal by themselves.
[[nodiscard]] bool is_retryable(CURLcode code);

}  // namespace godwit::downloader_curl
