#include "download.hpp"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <memory>

#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "curl_try.hpp"
#include "support/download_target.hpp"

namespace godwit::downloader_curl {
namespace {

constexpr std::size_t kMetaLimit = 4096;
constexpr std::size_t kErrorBodyLimit = 64 * 1024;  // of an answer that is not the file
constexpr std::size_t kHeaderLimit = 1024;
constexpr long kReadBuffer = 256 * 1024;

/// What the server says about the file it sends, reset at each answer of a chain of redirects.
struct AnswerHead {
  long status = 0;
  std::string etag{};
  std::string last_modified{};
  std::string content_encoding{};
  std::string retry_after{};
  std::optional<ContentRange> range{};
  std::optional<std::uint64_t> length{};

  /// What If-Range may compare: a strong ETag, else the date.
  [[nodiscard]] std::string validator() const {
    return !etag.empty() && !etag.starts_with("W/") ? etag : last_modified;
  }
};

Path meta_file(const Path& target) {
  Path path = target;
  path += ".meta";
  return path;
}

std::string read_validator(const Path& target) {
  const auto text = read_file(meta_file(target), kMetaLimit);
  if (!text) return "";
  const auto object = json::parse_object(*text);
  return object ? json::text_or_nothing(*object, "validator").value_or("") : "";
}

/// One transfer: the state behind libcurl's callbacks.
class Transfer {
 public:
  Transfer(const DownloadRequest& request, const DownloadWatch& watch, int fd, std::uint64_t offset,
           std::string validator)
      : request_(request),
        watch_(watch),
        fd_(fd),
        offset_(offset),
        position_(offset),
        validator_(std::move(validator)),
        limit_(request.expected_size.value_or(static_cast<std::uint64_t>(request.options.size_limit))) {}

  CURLcode perform();

  [[nodiscard]] const AnswerHead& head() const { return head_; }
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] bool was_resumed() const { return offset_ > 0 && position_started_at_offset_; }
  [[nodiscard]] bool must_start_over() const { return must_start_over_; }
  [[nodiscard]] const std::optional<DownloadAnswer>& verdict() const { return verdict_; }
  [[nodiscard]] std::string error_text(CURLcode code) const {
    return error_.front() != '\0' ? error_.data() : curl_easy_strerror(code);
  }

 private:
  void set_up(CURL* curl, curl_slist* headers);
  void take_header(std::string_view line);
  bool begin_body();
  bool take_body(std::string_view bytes);
  bool refuse(ExtendedCode code, std::string details, bool retryable) {
    verdict_ = DownloadAnswer{.result_code = result::failure,
                              .extended_code = code,
                              .details = std::move(details),
                              .is_retryable = retryable};
    return false;
  }
  bool start_over() {
    must_start_over_ = true;
    return false;
  }

  const DownloadRequest& request_;
  const DownloadWatch& watch_;
  int fd_;
  std::uint64_t offset_;    // what we asked to continue from
  std::uint64_t position_;  // size of the file now
  std::string validator_;
  std::uint64_t limit_;
  std::uint64_t received_ = 0;
  std::uint64_t error_body_ = 0;
  bool has_body_begun_ = false;
  bool position_started_at_offset_ = false;
  bool must_start_over_ = false;
  AnswerHead head_{};
  std::optional<DownloadAnswer> verdict_{};
  std::array<char, CURL_ERROR_SIZE> error_{};
};

void Transfer::set_up(CURL* curl, curl_slist* headers) {
  const DownloadOptions& options = request_.options;
  apply_options(curl, request_.url, options);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_MAX_RECV_SPEED_LARGE, static_cast<curl_off_t>(options.max_rate));
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kReadBuffer);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_.data());
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(
      curl, CURLOPT_XFERINFOFUNCTION, +[](void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) -> int {
        const auto& watch = static_cast<Transfer*>(self)->watch_;
        return watch.is_cancelled && watch.is_cancelled() ? 1 : 0;
      });
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(
      curl, CURLOPT_HEADERFUNCTION, +[](char* data, std::size_t size, std::size_t count, void* self) -> std::size_t {
        static_cast<Transfer*>(self)->take_header({data, size * count});
        return size * count;
      });
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(
      curl, CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t size, std::size_t count, void* self) -> std::size_t {
        return static_cast<Transfer*>(self)->take_body({data, size * count}) ? size * count : 0;
      });
}

