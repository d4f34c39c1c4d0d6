#include "download_ranges.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "core/base/text.hpp"
#include "curl_try.hpp"
#include "support/download_target.hpp"

namespace godwit::downloader_curl {
namespace {

constexpr std::size_t kHeaderLimit = 1024;
constexpr std::uint64_t kErrorBodyLimit = 64 * 1024;
constexpr long kReadBuffer = 256 * 1024;

DownloadAnswer failed(ExtendedCode code, std::string details, bool retryable) {
  return {
      .result_code = result::failure, .extended_code = code, .details = std::move(details), .is_retryable = retryable};
}

DownloadAnswer failed(const Error& error) {
  return failed(error.code == Code::disk_full ? erc::disk_full : erc::download_failed, error.message, false);
}

/// The state behind libcurl's callbacks: one piece at a time.
class Fetching {
 public:
  Fetching(const RangesRequest& request, const DownloadWatch& watch, int fd, std::uint64_t total)
      : request_(request), watch_(watch), fd_(fd), total_(total) {}

  void set_up(CURL* curl);
  /// Fetches `piece`, of which everything before is in the file. Nothing: it is there.
  std::optional<DownloadAnswer> fetch(CURL* curl, const Piece& piece);

  std::uint64_t written = 0;  // size of the file now
  std::uint64_t received = 0;
  long status = 0;

 private:
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
    static_cast<Fetching*>(self)->take_header({data, size * count});
    return size * count;
  }
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
    return static_cast<Fetching*>(self)->take_body({data, size * count}) ? size * count : 0;
  }
  static int look(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const auto& watch = static_cast<Fetching*>(self)->watch_;
    return watch.is_cancelled && watch.is_cancelled() ? 1 : 0;
  }
  void take_header(std::string_view line);
  bool take_body(std::string_view bytes);
  bool begin_body();
  bool refuse(DownloadAnswer answer) {
    verdict_ = std::move(answer);
    return false;
  }

  const RangesRequest& request_;
  const DownloadWatch& watch_;
  int fd_;
  std::uint64_t total_;
  Piece piece_{};
  std::uint64_t missing_ = 0;
  std::uint64_t error_body_ = 0;
  bool has_begun_ = false;
  bool is_encoded_ = false;
  std::string retry_after_{};
  std::optional<ContentRange> range_{};
  std::optional<DownloadAnswer> verdict_{};
  std::array<char, CURL_ERROR_SIZE> error_{};
};

void Fetching::set_up(CURL* curl) {
  apply_options(curl, request_.url, request_.options);
  curl_easy_setopt(curl, CURLOPT_MAX_RECV_SPEED_LARGE, static_cast<curl_off_t>(request_.options.max_rate));
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kReadBuffer);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_.data());
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
}

void Fetching::take_header(std::string_view line) {
  line = trimmed(line);
  if (line.starts_with("HTTP/")) {  // of each answer of a chain of redirects
    status = 0;
    range_.reset();
    retry_after_.clear();
    is_encoded_ = false;
    const auto space = line.find(' ');
    if (space != std::string_view::npos) std::from_chars(line.data() + space + 1, line.data() + line.size(), status);
    return;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || line.size() > kHeaderLimit) return;
  const std::string name = lower_case(line.substr(0, colon));
  const std::string value(trimmed(line.substr(colon + 1)));
  if (name == "content-range") range_ = parse_content_range(value);
  if (name == "retry-after") retry_after_ = value;
  if (name == "content-encoding") is_encoded_ = !value.empty() && value != "identity";
}

bool Fetching::begin_body() {
  has_begun_ = true;
  if (status != 206)
    return refuse(failed(erc::download_failed,
                         fmt::format("the server answers with status {} to a request for a piece of the file", status),
                         false));
  if (is_encoded_) return refuse(failed(erc::download_failed, "the server sends a piece of the file encoded", false));
  if (!range_ || range_->first != piece_.offset || (range_->total && *range_->total != request_.file_size))
    return refuse(failed(erc::download_failed, "the server sends a piece of the file that was not asked for", false));
  return true;
}

bool Fetching::take_body(std::string_view bytes) {
  if (status >= 300) {
    error_body_ += bytes.size();
    return error_body_ <= kErrorBodyLimit;
  }
  if (!has_begun_ && !begin_body()) return false;
  received += bytes.size();
  if (bytes.size() > missing_)
    return refuse(failed(erc::download_size, "more came than the piece that was asked for", false));
  if (const auto done = write_all(fd_, bytes); !done) return refuse(failed(done.error()));
  missing_ -= bytes.size();
  written += bytes.size();
  if (watch_.on_progress) watch_.on_progress(written, total_);
  return true;
}

