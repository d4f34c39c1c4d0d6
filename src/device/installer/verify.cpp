#include "device/installer/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/trust/manifest_signature.hpp"
#include "core/trust/root_keys.hpp"

namespace godwit::installer {
namespace {

constexpr ByteCount kAnchorsLimit = 256 * 1024;
constexpr ByteCount kPackageLimit = 256 * 1024;

tl::unexpected<Problem> problem(ExtendedCode code, std::string message) {
  return tl::unexpected<Problem>{Problem{code, std::move(message)}};
}

Checked<trust::TrustAnchors> read_anchors(const InstallerConfig& config) {
  if (auto is_private = check_private(config.trust_anchors); !is_private)
    return problem(erc::signature_failed, "trust anchors: " + is_private.error().message);
  const auto text = read_file(config.trust_anchors, kAnchorsLimit);
  if (!text)
    return problem(erc::signature_failed,
                   fmt::format("trust anchors: {}; copy the service's trust-anchors.json there", text.error().message));
  auto anchors = trust::TrustAnchors::parse(*text);
  if (!anchors)
    return problem(erc::signature_failed,
                   fmt::format("trust anchors in {}: {}", config.trust_anchors.string(), anchors.error().message));
  return *std::move(anchors);
}

/// The newest package seen so far; nothing if there is none or it does not hold any more (other anchors).
std::optional<trust::RootKeyPackage> kept_package(const InstallerConfig& config, const trust::TrustAnchors& anchors) {
  const auto text = read_file(config.root_keys_file(), kPackageLimit);
  if (!text) return std::nullopt;
  auto package = trust::verify_root_key_package(*text, anchors, 0);
  if (!package) return std::nullopt;
  return *std::move(package);
}

struct Roots {
  trust::RootKeyPackage package;
  bool is_newer = false;
};

Checked<Roots> choose_package(const OpenRequest& request, const InstallerConfig& config) {
  const auto anchors = read_anchors(config);
  if (!anchors) return tl::unexpected<Problem>{anchors.error()};
  auto kept = kept_package(config, *anchors);
  if (request.root_key_package.empty()) {
    if (kept) return Roots{*std::move(kept), false};
    return problem(erc::root_package_invalid,
                   "no root key package came with the update, and none is kept on the device");
  }
  auto offered = trust::check_root_key_package(request.root_key_package, *anchors, kept ? kept->version : 0);
  if (!offered) return problem(offered.error().code, offered.error().error.message);
  const bool is_newer = !kept || offered->version > kept->version;
  return Roots{*std::move(offered), is_newer};
}

Problem manifest_problem(std::string_view what, const Error& error) {
  return {error.code == Code::unsupported ? erc::manifest_version : erc::bad_manifest,
          fmt::format("{}: {}", what, error.message)};
}

/// The document {"updateManifest":"<text>"} under `file_id`: trusted by its size and hash in the signed manifest.
Checked<std::string> open_detached(const manifest::UpdateManifest& signed_manifest, const std::string& file_id,
                                   std::string_view document) {
  const auto file = signed_manifest.files.find(file_id);
  if (document.empty() || file == signed_manifest.files.end())
    return problem(erc::detached_manifest,
                   fmt::format("the manifest points to the file {}, which was not handed over", file_id));
  if (document.size() != file->second.size || sha256(document) != file->second.sha256())
    return problem(
        erc::detached_manifest,
        fmt::format("the detached manifest {} does not have the size and hash that the signed manifest names",
                    file->second.file_name));
  auto text = manifest::parse_detached_manifest(document);
  if (!text) return problem(erc::detached_manifest, "detached manifest: " + text.error().message);
  return *std::move(text);
}

/// The updates that reference steps name.
Checked<void> read_children(const OpenRequest& request, Verified& verified) {
  for (const manifest::UpdateStep& step : verified.manifest.steps) {
    const std::string& id = step.detached_manifest_file_id;
    if (id.empty() || verified.children.contains(id)) continue;
    const json::Value* document = json::find(request.children, id);
    auto text = open_detached(
        verified.manifest, id,
        document != nullptr && document->is_string() ? std::string_view(document->get_string()) : std::string_view{});
    if (!text) return tl::unexpected<Problem>{text.error()};
    auto child = manifest::parse_update_manifest(*text);
    if (!child) return tl::unexpected<Problem>{manifest_problem("child manifest", child.error())};
    const bool refers_on = std::any_of(child->steps.begin(), child->steps.end(),
                                       [](const auto& one) { return !one.detached_manifest_file_id.empty(); });
    if (refers_on || !child->detached_manifest_file_id.empty())
      return problem(erc::nested_reference,
                     fmt::format("the child update {} refers to another update itself; references go one level deep",
                                 child->update_id.str()));
    verified.children.emplace(id, Verified::Child{.manifest = *std::move(child), .text = *std::move(text)});
  }
  return {};
}

std::string list_of(const CompatibilitySet& set) {
  std::string text;
  for (const auto& [name, value] : set) text += (text.empty() ? "" : ", ") + name + "=" + value;
  return text.empty() ? "nothing" : text;
}

Checked<void> check_compatibility(const manifest::UpdateManifest& manifest, const CompatibilitySet& device) {
  if (matches_any(manifest.compatibility, device)) return {};
  std::string wanted;
  for (const CompatibilitySet& set : manifest.compatibility) wanted += (wanted.empty() ? "" : " or ") + list_of(set);
  return problem(erc::incompatible, fmt::format("{} is for devices with {}; this device has {}",
                                                manifest.update_id.str(), wanted, list_of(device)));
}

}  // namespace

Checked<Verified> verify(const OpenRequest& request, const InstallerConfig& config) {
  const auto roots = choose_package(request, config);
  if (!roots) return tl::unexpected<Problem>{roots.error()};
  if (const auto broken = trust::check_manifest_signature(request.manifest, request.signature, roots->package))
    return problem(broken->code, "manifest signature: " + broken->message);

  auto signed_manifest = manifest::parse_update_manifest(request.manifest);
  if (!signed_manifest) return tl::unexpected<Problem>{manifest_problem("manifest", signed_manifest.error())};
  Verified verified{.manifest = *std::move(signed_manifest),
                    .manifest_text = request.manifest,
                    .newer_package = roots->is_newer ? request.root_key_package : ""};
  if (!verified.manifest.detached_manifest_file_id.empty()) {
    auto text =
        open_detached(verified.manifest, verified.manifest.detached_manifest_file_id, request.detached_manifest);
    if (!text) return tl::unexpected<Problem>{text.error()};
    auto whole = manifest::parse_update_manifest(*text);
    if (!whole) return tl::unexpected<Problem>{manifest_problem("detached manifest", whole.error())};
    if (!whole->detached_manifest_file_id.empty())
      return problem(erc::detached_manifest, "the detached manifest is detached itself");
    if (whole->update_id != verified.manifest.update_id)
      return problem(erc::detached_manifest, fmt::format("the detached manifest is that of {}, not of {}",
                                                         whole->update_id.str(), verified.manifest.update_id.str()));
    verified.manifest = *std::move(whole);
    verified.manifest_text = *std::move(text);
  }
  if (const auto read = read_children(request, verified); !read) return tl::unexpected<Problem>{read.error()};
  if (const auto fits = check_compatibility(verified.manifest, config.compatibility()); !fits)
    return tl::unexpected<Problem>{fits.error()};
  return verified;
}

}  // namespace godwit::installer
