#include "server/service/diagnostics/upload_urls.hpp"

#include <fmt/format.h>

#include "core/base/bytes.hpp"
#include "core/trust/hmac.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kContainerBytes = 18;
constexpr std::size_t kLongestExpiry = 64;
constexpr std::size_t kLongestSignature = 128;

[[nodiscard]] Bytes sign(const Secret& key, std::string_view container, std::string_view expires) {
  return trust::hmac_sha256(key.reveal(), fmt::format("device-logs\n{}\n{}", container, expires));
}

}  // namespace

UploadUrls::UploadUrls(std::string base_url, Secret key) : base_url_(std::move(base_url)), key_(std::move(key)) {
  GODWIT_CHECK(key_.reveal().size() >= 32);
}

std::string UploadUrls::container_url(std::string_view container, WallTime expires) const {
  const std::string time = format_time(expires);
  return fmt::format("{}/device-logs/{}?sv=2020-08-04&sr=c&sp=cw&se={}&sig={}", base_url_, container,
                     percent_encode(time), percent_encode(base64_encode(sign(key_, container, time))));
}

Result<void> UploadUrls::check(std::string_view container, std::string_view expires, std::string_view signature,
                               WallTime now) const {
  constexpr std::string_view kRefused = "the upload's credential does not fit; ask for the logs again";
  if (expires.size() > kLongestExpiry || signature.size() > kLongestSignature)
    return fail(Code::forbidden, std::string(kRefused));
  const auto given = base64_decode(signature);
  if (!given || !equal_constant_time(*given, sign(key_, container, expires)))
    return fail(Code::forbidden, std::string(kRefused));
  const auto end = parse_time(expires);
  if (!end || *end <= now)
    return fail(Code::forbidden, fmt::format("the upload's credential expired at {}; ask for the logs again", expires));
  return {};
}

std::string make_container_name() { return "logs" + hex_encode(random_bytes(kContainerBytes)); }

}  // namespace godwit::service
