#include "tools/cli/client.hpp"

#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/text.hpp"

namespace godwit::cli {
namespace {

constexpr long kConnectTimeoutSeconds = 15;
constexpr std::size_t kAnswerLimit = 64 * 1024 * 1024;

/// Where the bytes of an answer go: into a body, or to whoever reads along.
struct Receiver {
  CURL* curl = nullptr;
  std::string* body = nullptr;
  const std::function<bool(std::string_view)>* on_bytes = nullptr;
  bool* was_ended = nullptr;
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  const auto& receiver = *static_cast<Receiver*>(user);
  const std::size_t bytes = size * count;
  long status = 0;
  curl_easy_getinfo(receiver.curl, CURLINFO_RESPONSE_CODE, &status);
  if (receiver.on_bytes != nullptr && status == 200) {
    *receiver.was_ended = !(*receiver.on_bytes)({data, bytes});
    return *receiver.was_ended ? 0 : bytes;
  }
  if (receiver.body->size() + bytes > kAnswerLimit) return 0;
  receiver.body->append(data, bytes);
  return bytes;
}

/// Called about once a second: whoever reads along may have had enough.
int on_idle(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& receiver = *static_cast<Receiver*>(user);
  if (!*receiver.was_ended) *receiver.was_ended = !(*receiver.on_bytes)({});
  return *receiver.was_ended ? 1 : 0;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& headers = *static_cast<std::map<std::string, std::string>*>(user);
  const std::string_view line{data, size * count};
  if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    auto value = line.substr(colon + 1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front()))) value.remove_prefix(1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) value.remove_suffix(1);
    headers[lower_case(line.substr(0, colon))] = std::string(value);
  }
  return size * count;
}

Code code_from_status(int status) {
  switch (status) {
    case 400: return Code::invalid_argument;
    case 401: return Code::unauthorized;
    case 403: return Code::forbidden;
    case 404: return Code::not_found;
    case 409: return Code::conflict;
    case 412: return Code::precondition_failed;
    case 413: return Code::too_large;
    case 429: return Code::too_many;
    case 507: return Code::disk_full;
    default: return status >= 500 ? Code::unavailable : Code::refused;
  }
}

}  // namespace

struct Client::Call {
  std::string method;
  std::string url;
  std::string body;
  std::vector<std::string> headers;
  int file = -1;
  ByteCount file_size = 0;
  OnUploaded on_uploaded{};
  const std::function<bool(std::string_view)>* on_bytes = nullptr;  // instead of keeping the body
  bool was_ended = false;                                           // by on_bytes
};

std::string Response::header(std::string_view lower_case_name) const {
  const auto found = headers.find(std::string(lower_case_name));
  return found == headers.end() ? std::string{} : found->second;
}

Error error_from_response(const Response& response, std::string_view what) {
  std::string text;
  if (auto parsed = json::parse_object(response.body)) {
    if (const auto* error = json::object_or_null(*parsed, "error")) {
      text = json::text_or_nothing(*error, "code").value_or("") + ": " +
             json::text_or_nothing(*error, "message").value_or("");
      if (const auto* inner = json::object_or_null(*error, "innererror")) {
        const std::string detail = json::text_or_nothing(*inner, "message").value_or("");
        text += " (" + json::text_or_nothing(*inner, "code").value_or("") + (detail.empty() ? "" : ": " + detail) + ")";
      }
    } else if (auto message = json::text_or_nothing(*parsed, "Message")) {
      text = *message;
    } else if (auto sentence = json::text_or_nothing(*parsed, "message")) {
      text = *sentence;
    } else if (auto title = json::text_or_nothing(*parsed, "title")) {
      text = *title;
    }
  }
  if (text.empty()) text = "the service answered " + std::to_string(response.status);
  if (response.status == 401) text += "; check the token (--token-file or GODWIT_TOKEN_FILE)";
  return Error{code_from_status(response.status), std::string(what) + ": " + text};
}

Client::Client(Connection connection) : connection_(std::move(connection)), curl_(curl_easy_init()) {
  GODWIT_CHECK(curl_ != nullptr);
}
Client::~Client() { curl_easy_cleanup(curl_); }

std::string Client::full_url(const std::string& path, const Query& query) const {
  std::string url = path.starts_with("https://") ? path : connection_.url + path;
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  for (const auto& [name, value] : query) {
    url += separator + name + "=" + percent_encode(value);
    separator = '&';
  }
  return url;
}

std::string Client::device_update(std::string_view rest) const {
  return "/deviceUpdate/" + percent_encode(connection_.instance) + std::string(rest);
}
std::string Client::godwit(std::string_view rest) const {
  return "/godwit/v1/" + percent_encode(connection_.instance) + std::string(rest);
}

namespace {
std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* user) {
  const ssize_t got = ::read(*static_cast<int*>(user), buffer, size * count);
  return got < 0 ? CURL_READFUNC_ABORT : static_cast<std::size_t>(got);
}
int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t total, curl_off_t done) {
  const auto& call = *static_cast<OnUploaded*>(user);
  if (call && total > 0) call(static_cast<ByteCount>(done), static_cast<ByteCount>(total));
  return 0;
}
}  // namespace

