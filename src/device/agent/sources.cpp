#include "device/agent/sources.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"

namespace godwit::agent {
namespace {

constexpr std::size_t kSourceLimit = 2048;
constexpr auto kPlaces = std::to_array<std::string_view>({"sha256", "name", "path", "host"});

struct UrlParts {
  std::string_view host{};
  std::string_view path{};
};

UrlParts split_url(std::string_view url) {
  const auto start = url.find("://");
  if (start == std::string_view::npos) return {};
  url.remove_prefix(start + 3);
  const auto slash = std::min(url.find('/'), url.size());
  UrlParts parts{.host = url.substr(0, slash)};
  if (slash < url.size()) parts.path = url.substr(slash + 1);
  return parts;
}

/// Calls `text` and `place` for the parts of `source`, in order. False: a brace without its fellow.
template <class OnText, class OnPlace>
bool walk(std::string_view source, OnText text, OnPlace place) {
  while (!source.empty()) {
    const auto open = std::min(source.find('{'), source.size());
    if (source.substr(0, open).find('}') != std::string_view::npos) return false;
    text(source.substr(0, open));
    source.remove_prefix(open);
    if (source.empty()) return true;
    const auto close = source.find('}');
    if (close == std::string_view::npos) return false;
    place(source.substr(1, close - 1));
    source.remove_prefix(close + 1);
  }
  return true;
}

}  // namespace

std::string scheme_of(std::string_view url) {
  const auto colon = url.find(':');
  return colon == std::string_view::npos ? std::string{} : lower_case(url.substr(0, colon));
}

std::string check_source(std::string_view source, bool allow_http) {
  if (source.size() > kSourceLimit) return fmt::format("has more than {} characters", kSourceLimit);
  const std::string scheme = scheme_of(source);
  if (scheme == "http" && !allow_http) return "is http: write https, or set download.allow_http = true";
  if (scheme != "file" && scheme != "http" && scheme != "https") return "is not a file:, http: or https: URL";
  if (std::ranges::any_of(source, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; }))
    return "holds a space or a control character: write %20 for a space";
  std::string unknown;
  bool names_the_file = false;
  const bool is_paired = walk(
      source, [](std::string_view) {},
      [&](std::string_view place) {
        if (std::ranges::find(kPlaces, place) == kPlaces.end()) unknown = place;
        if (place != "host") names_the_file = true;
      });
  if (!is_paired) return "holds a brace without its fellow";
  if (!unknown.empty())
    return fmt::format("holds {{{}}}; known are {{sha256}}, {{name}}, {{path}} and {{host}}", unknown);
  if (!names_the_file) return "does not say which file: write {sha256}, {name} or {path} where its name belongs";
  return "";
}

std::string fill_source(std::string_view source, const PlannedFile& file, std::string_view service_url) {
  const UrlParts service = split_url(service_url);
  std::string filled;
  bool is_missing = false;
  const auto fill = [&](std::string_view text) {
    is_missing = is_missing || text.empty();
    filled += text;
  };
  const bool is_paired = walk(
      source, [&](std::string_view text) { filled += text; },
      [&](std::string_view place) {
        if (place == "sha256") fill(hex_encode(file.sha256));
        if (place == "name") fill(percent_encode(file.name));
        if (place == "path") fill(service.path);
        if (place == "host") fill(service.host);
      });
  return is_paired && !is_missing ? filled : std::string{};
}

std::string url_for_log(std::string_view url) {
  std::string plain(url.substr(0, url.find_first_of("?#")));
  const auto start = plain.find("://");
  if (start == std::string::npos) return plain;
  const auto slash = std::min(plain.find('/', start + 3), plain.size());
  const auto at = plain.rfind('@', slash);
  if (at != std::string::npos && at > start) plain.erase(start + 3, at - start - 2);
  return plain.substr(0, 512);
}

}  // namespace godwit::agent
