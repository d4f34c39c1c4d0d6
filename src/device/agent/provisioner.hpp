// Finds out to which hub this device belongs and under which id: from the file where that is kept, or by asking the
// provisioning service. Asked again only when the hub refuses the device. Used by the link's thread.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "core/base/log.hpp"
#include "device/agent/dialer.hpp"
#include "device/agent/provisioning_session.hpp"

namespace godwit::agent {

struct ProvisioningSettings {
  TlsTarget target;  // of the service; with the device's certificate, if it has one
  RegistrationRequest request;
  Path key_file;        // the device's own key, base64; "" with a certificate
  Path group_key_file;  // or a group's key, from which the device's own is derived into `derived_key_file`
  Path derived_key_file;
  Path file;  // where the assignment is kept
  Duration token_lifetime = std::chrono::hours(1);
};

class Provisioner {
 public:
  Provisioner(ProvisioningSettings settings, Dialer& dialer, const Clock& clock, const Wakeable& waiter, Log& log);

  /// The assignment that is kept, else a new one. Errors: as ProvisioningSession and Dialer::dial(); not_found,
  /// io_failed, invalid_argument (key files); the keeping file's.
  [[nodiscard]] Result<Assignment> find(const std::stop_token& stop);
  /// The hub refuses what find() gave: the service is asked at the next find().
  void doubt() { is_in_doubt_ = true; }
  /// The file with the key by which the device proves itself to the hub, too; "" with a certificate.
  [[nodiscard]] Path key_file() const;

 private:
  [[nodiscard]] Result<Assignment> ask(Way way, const std::stop_token& stop);
  [[nodiscard]] Result<void> derive_key() const;
  [[nodiscard]] Result<Secret> make_token() const;

  ProvisioningSettings settings_;
  Dialer& dialer_;
  const Clock& clock_;
  const Wakeable& waiter_;
  Log& log_;
  bool is_in_doubt_ = false;
};

/// What an earlier run kept, if it was kept for this id scope and registration; also for who only wants to know the
/// name.
[[nodiscard]] std::optional<Assignment> kept_assignment(const Path& file, const RegistrationRequest& request);

}  // namespace godwit::agent
