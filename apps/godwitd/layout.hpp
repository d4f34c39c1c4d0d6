// Where things are in the data folder. Values.
#pragma once

#include "core/base/file.hpp"

namespace godwit::daemon {

struct Layout {
  Path data;

  [[nodiscard]] Path config() const { return data / "godwit.toml"; }
  [[nodiscard]] Path ca_certificate() const { return data / "tls" / "ca.pem"; }
  [[nodiscard]] Path ca_key() const { return data / "tls" / "ca-key.pem"; }  // off-line after init
  [[nodiscard]] Path server_certificate() const { return data / "tls" / "server.pem"; }
  [[nodiscard]] Path server_key() const { return data / "tls" / "server-key.pem"; }
  [[nodiscard]] Path root_key(int number) const {
    return data / "keys" / ("root-" + std::to_string(number) + ".pem");
  }  // off-line after init
  [[nodiscard]] Path signing_key() const { return data / "keys" / "signing.pem"; }
  [[nodiscard]] Path signed_jwk() const { return data / "keys" / "signing.sjwk"; }
  /// Keys that belong together and are being put in place; there only in the midst of that.
  [[nodiscard]] Path key_change() const { return data / "keys" / "change"; }
  [[nodiscard]] Path trust_anchors() const { return data / "trust-anchors.json"; }  // to copy to devices
  [[nodiscard]] Path root_key_package() const { return data / "rootkeypackage.json"; }
  [[nodiscard]] Path admin_token() const { return data / "admin.token"; }
  [[nodiscard]] Path enrolment_url() const { return data / "enrolment.url"; }  // for godwit-agent enrol; a secret
  [[nodiscard]] Path url_key() const { return data / "secrets" / "url.key"; }
  [[nodiscard]] Path store_key() const {
    return data / "secrets" / "store.key";
  }  // keys in the database are sealed with it
  [[nodiscard]] Path database() const { return data / "db" / "godwit.sqlite"; }
  [[nodiscard]] Path blobs() const { return data / "blobs"; }
  [[nodiscard]] Path device_logs() const { return data / "device-logs"; }
  [[nodiscard]] Path pulse() const { return data / "db" / "pulse.json"; }
  [[nodiscard]] Path instances() const { return data / "instances"; }
  /// A further instance: the same places for what is its own (database, payloads, logs, secrets), below its folder.
  [[nodiscard]] Layout instance(const std::string& id) const { return {instances() / id}; }
  [[nodiscard]] Path instance_config() const { return data / "instance.toml"; }
  [[nodiscard]] Path ports() const { return data / "run" / "ports.json"; }
};

}  // namespace godwit::daemon
