// Where an agent uploads its logs: a URL that looks like that of a storage container with a shared access signature,
// good for one agent in one collection until it expires:
//   https://HOST/device-logs/CONTAINER?sv=2020-08-04&sr=c&sp=cw&se=TIME&sig=BASE64
// The signature is HMAC-SHA256 over "device-logs\nCONTAINER\nTIME" with the installation's URL key. Immutable; safe
// from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace godwit::service {

class UploadUrls {
 public:
  /// `base_url`: "https://host:port" without a trailing slash, as devices reach it.
  UploadUrls(std::string base_url, Secret key);
  [[nodiscard]] std::string container_url(std::string_view container, WallTime expires) const;
  /// `expires` and `signature` as they stand in the query. Errors: forbidden.
  [[nodiscard]] Result<void> check(std::string_view container, std::string_view expires, std::string_view signature,
                                   WallTime now) const;

 private:
  std::string base_url_;
  Secret key_;
};

/// 40 characters that nobody guesses, of those that a container's name may have.
[[nodiscard]] std::string make_container_name();

}  // namespace godwit::service
