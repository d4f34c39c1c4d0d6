#include "local_options.hpp"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <array>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"

namespace godwit::downloader_local {
namespace {

constexpr std::size_t kPathLimit = 4096;
constexpr std::size_t kPartLimit = 64;
constexpr std::size_t kListLimit = 16;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_plain_part(const std::string& part) { return !part.empty() && part != "." && part != ".."; }

/// The parts of an absolute path. Errors: invalid_argument.
Result<std::vector<std::string>> parts_of(std::string_view path) {
  if (path.empty() || path.front() != '/') return fail(Code::invalid_argument, "its path is not absolute");
  if (path.size() > kPathLimit)
    return fail(Code::invalid_argument, fmt::format("its path has more than {} bytes", kPathLimit));
  std::vector<std::string> parts = split(path.substr(1), '/');
  if (!std::all_of(parts.begin(), parts.end(), is_plain_part))
    return fail(Code::invalid_argument, "its path holds an empty part, '.' or '..'");
  return parts;
}

Result<uid_t> user_id(const std::string& name) {
  if (const auto number = to_number<std::uint32_t>(name)) return *number;
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16 * 1024> buffer{};
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return fail(Code::invalid_argument, fmt::format("the option owners names '{}', but there is no such user", name));
  return found->pw_uid;
}

Result<std::string> decoded(std::string_view text) {
  auto out = percent_decode(text);
  if (!out) return fail(Code::invalid_argument, "it holds a '%' without two hexadecimal digits");
  if (std::ranges::any_of(*out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }))
    return fail(Code::invalid_argument, "it holds a control character");
  return out;
}

}  // namespace

Result<LocalOptions> parse_local_options(std::string_view json) {
  GODWIT_TRY(const json::Object object, json::parse_object(json, {.bytes = 64 * 1024, .depth = 4}));
  LocalOptions options;
  const std::string folders = json::text_or_nothing(object, "folders").value_or("");
  if (folders.empty())
    return fail(Code::invalid_argument,
                "the option folders is missing: register the downloader with --option folders=/media/updates");
  const auto names = split(folders, ':');
  if (names.size() > kListLimit)
    return fail(Code::invalid_argument, fmt::format("the option folders names more than {} folders", kListLimit));
  for (const auto& name : names) {
    if (!parts_of(name))
      return fail(
          Code::invalid_argument,
          fmt::format("the option folders holds '{}', which is not an absolute path below '/' in its shortest form",
                      name.substr(0, 200)));
    options.folders.emplace_back(name);
  }
  const std::string owners = json::text_or_nothing(object, "owners").value_or("");
  if (owners.empty()) return options;
  const auto users = split(owners, ':');
  if (users.size() > kListLimit)
    return fail(Code::invalid_argument, fmt::format("the option owners names more than {} users", kListLimit));
  for (const auto& user : users) {
    GODWIT_TRY(const uid_t id, user_id(user));
    options.owners.push_back(id);
  }
  return options;
}

Result<Path> path_of_url(std::string_view url) {
  constexpr std::string_view kScheme = "file:";
  if (!equal_in_any_case(url.substr(0, kScheme.size()), kScheme))
    return fail(Code::invalid_argument, "it is not a file: URL");
  url.remove_prefix(kScheme.size());
  if (url.find_first_of("?#") != std::string_view::npos)
    return fail(Code::invalid_argument,
                "it has a query or a fragment; write %3F or %23 for such a character in a name");
  if (url.starts_with("//")) {
    url.remove_prefix(2);
    const auto slash = std::min(url.find('/'), url.size());
    const std::string_view host = url.substr(0, slash);
    if (!host.empty() && !equal_in_any_case(host, "localhost"))
      return fail(Code::invalid_argument, "it names a host: write file:///folder/name with three slashes");
    url.remove_prefix(slash);
  }
  GODWIT_TRY(const std::string path, decoded(url));
  GODWIT_TRY(const auto parts, parts_of(path));
  if (parts.size() > kPartLimit)
    return fail(Code::invalid_argument, fmt::format("its path has more than {} parts", kPartLimit));
  return Path(path);
}

Result<Place> find_place(const Path& path, const std::vector<Path>& folders) {
  std::string known;
  for (const Path& folder : folders) {
    const std::string prefix = folder.string() + "/";
    if (path.string().starts_with(prefix))
      return Place{.folder = folder, .parts = split(path.string().substr(prefix.size()), '/')};
    known += (known.empty() ? "" : ", ") + folder.string();
  }
  return fail(Code::refused, fmt::format("it lies outside of the folders that this downloader may read: {}", known));
}

}  // namespace godwit::downloader_local