std::optional<DownloadAnswer> Fetching::fetch(CURL* curl, const Piece& piece) {
  piece_ = piece;
  missing_ = piece.length;
  has_begun_ = false;
  error_body_ = 0;
  error_.front() = '\0';
  const std::string range = fmt::format("Range: bytes={}-{}", piece.offset, piece.offset + piece.length - 1);
  curl_slist* list = curl_slist_append(nullptr, "Accept-Encoding: identity");
  const HeaderList headers(curl_slist_append(list, range.c_str()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, nullptr);
  if (verdict_) return verdict_;
  if (code == CURLE_ABORTED_BY_CALLBACK && watch_.is_cancelled && watch_.is_cancelled())
    return DownloadAnswer{.result_code = result::cancelled, .details = "cancelled", .is_retryable = true};
  if (status >= 300 && (code == CURLE_OK || code == CURLE_WRITE_ERROR)) {
    auto answer = failed(kCurlBase + CURLE_HTTP_RETURNED_ERROR,
                         fmt::format("the server answers with status {}", status), is_retryable_status(status));
    answer.retry_after_seconds = parse_retry_after(retry_after_, static_cast<std::int64_t>(std::time(nullptr)));
    return answer;
  }
  if (code != CURLE_OK)
    return failed(kCurlBase + (static_cast<unsigned>(code) & 0xFFU),
                  error_.front() != '\0' ? error_.data() : curl_easy_strerror(code), is_retryable(code));
  if (missing_ > 0) return failed(erc::download_size, fmt::format("{} bytes of a piece did not come", missing_), true);
  return std::nullopt;
}

/// Bytes of all pieces. Errors: invalid_argument.
Result<std::uint64_t> sum_of(const RangesRequest& request) {
  std::uint64_t sum = 0;
  std::uint64_t end = 0;
  for (const Piece& piece : request.pieces) {
    if (piece.length == 0 || piece.offset < end || piece.offset > request.file_size ||
        piece.length > request.file_size - piece.offset)
      return fail(Code::invalid_argument,
                  fmt::format("the pieces must rise within the file's {} bytes; {} bytes at {} do not",
                              request.file_size, piece.length, piece.offset));
    end = piece.offset + piece.length;
    sum += piece.length;
  }
  if (sum == 0) return fail(Code::invalid_argument, "no piece is asked for");
  return sum;
}

DownloadAnswer fetch_missing(const RangesRequest& request, Fetching& fetching) {
  const Curl curl(curl_easy_init());
  if (!curl) return failed(kCurlBase + CURLE_OUT_OF_MEMORY, "libcurl cannot start", false);
  fetching.set_up(curl.get());
  std::uint64_t skip = fetching.written;
  for (const Piece& piece : request.pieces) {
    const std::uint64_t here = std::min(skip, piece.length);
    skip -= here;
    if (here == piece.length) continue;
    if (auto problem = fetching.fetch(curl.get(), {.offset = piece.offset + here, .length = piece.length - here}))
      return *std::move(problem);
  }
  return {.result_code = result::download_ok};
}

}  // namespace

DownloadAnswer download_ranges(const RangesRequest& request, const DownloadWatch& watch) {
  if (!is_curl_ready()) return failed(kCurlBase + CURLE_FAILED_INIT, "libcurl cannot start", false);
  if (const std::string reason = check_url(request.url, request.options.allow_http); !reason.empty())
    return failed(erc::download_bad_url,
                  fmt::format("the URL {} cannot be fetched: {}", request.url.substr(0, 200), reason), false);
  const auto sum = sum_of(request);
  if (!sum) return failed(sum.error());
  const auto target = author::open_download_target(request.target, request.resume_offset, *sum);
  if (!target) return failed(target.error());
  Fetching fetching(request, watch, target->fd.get(), *sum);
  fetching.written = target->kept;
  DownloadAnswer answer = fetch_missing(request, fetching);
  answer.http_status = fetching.status;
  answer.bytes_received = fetching.received;
  answer.file_size = fetching.written;
  answer.was_resumed = target->kept > 0;
  if (const auto synced = sync_fd(target->fd.get()); !synced && answer.result_code > 0) return failed(synced.error());
  return answer;
}

}  // namespace godwit::downloader_curl