Result<Response> Client::perform(Call& call) {
  CURL* curl = curl_;
  curl_easy_reset(curl);
  Response response;
  char reason[CURL_ERROR_SIZE] = "";
  curl_slist* headers = nullptr;
  for (const auto& line : call.headers) headers = curl_slist_append(headers, line.c_str());
  headers = curl_slist_append(headers, "Accept: application/json");
  headers = curl_slist_append(headers, ("X-Godwit-Instance: " + connection_.instance).c_str());
  if (!connection_.token.empty())
    headers = curl_slist_append(headers, ("Authorization: Bearer " + connection_.token.reveal()).c_str());

  curl_easy_setopt(curl, CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call.method.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(patience_.count()));
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "godwit/" GODWIT_VERSION);
  if (!connection_.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, connection_.ca_file.c_str());
  Receiver receiver{.curl = curl, .body = &response.body, .on_bytes = call.on_bytes, .was_ended = &call.was_ended};
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiver);
  if (call.on_bytes != nullptr) {  // silence is normal there
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 0L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_idle);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &receiver);
  }
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &response.headers);
  if (call.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (call.file >= 0) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, &call.file);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(call.file_size));
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &call.on_uploaded);
  } else if (!call.body.empty() || call.method == "POST") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call.body.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  const CURLcode rc = curl_easy_perform(curl);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_slist_free_all(headers);
  response.status = static_cast<int>(status);
  // A service that refuses an upload early answers and closes: its answer tells more than our broken pipe.
  if (rc != CURLE_OK && !call.was_ended && !(rc == CURLE_SEND_ERROR && status >= 400)) {
    std::string text = connection_.url + ": " + (reason[0] != '\0' ? reason : curl_easy_strerror(rc));
    if (rc == CURLE_PEER_FAILED_VERIFICATION) text += "; give the service's CA with --ca or GODWIT_CA";
    return fail(Code::network_failed, text);
  }
  return response;
}

Result<Response> Client::send(std::string_view method, const std::string& path, const Query& query,
                              const std::string& body, const std::vector<std::string>& extra_headers) {
  Query full = query;
  const bool is_next_link = path.find("api-version=") != std::string::npos;
  if (path.starts_with("/deviceUpdate/") && !is_next_link) full.insert(full.begin(), {"api-version", "2022-10-01"});
  const bool is_hub = path.starts_with("/devices") || path.starts_with("/twins") || path.starts_with("/jobs") ||
                      path.starts_with("/messages");
  if (is_hub && !is_next_link) full.insert(full.begin(), {"api-version", "2021-04-12"});
  for (const char* family : {"/enrollments", "/enrollmentGroups", "/registrations"})
    if (path.starts_with(family)) full.insert(full.begin(), {"api-version", "2021-10-01"});
  Call call{.method = std::string(method), .url = full_url(path, full), .body = body, .headers = extra_headers};
  const bool has_type = std::any_of(call.headers.begin(), call.headers.end(),
                                    [](const std::string& h) { return lower_case(h).starts_with("content-type:"); });
  if (!body.empty() && !has_type) call.headers.emplace_back("Content-Type: application/json");
  GODWIT_TRY(auto response, perform(call));
  if (response.status >= 400)
    return tl::unexpected<Error>{error_from_response(response, std::string(method) + " " + path)};
  return response;
}

Result<void> Client::stream(const std::string& path, const Query& query, const std::string& last_event_id,
                            const std::function<bool(std::string_view)>& on_bytes) {
  Call call{.method = "GET", .url = full_url(path, query), .body = {}, .headers = {}};
  if (!last_event_id.empty()) call.headers.push_back("Last-Event-ID: " + last_event_id);
  call.on_bytes = &on_bytes;
  GODWIT_TRY(const auto response, perform(call));
  if (response.status >= 400) return tl::unexpected<Error>{error_from_response(response, "GET " + path)};
  return {};
}

Result<json::Value> Client::get(const std::string& path, const Query& query) {
  GODWIT_TRY(const auto response, send("GET", path, query));
  return json::parse(response.body, {.bytes = kAnswerLimit, .depth = 64});
}

Result<json::Array> Client::get_all(const std::string& path, const Query& query, std::size_t limit) {
  json::Array all;
  std::string next = path;
  Query next_query = query;
  while (!next.empty() && all.size() < limit) {
    GODWIT_TRY(const auto answer, get(next, next_query));
    if (!answer.is_object()) return fail(Code::bad_json, path + ": the answer is not a page");
    const auto& page = answer.as_object();
    GODWIT_TRY(const json::Array* values, json::array(page, "value", path));
    all.insert(all.end(), values->begin(), values->end());
    next = json::text_or_nothing(page, "nextLink").value_or("");
    if (next.starts_with(connection_.url)) next.erase(0, connection_.url.size());
    if (!next.empty() && next.front() != '/')
      return fail(Code::bad_json, path + ": the nextLink leads to another host");
    next_query.clear();
  }
  return all;
}

Result<Response> Client::upload(const std::string& path, const Path& file, ByteCount first, ByteCount size,
                                const OnUploaded& on_uploaded) {
  GODWIT_CHECK(first < size);
  GODWIT_TRY(const auto fd, open_file(file, O_RDONLY));
  if (::lseek(fd.get(), static_cast<off_t>(first), SEEK_SET) < 0)
    return tl::unexpected<Error>{error_from_errno("read " + file.string(), errno)};
  Call call{.method = "PUT",
            .url = full_url(path, {}),
            .body = {},
            .headers = {"Content-Type: application/octet-stream", "Expect: 100-continue",
                        "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(size - 1) + "/" +
                            std::to_string(size)}};
  call.file = fd.get();
  call.file_size = size - first;
  call.on_uploaded = [&](ByteCount done, ByteCount) {
    if (on_uploaded) on_uploaded(first + done, size);
  };
  GODWIT_TRY(auto response, perform(call));
  if (response.status >= 400) return tl::unexpected<Error>{error_from_response(response, "upload of " + file.string())};
  return response;
}

}  // namespace godwit::cli
