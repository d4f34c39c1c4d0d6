#include "tools/fleet/keys.hpp"

#include <fmt/format.h>

#include "core/trust/sas.hpp"

namespace godwit::fleet {
namespace {

constexpr ByteCount kFileLimit = 64 * 1024 * 1024;
constexpr std::size_t kSmallestKey = 16;
constexpr std::size_t kLargestKey = 64;

Result<Secret> read_key(std::string_view base64) {
  auto key = base64_decode(base64);
  if (!key) return with_context("key", key.error());
  if (key->size() < kSmallestKey || key->size() > kLargestKey)
    return fail(Code::invalid_argument, fmt::format("the key has {} bytes; 16 to 64 are allowed", key->size()));
  return Secret(*std::move(key));
}

/// "HostName=h;DeviceId=d;SharedAccessKey=k", in any order; the host is the run's, not the line's.
Result<Identity> read_connection_string(std::string_view line) {
  std::string_view id;
  std::string_view key;
  while (!line.empty()) {
    const std::string_view part = line.substr(0, line.find(';'));
    line.remove_prefix(std::min(part.size() + 1, line.size()));
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    if (part.substr(0, equals) == "DeviceId") id = part.substr(equals + 1);
    if (part.substr(0, equals) == "SharedAccessKey") key = part.substr(equals + 1);
  }
  if (id.empty() || key.empty())
    return fail(Code::invalid_argument, "a connection string must have DeviceId and SharedAccessKey");
  GODWIT_TRY(auto device, DeviceId::parse(id));
  GODWIT_TRY(auto secret, read_key(key));
  return Identity{.id = std::move(device), .key = std::move(secret)};
}

Result<Identity> read_line(std::string_view line) {
  if (line.starts_with("HostName=") || line.starts_with("DeviceId=")) return read_connection_string(line);
  const auto blank = line.find(' ');
  if (blank == std::string_view::npos)
    return fail(Code::invalid_argument, "a line must be: device, one blank, key in base64; or a connection string");
  GODWIT_TRY(auto id, DeviceId::parse(line.substr(0, blank)));
  GODWIT_TRY(auto key, read_key(line.substr(blank + 1)));
  return Identity{.id = std::move(id), .key = std::move(key)};
}

}  // namespace

Result<std::vector<Identity>> parse_keys(std::string_view text, std::string_view name, std::size_t first,
                                         std::size_t count) {
  std::vector<Identity> identities;
  std::size_t number = 0;
  std::size_t seen = 0;
  while (!text.empty() && (count == 0 || identities.size() < count)) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#') || seen++ < first) continue;
    auto identity = read_line(line);
    if (!identity) return with_context(fmt::format("{} line {}", name, number), identity.error());
    identities.push_back(*std::move(identity));
  }
  if (identities.empty() || identities.size() < count)
    return fail(Code::invalid_argument, fmt::format("{} has {} devices after the first {}; {} are wanted", name,
                                                    identities.size(), first, std::max<std::size_t>(count, 1)));
  return identities;
}

Result<std::vector<Identity>> read_keys(const Path& file, std::size_t first, std::size_t count) {
  GODWIT_TRY(const std::string text, read_file(file, kFileLimit));
  return parse_keys(text, file.string(), first, count);
}

Result<std::vector<Identity>> derive_keys(std::string_view group_key_base64, std::string_view prefix, std::size_t first,
                                          std::size_t count) {
  std::vector<std::string> names;
  names.reserve(count);
  for (std::size_t number = first; number < first + count; ++number)
    names.push_back(fmt::format("{}{}", prefix, number));
  return derive_keys(group_key_base64, names);
}

Result<std::vector<Identity>> derive_keys(std::string_view group_key_base64, const std::vector<std::string>& names) {
  GODWIT_TRY(const Secret group_key, read_key(group_key_base64));
  std::vector<Identity> identities;
  identities.reserve(names.size());
  for (const std::string& name : names) {
    GODWIT_TRY(auto id, DeviceId::parse(name));
    Secret key(trust::derive_device_key(group_key.reveal(), id.str()));
    identities.push_back(Identity{.id = std::move(id), .key = std::move(key)});
  }
  return identities;
}

}  // namespace godwit::fleet
