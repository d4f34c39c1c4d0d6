#include "server/service/import/fetcher.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <optional>

#include "server/service/import/addresses.hpp"

namespace godwit::service {
namespace {

constexpr long kReadBuffer = 256 * 1024;  // fewer and larger writes; libcurl's own is 16 KiB

/// What the callbacks of one transfer share.
struct Transfer {
  CURL* handle = nullptr;
  const FetchLimits* limits = nullptr;
  const Fetcher::Sink* sink = nullptr;
  const Fetcher::IsCancelled* is_cancelled = nullptr;
  ByteCount expected = 0;
  ByteCount received = 0;
  bool was_refused = false;
  std::optional<Error> problem{};
};

long status_of(CURL* handle) {
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::size_t on_bytes(char* data, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (status_of(transfer.handle) != 200) return count;  // the page of an error or a redirect is not the file
  if (count > transfer.expected - transfer.received) {
    transfer.problem =
        Error{Code::too_large, fmt::format("it has more than the {} bytes that were announced", transfer.expected)};
    return 0;
  }
  if (auto outcome = (*transfer.sink)({data, count}); !outcome) {
    transfer.problem = std::move(outcome).error();
    return 0;
  }
  transfer.received += count;
  return count;
}

/// The address is judged here, after the name was resolved and for each connection, so that a name that changes its
/// address between a check and the use (DNS rebinding) and redirects gain nothing.
curl_socket_t on_open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(user);
  const FetchLimits& limits = *transfer.limits;
  const bool is_allowed = limits.is_allowed ? limits.is_allowed(address->addr) : is_public_address(address->addr);
  if (!limits.allow_private_addresses && !is_allowed) {
    transfer.was_refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<Transfer*>(user);
  return (*transfer.is_cancelled)() ? 1 : 0;
}

void set_options(Transfer& transfer, const std::string& url) {
  CURL* handle = transfer.handle;
  const FetchLimits& limits = *transfer.limits;
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kReadBuffer);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_MAXREDIRS, limits.redirects);
  curl_easy_setopt(handle, CURLOPT_PROXY, "");  // a proxy from the environment would connect where we may not
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect_time.count()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(limits.whole_time.count()));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(limits.slow_bytes_per_second));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits.slow_time.count() / 1000));
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "godwit-import/" GODWIT_VERSION);
  if (!limits.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, limits.ca_file.c_str());
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
}

Error curl_error(CURLcode rc, const Transfer& transfer, const char* detail) {
  if (transfer.problem) return *transfer.problem;
  if (transfer.was_refused)
    return {Code::refused, "its address is not a public one; import.allow_private_addresses permits that"};
  const std::string message = *detail != '\0' ? detail : curl_easy_strerror(rc);
  switch (rc) {
    case CURLE_URL_MALFORMAT: return {Code::invalid_argument, message};
    case CURLE_UNSUPPORTED_PROTOCOL: return {Code::refused, message};
    case CURLE_ABORTED_BY_CALLBACK: return {Code::cancelled, "the server is shutting down"};
    case CURLE_OPERATION_TIMEDOUT: return {Code::timed_out, message};
    case CURLE_PARTIAL_FILE: return {Code::size_mismatch, message};
    default: return {Code::unavailable, message};
  }
}

Result<void> judge(CURLcode rc, const Transfer& transfer, const char* detail) {
  if (rc != CURLE_OK) return tl::unexpected<Error>{curl_error(rc, transfer, detail)};
  const long status = status_of(transfer.handle);
  if (status == 404 || status == 410) return fail(Code::not_found, fmt::format("the server answered HTTP {}", status));
  if (status != 200) return fail(Code::unavailable, fmt::format("the server answered HTTP {}", status));
  if (transfer.received != transfer.expected)
    return fail(Code::size_mismatch,
                fmt::format("it has {} bytes, announced were {}", transfer.received, transfer.expected));
  return {};
}

}  // namespace

CurlFetcher::CurlFetcher(FetchLimits limits) : limits_(std::move(limits)) {
  static std::once_flag once;
  std::call_once(once, [] { GODWIT_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
}

Result<void> CurlFetcher::fetch(const std::string& url, ByteCount expected, const Sink& sink,
                                const IsCancelled& is_cancelled) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle{curl_easy_init(), &curl_easy_cleanup};
  GODWIT_CHECK(handle != nullptr);
  Transfer transfer{
      .handle = handle.get(), .limits = &limits_, .sink = &sink, .is_cancelled = &is_cancelled, .expected = expected};
  char detail[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, detail);
  set_options(transfer, url);
  const CURLcode rc = curl_easy_perform(handle.get());
  if (auto outcome = judge(rc, transfer, detail); !outcome)
    return with_context("fetch " + printable_url(url), std::move(outcome).error());
  return {};
}

std::string printable_url(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const std::string_view rest = url.substr(scheme + 3);
  const auto at = rest.substr(0, rest.find('/')).rfind('@');
  return std::string(url.substr(0, scheme + 3)) +
         std::string(at == std::string_view::npos ? rest : rest.substr(at + 1));
}

}  // namespace godwit::service
