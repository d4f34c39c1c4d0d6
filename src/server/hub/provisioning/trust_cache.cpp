#include "server/hub/provisioning/trust_cache.hpp"

namespace godwit::hub {
namespace {

constexpr std::size_t kPage = 100;

Result<void> read_authorities(store::Records& records, Trust& trust) {
  GODWIT_TRY(const auto authorities, records.provisioning().list_authorities(true));
  for (const store::AuthorityRecord& record : authorities) {
    if (!record.is_enabled) continue;
    auto certificate = trust::Certificate::from_der(record.certificate);
    if (!certificate) return with_context("authority '" + record.name + "'", certificate.error());
    trust.authorities.emplace(record.name, *std::move(certificate));
    if (record.revocation_list.empty()) continue;
    auto list = trust::RevocationList::from_der(record.revocation_list);
    if (!list) return with_context("authority '" + record.name + "'", list.error());
    trust.lists.push_back(*std::move(list));
  }
  std::vector<trust::Certificate> all;
  for (const auto& [name, certificate] : trust.authorities) all.push_back(certificate);
  GODWIT_TRY(trust.hub, trust::TrustedAuthorities::make(all, trust.lists));
  return {};
}

Result<void> read_groups(store::Records& records, Trust& trust) {
  std::vector<trust::Certificate> anchors;
  std::string after;
  for (;;) {
    GODWIT_TRY(const auto page, records.provisioning().list_enrollments(store::EnrollmentKind::group, after, kPage));
    for (const store::EnrollmentRecord& group : page) {
      if (group.attestation == store::Attestation::symmetric_key) {
        trust.key_groups.push_back(
            {.id = group.id, .primary_key = group.primary_key, .secondary_key = group.secondary_key});
        continue;
      }
      GODWIT_TRY(const auto certificates, anchors_of(group, trust.authorities));
      for (const trust::Certificate& one : certificates)
        if (trust.group_of_certificate.emplace(one.facts().sha256, group.id).second) anchors.push_back(one);
    }
    if (page.size() < kPage) break;
    after = page.back().id;
  }
  GODWIT_TRY(trust.groups, trust::TrustedAuthorities::make(anchors, trust.lists));
  return {};
}

}  // namespace

Result<std::vector<trust::Certificate>> anchors_of(const store::EnrollmentRecord& enrollment,
                                                   const std::map<std::string, trust::Certificate>& named) {
  std::vector<trust::Certificate> anchors;
  for (const std::string* text : {&enrollment.primary_certificate, &enrollment.secondary_certificate}) {
    if (text->empty()) continue;
    if (enrollment.attestation == store::Attestation::authority_reference) {
      if (const auto found = named.find(*text); found != named.end()) anchors.push_back(found->second);
      continue;
    }
    auto certificate = trust::Certificate::from_pem(*text);
    if (!certificate) return with_context("enrollment '" + enrollment.id + "'", certificate.error());
    anchors.push_back(*std::move(certificate));
  }
  return anchors;
}

Result<std::shared_ptr<const Trust>> TrustCache::get(store::Records& records) {
  GODWIT_TRY(const std::uint64_t revision, records.provisioning().trust_revision());
  const std::lock_guard lock(mutex_);
  if (present_ && present_->revision == revision) return present_;
  auto made = std::make_shared<Trust>();
  made->revision = revision;
  GODWIT_TRY_VOID(read_authorities(records, *made));
  GODWIT_TRY_VOID(read_groups(records, *made));
  // An older snapshot may ask later than a newer one: it gets its own and leaves the newer in place.
  if (!present_ || present_->revision < revision) present_ = made;
  return std::shared_ptr<const Trust>(std::move(made));
}

}  // namespace godwit::hub