CURLcode Transfer::perform() {
  const Curl curl(curl_easy_init());
  if (!curl) return CURLE_OUT_OF_MEMORY;
  curl_slist* list = curl_slist_append(nullptr, "Accept-Encoding: identity");
  if (offset_ > 0) list = curl_slist_append(list, fmt::format("Range: bytes={}-", offset_).c_str());
  if (offset_ > 0 && !validator_.empty()) list = curl_slist_append(list, ("If-Range: " + validator_).c_str());
  const HeaderList headers(list);
  set_up(curl.get(), headers.get());
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_OK && head_.status < 300 && !has_body_begun_ && !begin_body())
    return CURLE_WRITE_ERROR;  // an empty file has no body to look at
  return code;
}

void Transfer::take_header(std::string_view line) {
  line = trimmed(line);
  if (line.starts_with("HTTP/")) {
    head_ = {};
    const auto space = line.find(' ');
    if (space != std::string_view::npos)
      std::from_chars(line.data() + space + 1, line.data() + line.size(), head_.status);
    return;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || line.size() > kHeaderLimit) return;
  const std::string name = lower_case(line.substr(0, colon));
  const std::string value(trimmed(line.substr(colon + 1)));
  if (name == "etag") head_.etag = value;
  if (name == "last-modified") head_.last_modified = value;
  if (name == "content-encoding") head_.content_encoding = value;
  if (name == "retry-after") head_.retry_after = value;
  if (name == "content-range") head_.range = parse_content_range(value);
  if (name == "content-length" && !value.empty() && value.find_first_not_of("0123456789") == std::string::npos &&
      value.size() < 19)
    head_.length = std::stoull(value);
}

/// The head is whole, the first byte of the body is here: is it what we asked for?
bool Transfer::begin_body() {
  has_body_begun_ = true;
  if (!head_.content_encoding.empty() && head_.content_encoding != "identity")
    return refuse(erc::download_failed,
                  fmt::format("the server sends the file encoded as {}, though only the plain file was asked for",
                              head_.content_encoding.substr(0, 32)),
                  false);
  if (head_.status == 206) {
    const bool is_same = validator_.empty() || head_.validator().empty() || head_.validator() == validator_;
    const bool is_right_size = !request_.expected_size || !head_.range || !head_.range->total ||
                               *head_.range->total == *request_.expected_size;
    if (offset_ == 0 || !head_.range || head_.range->first != offset_ || !is_same || !is_right_size)
      return start_over();
    position_started_at_offset_ = true;
  } else if (head_.status == 200) {
    if (request_.expected_size && head_.length && *head_.length != *request_.expected_size)
      return refuse(
          erc::download_size,
          fmt::format("the server announces {} bytes, expected are {}", *head_.length, *request_.expected_size), false);
    position_ = 0;  // the whole file comes, whatever we asked for
    if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0)
      return refuse(erc::download_failed, error_from_errno("empty " + request_.target.string(), errno).message, false);
  } else {
    return refuse(erc::download_failed,
                  fmt::format("the server answers with status {}, which is not a file", head_.status), false);
  }
  const json::Object meta{{"validator", head_.validator()}};
  const auto written = write_file_durably(meta_file(request_.target), json::print(meta));
  if (!written)
    return refuse(written.error().code == Code::disk_full ? erc::disk_full : erc::download_failed,
                  written.error().message, false);
  return true;
}

bool Transfer::take_body(std::string_view bytes) {
  if (head_.status >= 300) {
    error_body_ += bytes.size();
    return error_body_ <= kErrorBodyLimit;
  }
  if (!has_body_begun_ && !begin_body()) return false;
  received_ += bytes.size();
  if (position_ + bytes.size() > limit_)
    return refuse(erc::download_size,
                  fmt::format("more than {} bytes came, {}", limit_,
                              request_.expected_size ? "which is the file's size" : "which is the limit for this file"),
                  false);
  if (const auto written = write_all(fd_, bytes); !written)
    return refuse(written.error().code == Code::disk_full ? erc::disk_full : erc::download_failed,
                  fmt::format("write {}: {}", request_.target.string(), written.error().message), false);
  position_ += bytes.size();
  if (watch_.on_progress) watch_.on_progress(position_, request_.expected_size.value_or(0));
  return true;
}

