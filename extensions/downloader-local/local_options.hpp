// What the local downloader is told, checked: the folders it may read, whose files it takes, the path in a URL. Pure
// but for the look-up of user names; safe from any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::downloader_local {

struct LocalOptions {
  std::vector<Path> folders{};  // absolute, in their shortest form; only what lies below is read
  std::vector<uid_t> owners{};  // whose files and folders are taken; root and the agent's own user always are
};
/// From the options of the registration: `folders` (needed) and `owners`, both separated by ':'. Others are ignored.
/// Errors: bad_json, invalid_argument naming the option and what to write there.
[[nodiscard]] Result<LocalOptions> parse_local_options(std::string_view json);

/// The path in "file:/a/b", "file:///a/b" or "file://localhost/a/b", with %XX decoded. Errors: invalid_argument for
/// another scheme or host, a query, a path that is not absolute, holds "..", "." or an empty part, a NUL or a control
/// character, or has more than 4096 bytes.
[[nodiscard]] Result<Path> path_of_url(std::string_view url);

/// Where `path` lies: the folder of `folders` and the parts below it. Errors: refused with the folders there are.
struct Place {
  Path folder{};
  std::vector<std::string> parts{};  // folders, then the file; at least one, at most 64
};
[[nodiscard]] Result<Place> find_place(const Path& path, const std::vector<Path>& folders);

}  // namespace godwit::downloader_local
