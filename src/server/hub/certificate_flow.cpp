// Client certificates of devices: tried at CONNECT on the pool, and again for live connections when authorities or
// revocation lists change.
#include "server/hub/hub_core.hpp"

namespace godwit::hub {
namespace {

constexpr std::size_t kRecheckBatch = 64;

}  // namespace

/// Live connections that are tried again together.
struct HubCore::Recheck {
  struct One {
    std::shared_ptr<Session> session;
    std::vector<Bytes> shown{};
    Result<void> verdict{};
  };
  std::vector<One> all{};
};

Result<void> HubCore::check_shown(store::Records& records, const store::DeviceIdentity& identity, Attempt& attempt) {
  if (attempt.shown.empty())
    return fail(Code::unauthorized, "the device is registered with a certificate, and none was shown");
  GODWIT_TRY(const ClientCertificates shown, parse_client_certificates(attempt.shown));
  GODWIT_TRY(const auto trust, trust_.get(records));
  GODWIT_TRY_VOID(check_certificate(identity, shown, trust->hub, clock_.now()));
  const bool is_by_authority = identity.authentication == store::Authentication::certificate_authority;
  attempt.proof = is_by_authority ? Session::Proof::authority : Session::Proof::thumbprint;
  attempt.proof_end = is_by_authority ? shown.leaf.facts().not_after : from_unix_ms(INT64_MAX / 2);
  return {};
}

void HubCore::recheck_certificates() {
  loop_.post([this] {
    if (is_stopping_) return;
    ++trust_changes_;
    auto batch = std::make_shared<Recheck>();
    for (const auto& [pointer, session] : sessions_) {
      if (!session->is_live() || session->device.proof != Session::Proof::authority) continue;
      batch->all.push_back({.session = session, .shown = session->peer_certificates()});
      if (batch->all.size() == kRecheckBatch) recheck(std::exchange(batch, std::make_shared<Recheck>()));
    }
    if (!batch->all.empty()) recheck(std::move(batch));
  });
}

void HubCore::recheck(std::shared_ptr<Recheck> batch) {
  auto job = [this, batch](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto trust, trust_.get(records));
    for (Recheck::One& one : batch->all) {
      GODWIT_TRY(const auto identity, records.devices().find_identity(*one.session->device.id));
      const auto shown = parse_client_certificates(one.shown);
      if (identity && shown) one.verdict = check_certificate(*identity, *shown, trust->hub, clock_.now());
    }
    return {};
  };
  auto then = [this, batch](const Result<void>& outcome) {
    if (!outcome)
      log_.warning("hub.store_failed", {{"what", "recheck certificates"}, {"error", outcome.error().message}});
    for (const Recheck::One& one : batch->all) {
      // A list that has expired stops new connections; it is no reason to end what was let in.
      if (one.verdict || one.verdict.error().code != Code::unauthorized || !one.session->is_live()) continue;
      log_.info("hub.dropped", {{"device", one.session->device.id->str()}, {"reason", one.verdict.error().message}});
      one.session->end(one.verdict.error().message);
    }
  };
  desk_.read(std::move(job), std::move(then));
}

}  // namespace godwit::hub