DownloadAnswer failed(ExtendedCode code, std::string details, bool retryable) {
  return {
      .result_code = result::failure, .extended_code = code, .details = std::move(details), .is_retryable = retryable};
}

DownloadAnswer answer_of_status(const AnswerHead& head) {
  DownloadAnswer answer =
      failed(kCurlBase + CURLE_HTTP_RETURNED_ERROR, fmt::format("the server answers with status {}", head.status),
             is_retryable_status(head.status));
  answer.retry_after_seconds = parse_retry_after(head.retry_after, static_cast<std::int64_t>(std::time(nullptr)));
  return answer;
}

DownloadAnswer conclude(const DownloadRequest& request, const DownloadWatch& watch, const Transfer& transfer,
                        CURLcode code) {
  if (transfer.verdict()) return *transfer.verdict();
  if (code == CURLE_ABORTED_BY_CALLBACK && watch.is_cancelled && watch.is_cancelled())
    return {.result_code = result::cancelled, .details = "cancelled", .is_retryable = true};
  if (transfer.head().status >= 300 && (code == CURLE_OK || code == CURLE_WRITE_ERROR))
    return answer_of_status(transfer.head());
  if (code != CURLE_OK)
    return failed(kCurlBase + (static_cast<unsigned>(code) & 0xFFU), transfer.error_text(code), is_retryable(code));
  if (request.expected_size && transfer.position() != *request.expected_size)
    return failed(erc::download_size,
                  fmt::format("{} bytes came, expected are {}", transfer.position(), *request.expected_size), true);
  return {.result_code = result::download_ok};
}

}  // namespace

DownloadAnswer download(const DownloadRequest& request, const DownloadWatch& watch) {
  if (!is_curl_ready()) return failed(kCurlBase + CURLE_FAILED_INIT, "libcurl cannot start", false);
  if (const std::string reason = check_url(request.url, request.options.allow_http); !reason.empty())
    return failed(erc::download_bad_url,
                  fmt::format("the URL {} cannot be fetched: {}", request.url.substr(0, 200), reason), false);
  // Of an unknown size nothing is kept.
  const auto target =
      author::open_download_target(request.target, request.resume_offset, request.expected_size.value_or(0));
  if (!target)
    return failed(target.error().code == Code::disk_full ? erc::disk_full : erc::download_failed,
                  target.error().message, false);
  const int fd = target->fd.get();
  std::uint64_t offset = target->kept;
  DownloadAnswer answer;
  if (request.expected_size && offset == *request.expected_size) {
    answer.result_code = result::download_ok;  // all of it is here
    answer.file_size = offset;
    ::unlink(meta_file(request.target).c_str());
    return answer;
  }
  for (bool may_start_over = offset > 0;; may_start_over = false) {
    Transfer transfer(request, watch, fd, offset, offset > 0 ? read_validator(request.target) : "");
    const CURLcode code = transfer.perform();
    const bool is_range_refused = offset > 0 && transfer.head().status == 416;
    if (may_start_over && (transfer.must_start_over() || is_range_refused)) {
      offset = 0;
      if (::ftruncate(fd, 0) != 0 || ::lseek(fd, 0, SEEK_SET) != 0)
        return failed(erc::download_failed, error_from_errno("empty " + request.target.string(), errno).message, false);
      continue;
    }
    answer = transfer.must_start_over()
                 ? failed(erc::download_failed, "the server sends a part of the file that was not asked for", true)
                 : conclude(request, watch, transfer, code);
    answer.http_status = transfer.head().status;
    answer.bytes_received = transfer.received();
    answer.file_size = transfer.position();
    answer.was_resumed = transfer.was_resumed();
    break;
  }
  if (const auto synced = sync_fd(fd); !synced && answer.result_code > 0)
    return failed(synced.error().code == Code::disk_full ? erc::disk_full : erc::download_failed,
                  synced.error().message, false);
  if (answer.result_code > 0) ::unlink(meta_file(request.target).c_str());
  return answer;
}

}  // namespace godwit::downloader_curl
