// Is this goal what its signature says, and is it for this device? The agent's own check, before anything is
// downloaded; the installer checks all of it again with its own anchors. Blocking; belongs to the worker thread.
#pragma once

#include <stop_token>
#include <string>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "core/manifest/update_manifest.hpp"
#include "core/model/compatibility.hpp"
#include "core/twin/dialect.hpp"
#include "device/agent/components.hpp"
#include "device/agent/payloads.hpp"
#include "device/agent/trouble.hpp"

namespace godwit::agent {

struct AgentConfig;

struct VerifySettings {
  Path trust_anchors;
  Path root_keys_file;  // the newest package seen: an older one is refused
  CompatibilitySet device_properties;
  Path time_file{};  // TrustedTime's, which the link writes
};

/// When the root key package that was accepted last has ended: "version 3 ended on ...", else "". Reads three files.
[[nodiscard]] std::string end_of_root_keys(const AgentConfig& config, const Clock& clock);

struct VerifiedGoal {
  manifest::UpdateManifest manifest;  // the whole one, also when a mini manifest was signed
  std::string detached_manifest{};    // text of the detached file, when there is one
  std::string root_key_package{};
  json::Object children{};  // file id -> text of the file that a reference step points to
  Selectors selectors{};    // which components each child is for
};

/// Fetches the root key package (a detached manifest, the manifests of referenced updates) into `sandbox` and checks
/// anchors, package, signature, digest, manifest and compatibility, in this order.
/// A package that has ended is refused: whoever keeps newer ones from the device must not have it install what a
/// disabled key signed. The installer, which has no time it can trust, does not judge this.
[[nodiscard]] Attempt<VerifiedGoal> verify_goal(const twin::DesiredUpdate& goal, const VerifySettings& settings,
                                                Payloads& payloads, const Path& sandbox, const std::stop_token& stop,
                                                const Clock& clock, Log& log);

}  // namespace godwit::agent
