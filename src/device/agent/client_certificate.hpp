// The certificate by which a device proves itself to the hub, from PEM files that a renewal may replace at any time;
// its private key from a file, too, or from hardware.
// Functions without state; safe from any thread. They read files.
#pragma once

#include <string>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "device/agent/hardware_key.hpp"

struct ssl_ctx_st;

namespace godwit::agent {

/// Without chain_file the device has no certificate.
struct ClientCertificate {
  Path chain_file;        // the device's own certificate first, then those of authorities below the root
  Path key_file{};        // its private key, without a passphrase; may be the same file
  std::string key_uri{};  // or where in hardware it is (check_key_uri())

  [[nodiscard]] bool is_set() const { return !chain_file.empty(); }
};

/// Puts chain and key into `context`. Errors: tls_failed naming the file, with the reason: not there, no PEM, a
/// passphrase is needed, the key belongs to another certificate. `key`: opened from key_uri, if there is one; it must
/// outlive `context`.
[[nodiscard]] Result<void> use_client_certificate(ssl_ctx_st* context, const ClientCertificate& certificate,
                                                  const HardwareKey* key = nullptr);

/// SHA-256 of both files, or of the first and the URI: another value means that they were replaced. Errors: not_found,
/// io_failed, too_large (64 KiB).
[[nodiscard]] Result<std::string> fingerprint_of_files(const ClientCertificate& certificate);

/// From when to when the device's own certificate counts.
struct CertificateLife {
  WallTime begin{};
  WallTime end{};

  /// How long before its end somebody should know: a tenth of its life, at most two weeks.
  [[nodiscard]] Duration notice() const;
};
/// Errors: not_found, io_failed, too_large, tls_failed (no certificate in the file).
[[nodiscard]] Result<CertificateLife> life_of(const ClientCertificate& certificate);

/// True when the files differ from `fingerprint` and fit together: a renewal in mid-copy is not one yet.
[[nodiscard]] bool was_renewed(const ClientCertificate& certificate, const std::string& fingerprint);

}  // namespace godwit::agent
