// Is this update what it claims to be, and is it for this device? The installer's own answer, from files that only root
// can write: trust anchors, the newest root key package it has seen, the device's properties. What the agent found does
// not count. Blocking (reads files); one thread.
#pragma once

#include <map>
#include <string>
#include <tl/expected.hpp>

#include "core/manifest/update_manifest.hpp"
#include "core/model/outcome.hpp"
#include "device/installer/installer_config.hpp"
#include "device/installer/messages.hpp"

namespace godwit::installer {

/// A failure of the update, with the code for its report.
struct Problem {
  ExtendedCode code = 0;
  std::string message{};
};
template <class T>
using Checked = tl::expected<T, Problem>;

struct Verified {
  manifest::UpdateManifest manifest;
  std::string manifest_text{};  // the whole manifest: the signed one, or the one the signed mini manifest points to
  std::string newer_package{};  // a root key package to keep; "" if the kept one is as new
  struct Child {
    manifest::UpdateManifest manifest;
    std::string text{};
  };
  std::map<std::string, Child> children{};  // file id -> the update that a reference step names
};

/// Order: anchors, package (rollback refused), signature, structure, detached manifest, child
/// manifests, compatibility. A child is believed for its hash in the signed manifest, and refers to no further one.
[[nodiscard]] Checked<Verified> verify(const OpenRequest& request, const InstallerConfig& config);

}  // namespace godwit::installer
