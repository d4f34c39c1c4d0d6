#include "server/service/download_urls.hpp"

#include <fmt/format.h>

#include "core/base/text.hpp"
#include "core/trust/hmac.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kDigestHexSize = 64;
constexpr std::string_view kPackageBegin = "rootkeypackage-";
constexpr std::string_view kPackageEnd = ".json";

Bytes sign(const Secret& key, std::string_view sha256_hex, std::int64_t expiry) {
  return trust::hmac_sha256(key.reveal(), fmt::format("{}\n{}", sha256_hex, expiry));
}

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

DownloadUrls::DownloadUrls(std::string base_url, Secret key, Duration lifetime)
    : base_url_(std::move(base_url)), key_(std::move(key)), lifetime_(lifetime) {
  GODWIT_CHECK(key_.reveal().size() >= 32);
  GODWIT_CHECK(lifetime_ >= std::chrono::hours(1));
}

std::string DownloadUrls::payload(const Bytes& sha256, std::string_view file_name, WallTime now) const {
  const std::string hex = hex_encode(sha256);
  const std::int64_t expiry = unix_seconds(now + lifetime_);
  return fmt::format("{}/download/{}/{}?se={}&sig={}", base_url_, hex, percent_encode(file_name), expiry,
                     base64url_encode(sign(key_, hex, expiry)));
}

std::string DownloadUrls::root_key_package(std::int64_t version) const {
  return fmt::format("{}/rootkeys/{}{}{}", base_url_, kPackageBegin, version, kPackageEnd);
}

std::optional<std::int64_t> DownloadUrls::root_key_package_version(std::string_view file) {
  if (!file.starts_with(kPackageBegin) || !file.ends_with(kPackageEnd)) return std::nullopt;
  file.remove_prefix(kPackageBegin.size());
  if (file.size() < kPackageEnd.size()) return std::nullopt;
  file.remove_suffix(kPackageEnd.size());
  const auto version = to_number<std::int64_t>(file);
  return version && *version > 0 ? version : std::nullopt;
}

Result<Bytes> DownloadUrls::check(std::string_view sha256_hex, std::string_view expiry, std::string_view signature,
                                  WallTime now) const {
  if (sha256_hex.size() != kDigestHexSize)
    return fail(Code::invalid_argument, "the link's digest must have 64 hex digits");
  GODWIT_TRY(auto digest, hex_decode(sha256_hex));
  const std::int64_t seconds = to_number<std::int64_t>(expiry).value_or(-1);
  if (seconds < 0) return fail(Code::invalid_argument, "the link's expiry (se) must be a number of seconds");
  if (signature.size() > 64) return fail(Code::invalid_argument, "the link's signature (sig) is too long");
  GODWIT_TRY(const auto given, base64_decode(signature));
  // The signature is over the lower-case digest, whatever case the link was typed in.
  if (!equal_constant_time(given, sign(key_, hex_encode(digest), seconds)))
    return fail(Code::forbidden, "the link's signature does not fit; ask for a new link");
  if (unix_seconds(now) >= seconds)
    return fail(Code::forbidden, fmt::format("the link expired at unix time {}; ask for a new link", seconds));
  return digest;
}

}  // namespace godwit::service
