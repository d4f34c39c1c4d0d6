// What libcurl hands out, given back by itself.
#pragma once

#include <curl/curl.h>

#include <memory>

namespace godwit::daemon {

struct EasyCleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct SlistFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using EasyHandle = std::unique_ptr<CURL, EasyCleanup>;
using HeaderList = std::unique_ptr<curl_slist, SlistFree>;

}  // namespace godwit::daemon
