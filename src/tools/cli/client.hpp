// The REST client of the CLI: HTTPS by libcurl, bearer token, pinned CA, JSON in and out. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/secret.hpp"

namespace godwit::cli {

/// Where the service is and who we are.
struct Connection {
  std::string url;  // "https://host:port", no trailing slash
  Secret token;
  Path ca_file;  // empty: the system's CAs
  std::string instance = "default";
};

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // names lower-cased
  std::string body;

  [[nodiscard]] std::string header(std::string_view lower_case_name) const;
};

using Query = std::vector<std::pair<std::string, std::string>>;
using OnUploaded = std::function<void(ByteCount done, ByteCount total)>;

class Client {
 public:
  explicit Client(Connection connection);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] const Connection& connection() const { return connection_; }

  /// Any answer below 400, or the service's own words as an Error (not_found, conflict, unauthorized ...);
  /// network_failed otherwise.
  [[nodiscard]] Result<Response> send(std::string_view method, const std::string& path, const Query& query = {},
                                      const std::string& body = {}, const std::vector<std::string>& extra_headers = {});
  [[nodiscard]] Result<json::Value> get(const std::string& path, const Query& query = {});
  /// Follows nextLink to the end; at most `limit` items.
  [[nodiscard]] Result<json::Array> get_all(const std::string& path, const Query& query = {},
                                            std::size_t limit = 100'000);
  /// GET of server-sent events. `on_bytes` returns false to end it, and is also called without bytes,
  /// about once a second. Nothing is kept. Errors: as send(), and
  /// network_failed when the stream breaks off.
  [[nodiscard]] Result<void> stream(const std::string& path, const Query& query, const std::string& last_event_id,
                                    const std::function<bool(std::string_view)>& on_bytes);
  /// How long the service may be silent before it counts as dead, for all later calls.
  void wait_for_answers(std::chrono::seconds time) { patience_ = time; }
  /// PUT of a file from byte `first` to its end at `size`, streamed, as an upload that may be continued.
  [[nodiscard]] Result<Response> upload(const std::string& path, const Path& file, ByteCount first, ByteCount size,
                                        const OnUploaded& on_uploaded);

  /// "/deviceUpdate/<instance>" + rest, and the query that family needs.
  [[nodiscard]] std::string device_update(std::string_view rest) const;
  [[nodiscard]] std::string godwit(std::string_view rest) const;

 private:
  struct Call;
  [[nodiscard]] Result<Response> perform(Call& call);
  [[nodiscard]] std::string full_url(const std::string& path, const Query& query) const;

  Connection connection_;
  std::chrono::seconds patience_{60};  // less than one byte a second for so long is a dead peer
  void* curl_;
};

/// The service's error body as one sentence: "code: message (inner code: inner message)".
[[nodiscard]] Error error_from_response(const Response& response, std::string_view what);

}  // namespace godwit::cli
