#include "apps/godwitd/curl_post.hpp"

#include <mutex>

#include "apps/godwitd/curl_handle.hpp"

namespace godwit::daemon {
namespace {

constexpr long kConnectSeconds = 10;
constexpr long kWholeSeconds = 30;

void add_header(HeaderList& list, const std::string& line) {
  if (curl_slist* longer = curl_slist_append(list.get(), line.c_str())) {
    static_cast<void>(list.release());
    list.reset(longer);
  }
}

std::size_t ignore_body(char*, std::size_t size, std::size_t count, void*) { return size * count; }

class CurlPost final : public api::HttpPost {
 public:
  explicit CurlPost(PostTarget target) : target_(std::move(target)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    handle_.reset(curl_easy_init());
    GODWIT_CHECK(handle_ != nullptr);
  }

  Result<int> post(const std::string& body) override {
    CURL* const handle = handle_.get();  // kept, so that a connection serves many batches
    curl_easy_reset(handle);
    char reason[CURL_ERROR_SIZE] = "";
    HeaderList headers;
    add_header(headers, "Content-Type: application/json");
    add_header(headers, "Expect:");
    if (!target_.token.empty()) add_header(headers, "Authorization: Bearer " + target_.token.reveal());
    curl_easy_setopt(handle, CURLOPT_URL, target_.url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, kWholeSeconds);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "godwitd/" GODWIT_VERSION);
    if (!target_.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, target_.ca_file.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, ignore_body);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, this);
    const CURLcode outcome = curl_easy_perform(handle);
    if (outcome != CURLE_OK)
      return fail(outcome == CURLE_PEER_FAILED_VERIFICATION ? Code::tls_failed
                  : outcome == CURLE_OPERATION_TIMEDOUT     ? Code::timed_out
                                                            : Code::network_failed,
                  target_.url + ": " + (reason[0] != '\0' ? reason : curl_easy_strerror(outcome)));
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return static_cast<int>(status);
  }
  void cancel() override { is_cancelled_ = true; }

 private:
  static int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<CurlPost*>(user)->is_cancelled_ ? 1 : 0;
  }

  const PostTarget target_;
  std::atomic<bool> is_cancelled_ = false;
  EasyHandle handle_{};
};

}  // namespace

std::unique_ptr<api::HttpPost> make_curl_post(PostTarget target) {
  return std::make_unique<CurlPost>(std::move(target));
}

}  // namespace godwit::daemon
