// Where else a file may come from, before the URL of the service: a folder with a medium, a cache of the site. A source
// is a URL with places in braces, filled in for each file. What comes is checked by hash like anything else. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "device/agent/record.hpp"

namespace godwit::agent {

/// What an update that had to go past a source reports beside its success.
inline constexpr ExtendedCode kSourceFailed = 0x40000103;  // it did not deliver
inline constexpr ExtendedCode kSourceWrong = 0x40000104;   // it holds another file than was signed

/// "" if `source` is a file:, http: or https: URL of at most 2048 characters that names the file by {sha256}, {name} or
/// {path}, beside which {host} may stand; else what is wrong with it.
[[nodiscard]] std::string check_source(std::string_view source, bool allow_http);

/// `source` for this file: {sha256} in 64 lower-case hex digits, {name} as in the manifest with %XX where a URL needs
/// it, {host} (with port) and {path} (with query, without the first '/') of the service's URL. "": it asks for a part
/// of `service_url` that is not there.
[[nodiscard]] std::string fill_source(std::string_view source, const PlannedFile& file, std::string_view service_url);

/// "https://user:secret@host/path?query" -> "https://host/path": for a log.
[[nodiscard]] std::string url_for_log(std::string_view url);
/// "HTTPS://x" -> "https"; "" without a ':'.
[[nodiscard]] std::string scheme_of(std::string_view url);

}  // namespace godwit::agent
