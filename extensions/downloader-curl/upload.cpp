#include "upload.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/base/text.hpp"
#include "curl_try.hpp"

namespace godwit::downloader_curl {
namespace {

constexpr std::size_t kAnswerLimit = 64 * 1024;
constexpr std::size_t kShownAnswer = 300;

[[nodiscard]] DownloadAnswer failed(ExtendedCode code, std::string details, bool retryable) {
  return {
      .result_code = result::failure, .extended_code = code, .details = std::move(details), .is_retryable = retryable};
}

/// The state behind libcurl's callbacks.
struct Sending {
  const DownloadWatch& watch;
  int fd;
  std::uint64_t size;
  std::uint64_t sent = 0;
  std::string answer{};

  static std::size_t read(char* into, std::size_t size, std::size_t count, void* self) {
    auto& sending = *static_cast<Sending*>(self);
    const std::uint64_t wanted = std::min<std::uint64_t>(size * count, sending.size - sending.sent);
    const ssize_t got = ::pread(sending.fd, into, wanted, static_cast<off_t>(sending.sent));
    if (got < 0 || (got == 0 && wanted > 0)) return CURL_READFUNC_ABORT;  // it has become shorter
    sending.sent += static_cast<std::uint64_t>(got);
    if (sending.watch.on_progress) sending.watch.on_progress(sending.sent, sending.size);
    return static_cast<std::size_t>(got);
  }
  /// Sent once more from the start: after a connection that was kept turned out to be dead.
  static int rewind(void* self, curl_off_t offset, int origin) {
    if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_FAIL;
    static_cast<Sending*>(self)->sent = static_cast<std::uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
  }
  static std::size_t take(char* data, std::size_t size, std::size_t count, void* self) {
    std::string& answer = static_cast<Sending*>(self)->answer;
    if (answer.size() + size * count > kAnswerLimit) return 0;
    answer.append(data, size * count);
    return size * count;
  }
  static int look(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const auto& watch = static_cast<Sending*>(self)->watch;
    return watch.is_cancelled && watch.is_cancelled() ? 1 : 0;
  }
};

/// The beginning of an answer as part of one line.
[[nodiscard]] std::string shown(std::string_view answer) {
  std::string text(answer.substr(0, kShownAnswer));
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) c = ' ';
  return text;
}

[[nodiscard]] bool is_plain_header(std::string_view name, std::string_view value) {
  const auto is_fine = [](std::string_view text, std::string_view forbidden) {
    return text.find_first_of(forbidden) == std::string_view::npos &&
           std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
  };
  return !name.empty() && is_fine(name, ": ") && is_fine(value, "\x7f");
}

[[nodiscard]] DownloadAnswer conclude(CURL* curl, CURLcode code, const Sending& sending, const char* error) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  DownloadAnswer answer{.result_code = result::download_ok};
  if (code == CURLE_ABORTED_BY_CALLBACK)
    answer = {.result_code = result::cancelled, .details = "cancelled", .is_retryable = true};
  else if (code != CURLE_OK && status < 300)
    answer = failed(kCurlBase + (static_cast<unsigned>(code) & 0xFFU),
                    *error != '\0' ? error : curl_easy_strerror(code), is_retryable(code));
  else if (status < 200 || status >= 300)
    answer = failed(kCurlBase + CURLE_HTTP_RETURNED_ERROR,
                    fmt::format("the server answers with status {}: {}", status, shown(sending.answer)),
                    is_retryable_status(status));
  answer.http_status = status;
  answer.bytes_received = sending.sent;
  answer.file_size = sending.size;
  return answer;
}

}  // namespace

DownloadAnswer upload(const UploadRequest& request, const DownloadWatch& watch) {
  if (!is_curl_ready()) return failed(kCurlBase + CURLE_FAILED_INIT, "libcurl cannot start", false);
  if (const std::string reason = check_url(request.url, request.options.allow_http); !reason.empty())
    return failed(erc::download_bad_url, "the URL cannot be sent to: " + reason, false);
  const auto fd = open_file(request.source, O_RDONLY | O_NOFOLLOW);
  if (!fd) return failed(erc::download_failed, fd.error().message, false);
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode))
    return failed(erc::download_failed, request.source.string() + " is not a regular file", false);

  for (const auto& [name, value] : request.headers)
    if (!is_plain_header(name, value)) return failed(erc::download_failed, "a header is not plain text", false);
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const auto& [name, value] : request.headers) list = curl_slist_append(list, (name + ": " + value).c_str());
  const HeaderList headers(list);
  const Curl curl(curl_easy_init());
  if (!curl) return failed(kCurlBase + CURLE_OUT_OF_MEMORY, "libcurl has no memory", true);
  Sending sending{.watch = watch, .fd = fd->get(), .size = static_cast<std::uint64_t>(info.st_size)};
  std::array<char, CURL_ERROR_SIZE> error{};
  apply_options(curl.get(), request.url, request.options);
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 0L);  // a credential goes nowhere else
  curl_easy_setopt(curl.get(), CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(sending.size));
  curl_easy_setopt(curl.get(), CURLOPT_MAX_SEND_SPEED_LARGE, static_cast<curl_off_t>(request.options.max_rate));
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, error.data());
  curl_easy_setopt(curl.get(), CURLOPT_READDATA, &sending);
  curl_easy_setopt(curl.get(), CURLOPT_READFUNCTION, Sending::read);
  curl_easy_setopt(curl.get(), CURLOPT_SEEKDATA, &sending);
  curl_easy_setopt(curl.get(), CURLOPT_SEEKFUNCTION, Sending::rewind);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &sending);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, Sending::take);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &sending);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, Sending::look);
  const CURLcode code = curl_easy_perform(curl.get());
  return conclude(curl.get(), code, sending, error.data());
}

}  // namespace godwit::downloader_curl
