// What the hub believes today, made from its records once for each revision of them: its authorities with their
// revocation lists, and the keys and certificates of enrollment groups. Snapshots are immutable.
// TrustCache is safe from any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/hub/client_certificates.hpp"
#include "server/store/store.hpp"

namespace godwit::hub {

struct Trust {
  std::uint64_t revision = 0;
  std::map<std::string, trust::Certificate> authorities{};  // enabled ones, by name
  std::vector<trust::RevocationList> lists{};               // of enabled authorities
  trust::TrustedAuthorities hub;                            // both of the above: for devices of the hub

  struct KeyGroup {
    std::string id{};
    Secret primary_key{};
    Secret secondary_key{};
  };
  std::vector<KeyGroup> key_groups{};
  trust::TrustedAuthorities groups;                           // what groups name or carry
  std::map<std::string, std::string> group_of_certificate{};  // SHA-256 of a certificate -> group
};

class TrustCache {
 public:
  /// `records`: a reader's snapshot; what a transaction has not committed must not be remembered.
  [[nodiscard]] Result<std::shared_ptr<const Trust>> get(store::Records& records);

 private:
  std::mutex mutex_;
  std::shared_ptr<const Trust> present_{};
};

/// The certificates an enrollment attests by (signing certificates, or authorities by name; disabled authorities give
/// none).
[[nodiscard]] Result<std::vector<trust::Certificate>> anchors_of(
    const store::EnrollmentRecord& enrollment, const std::map<std::string, trust::Certificate>& named);

}  // namespace godwit::hub
