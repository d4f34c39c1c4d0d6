#include "server/api/console/console_files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/base/text.hpp"
#include "server/api/range.hpp"
#include "server/api/services.hpp"

namespace godwit::api {
namespace {

constexpr std::string_view kAssets = "assets/";
constexpr std::string_view kStartPage = "index.html";

/// Nothing from elsewhere, no script or style inside a page, nobody's frame.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

[[nodiscard]] std::string_view type_of(std::string_view name) {
  constexpr auto kTypes = std::to_array<std::pair<std::string_view, std::string_view>>({
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".txt", "text/plain; charset=utf-8"},
      {".json", "application/json; charset=utf-8"},
  });
  for (const auto& [ending, type] : kTypes)
    if (name.ends_with(ending)) return type;
  return "";
}

[[nodiscard]] std::string path_below(const Request& request) { return request.parameter("path"); }

Result<Reply> get_console(const Request& request, Services& services) {
  if (services.console == nullptr)
    return fail(
        Code::not_found,
        "this service runs without its web console; build it (docs/howto/use-the-console.md) or name its folder "
        "with console.folder");
  return services.console->answer(path_below(request), request);
}

}  // namespace

bool takes_gzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    const auto comma = std::min(accept_encoding.find(','), accept_encoding.size());
    const std::string one = lower_case(trimmed(accept_encoding.substr(0, comma)));
    accept_encoding.remove_prefix(std::min(comma + 1, accept_encoding.size()));
    const auto semicolon = std::min(one.find(';'), one.size());
    if (trimmed(std::string_view(one).substr(0, semicolon)) != "gzip") continue;
    const std::string_view weight = trimmed(std::string_view(one).substr(std::min(semicolon + 1, one.size())));
    return !(weight.starts_with("q=0") && weight.find_first_not_of("0.", 2) == std::string_view::npos);
  }
  return false;
}

Result<void> ConsoleFiles::add(std::map<std::string, File, std::less<>>& files, const std::string& name, Bytes bytes) {
  const std::string_view type = type_of(name);
  if (type.empty())
    return fail(Code::unsupported, "'" + name + "' in the console's folder is of a kind that is not served");
  std::string etag = "\"" + hex_encode(sha256(bytes)).substr(0, 32) + "\"";
  files[name] = File{.type = std::string(type), .etag = std::move(etag), .bytes = std::move(bytes)};
  return {};
}

Result<ConsoleFiles> ConsoleFiles::load(const Path& folder) {
  ConsoleFiles console;
  std::map<std::string, Bytes> zipped;
  ByteCount total = 0;
  std::error_code error;
  if (!std::filesystem::is_regular_file(folder / kStartPage, error))
    return fail(Code::not_found, "'" + folder.string() + "' has no index.html of the console");
  std::filesystem::recursive_directory_iterator walk(folder, error);
  for (; !error && walk != std::filesystem::recursive_directory_iterator(); walk.increment(error)) {
    if (!walk->is_regular_file(error) || walk->is_symlink(error)) continue;
    const std::string name = walk->path().lexically_relative(folder).generic_string();
    auto bytes = read_file(walk->path(), kFileMax);
    if (!bytes) return tl::unexpected<Error>{bytes.error()};
    total += bytes->size();
    if (total > kTotalMax) return fail(Code::too_large, "the console's folder holds more than 32 MiB");
    if (console.files_.size() + zipped.size() >= kFilesMax)
      return fail(Code::too_many, "the console's folder holds more than 512 files");
    if (name.ends_with(".gz"))
      zipped[name.substr(0, name.size() - 3)] = *std::move(bytes);
    else
      GODWIT_TRY_VOID(add(console.files_, name, *std::move(bytes)));
  }
  if (error) return fail(Code::io_failed, "'" + folder.string() + "' cannot be listed: " + error.message());
  for (auto& [name, bytes] : zipped)
    if (const auto plain = console.files_.find(name); plain != console.files_.end())
      plain->second.zipped = std::move(bytes);
  return console;
}

Result<Reply> ConsoleFiles::answer(std::string_view path, const Request& request) const {
  auto found = files_.find(path);
  const bool is_asset = path.starts_with(kAssets);
  if (found == files_.end()) {
    if (is_asset)
      return fail(Code::not_found,
                  "the console has no file '" + std::string(path.substr(0, 128)) + "'; reload the page");
    found = files_.find(kStartPage);
  }
  const File& file = found->second;
  const bool is_zipped = !file.zipped.empty() && takes_gzip(request.header("accept-encoding").value_or(""));
  std::string etag = file.etag;
  if (is_zipped) etag.insert(etag.size() - 1, "-gz");
  Reply reply{.content_type = file.type};
  reply.headers = {{"ETag", etag},
                   {"Vary", "Accept-Encoding"},
                   // Names below assets/ carry a hash of their content; all else is asked for again, by its tag.
                   {"Cache-Control", is_asset ? "public, max-age=31536000, immutable" : "no-cache"},
                   {"Content-Security-Policy", std::string(kPolicy)},
                   {"Cross-Origin-Opener-Policy", "same-origin"},
                   {"Referrer-Policy", "no-referrer"}};
  if (names_etag(request.header("if-none-match").value_or(""), etag)) {
    reply.status = 304;
    return reply;
  }
  if (is_zipped) reply.headers.emplace_back("Content-Encoding", "gzip");
  reply.body = is_zipped ? file.zipped : file.bytes;
  return reply;
}

const std::vector<Route>& console_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/console", Permission::none, get_console},
      {Method::get, "/console/{path...}", Permission::none, get_console},
  };
  return routes;
}

}  // namespace godwit::api
