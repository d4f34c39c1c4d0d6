// The web console as it was built: a folder of files, read once when the service starts and served from memory under
// /console. The pages talk to the public REST like anybody else; nothing here knows what they show. Immutable after
// load(); safe from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.hpp"
#include "server/api/http.hpp"

namespace godwit::api {

class ConsoleFiles {
 public:
  static constexpr std::size_t kFilesMax = 512;
  static constexpr ByteCount kFileMax = 4ULL * 1024 * 1024;
  static constexpr ByteCount kTotalMax = 32ULL * 1024 * 1024;

  /// Reads `folder` with what is below it. "x.gz" beside "x" is what clients get that take gzip. Blocks. Errors:
  /// not_found when there is no index.html, unsupported for a kind of file that has no content type here, too_large,
  /// too_many, io_failed.
  [[nodiscard]] static Result<ConsoleFiles> load(const Path& folder);

  /// The answer for `path` below /console ("" is the start page). What is not a file is a place inside the console and
  /// gets the start page, so that deep links work; only below assets/ a miss is a miss. Errors: not_found.
  [[nodiscard]] Result<Reply> answer(std::string_view path, const Request& request) const;

  [[nodiscard]] std::size_t count() const { return files_.size(); }

 private:
  struct File {
    std::string type;
    std::string etag;  // quoted
    std::string bytes;
    std::string zipped{};  // "": send it as it is
  };
  [[nodiscard]] static Result<void> add(std::map<std::string, File, std::less<>>& files, const std::string& name,
                                        Bytes bytes);
  std::map<std::string, File, std::less<>> files_;  // by path, without a leading '/'
};

/// True if an Accept-Encoding header takes gzip.
[[nodiscard]] bool takes_gzip(std::string_view accept_encoding);

/// GET /console and everything below it; Services::console says from where.
[[nodiscard]] const std::vector<Route>& console_routes();

}  // namespace godwit::api
