#include "device/agent/verify.hpp"

#include <fmt/format.h>

#include "core/base/text.hpp"
#include "core/trust/manifest_signature.hpp"
#include "core/trust/root_keys.hpp"
#include "device/agent/agent_config.hpp"
#include "device/agent/trusted_time.hpp"

namespace godwit::agent {
namespace {

constexpr ByteCount kRootKeyPackageLimit = 64 * 1024;
constexpr ByteCount kAnchorsLimit = 64 * 1024;
constexpr ByteCount kChildrenLimit =
    1024 * 1024;  // they travel to the installer and to the planner in one message each

/// The package that was accepted last; nullopt if there is none or it does not hold any more (other anchors).
std::optional<trust::RootKeyPackage> kept_package(const Path& file, const trust::TrustAnchors& anchors) {
  const auto text = read_file(file, kRootKeyPackageLimit);
  if (!text) return std::nullopt;
  auto package = trust::verify_root_key_package(*text, anchors, 0);
  return package ? std::optional(*std::move(package)) : std::nullopt;
}

/// By the time that is known for certain to have come: a clock that is behind is not believed. "" while it lasts.
std::string end_of(const trust::RootKeyPackage& package, const Path& time_file, const Clock& clock) {
  NullLog log;
  const WallTime now = TrustedTime(time_file, clock, log).now();
  if (!package.has_expired(now)) return "";
  return fmt::format("version {} ended on {}, and this device's time is {}; it needs a renewed one", package.version,
                     format_time(from_unix_ms(package.expires * 1000)), format_time(now));
}

Attempt<trust::RootKeyPackage> check_package(const std::string& text, const VerifySettings& settings,
                                             const Clock& clock, Log& log) {
  const auto file = read_file(settings.trust_anchors, kAnchorsLimit);
  if (!file)
    return trouble(erc::signature_failed,
                   "read the trust anchors: " + file.error().message + "; copy the service's trust-anchors.json there");
  const auto anchors = trust::TrustAnchors::parse(*file);
  if (!anchors)
    return trouble(erc::signature_failed, fmt::format("read the trust anchors in {}: {}",
                                                      settings.trust_anchors.string(), anchors.error().message));
  const auto kept = kept_package(settings.root_keys_file, *anchors);
  auto package = trust::check_root_key_package(text, *anchors, kept ? kept->version : 0);
  if (!package) return trouble(package.error().code, "root key package: " + package.error().error.message);
  if (!kept || kept->version < package->version) {
    if (auto written = write_file_durably(settings.root_keys_file, text); !written)
      log.warning("root_keys.not_kept",
                  {{"reason", written.error().message}});  // the installer keeps its own and refuses a rollback, too
  }
  if (const auto end = end_of(*package, settings.time_file, clock); !end.empty())
    return trouble(erc::root_package_expired, "root key package: " + end);
  return *std::move(package);
}

Trouble manifest_trouble(const Error& error, std::string_view what) {
  const bool is_version = error.code == Code::unsupported;
  return {result::failure, is_version ? erc::manifest_version : erc::bad_manifest,
          fmt::format("{}: {}", what, error.message)};
}

/// The file that a manifest points to, trusted by its hash in the signed manifest: its text, and the manifest inside.
struct Detached {
  std::string document{};
  manifest::UpdateManifest manifest{};
};
Attempt<Detached> fetch_detached(const manifest::UpdateManifest& signed_manifest, const std::string& id,
                                 Payloads& payloads, const Path& sandbox, const std::stop_token& stop) {
  const auto entry = signed_manifest.files.find(id);
  if (entry == signed_manifest.files.end())
    return trouble(erc::detached_manifest, "the manifest names a detached manifest file that it does not describe");
  if (entry->second.size > manifest::kDetachedManifestLimit)
    return trouble(erc::detached_manifest, "the detached manifest is larger than 2 MiB");
  const PlannedFile file{
      .id = id, .name = entry->second.file_name, .size = entry->second.size, .sha256 = entry->second.sha256()};
  const auto fetched = payloads.fetch(file, sandbox, stop, [](ByteCount) {});
  if (!fetched) return tl::unexpected<Trouble>{fetched.error()};
  auto bytes = read_file(sandbox / id, manifest::kDetachedManifestLimit);
  if (!bytes) return trouble(erc::detached_manifest, bytes.error().message);
  const auto inner = manifest::parse_detached_manifest(*bytes);
  if (!inner) return trouble(erc::detached_manifest, "detached manifest: " + inner.error().message);
  auto whole = manifest::parse_update_manifest(*inner);
  if (!whole)
    return tl::unexpected<Trouble>{manifest_trouble(whole.error(), "detached manifest " + entry->second.file_name)};
  if (!whole->detached_manifest_file_id.empty())
    return trouble(erc::detached_manifest, "the detached manifest points to another one");
  return Detached{.document = *std::move(bytes), .manifest = *std::move(whole)};
}

Attempt<void> fetch_whole(VerifiedGoal& verified, Payloads& payloads, const Path& sandbox,
                          const std::stop_token& stop) {
  auto detached =
      fetch_detached(verified.manifest, verified.manifest.detached_manifest_file_id, payloads, sandbox, stop);
  if (!detached) return tl::unexpected<Trouble>{detached.error()};
  if (detached->manifest.update_id != verified.manifest.update_id)
    return trouble(erc::detached_manifest,
                   fmt::format("the signed manifest is for {}, the detached one for {}",
                               verified.manifest.update_id.str(), detached->manifest.update_id.str()));
  verified.manifest = std::move(detached->manifest);
  verified.detached_manifest = std::move(detached->document);
  return {};
}

/// The updates that reference steps name, all of them before anything is planned.
Attempt<void> fetch_children(VerifiedGoal& verified, Payloads& payloads, const Path& sandbox,
                             const std::stop_token& stop) {
  ByteCount total = 0;
  for (const auto& step : verified.manifest.steps) {
    const std::string& id = step.detached_manifest_file_id;
    if (id.empty() || verified.children.contains(id)) continue;
    auto child = fetch_detached(verified.manifest, id, payloads, sandbox, stop);
    if (!child) return tl::unexpected<Trouble>{child.error()};
    total += child->document.size();
    if (total > kChildrenLimit)
      return trouble(erc::detached_manifest,
                     fmt::format("the manifests of the referenced updates have more than {} together",
                                 readable_size(kChildrenLimit)));
    if (!child->manifest.compatibility.empty()) verified.selectors[id] = child->manifest.compatibility.front();
    verified.children[id] = std::move(child->document);
  }
  return {};
}

std::string list_of(const CompatibilitySet& set) {
  std::string text;
  for (const auto& [name, value] : set) text += (text.empty() ? "" : ", ") + name + "=" + value;
  return text;
}

}  // namespace

std::string end_of_root_keys(const AgentConfig& config, const Clock& clock) {
  const auto text = read_file(config.trust_anchors, kAnchorsLimit);
  const auto anchors =
      text ? trust::TrustAnchors::parse(*text) : Result<trust::TrustAnchors>{tl::unexpect, text.error()};
  const auto package = anchors ? kept_package(config.root_keys_file(), *anchors) : std::nullopt;
  return package ? end_of(*package, config.time_file(), clock) : "";
}

Attempt<VerifiedGoal> verify_goal(const twin::DesiredUpdate& goal, const VerifySettings& settings, Payloads& payloads,
                                  const Path& sandbox, const std::stop_token& stop, const Clock& clock, Log& log) {
  if (goal.root_key_package_url.empty())
    return trouble(erc::no_root_key_url, "the service gave no URL for the root key package");
  auto text =
      payloads.fetch_text(goal.root_key_package_url, sandbox / "rootkeypackage.json", kRootKeyPackageLimit, stop);
  if (!text) {
    if (text.error().result_code == result::cancelled || text.error().extended_code == erc::downloader_missing)
      return tl::unexpected<Trouble>{text.error()};
    return trouble(erc::root_package_download, text.error().details);
  }
  const auto package = check_package(*text, settings, clock, log);
  if (!package) return tl::unexpected<Trouble>{package.error()};
  if (const auto problem = trust::check_manifest_signature(goal.manifest, goal.manifest_signature, *package))
    return trouble(problem->code, "manifest signature: " + problem->message);
  auto parsed = manifest::parse_update_manifest(goal.manifest);
  if (!parsed) return tl::unexpected<Trouble>{manifest_trouble(parsed.error(), "manifest")};

  VerifiedGoal verified{
      .manifest = *std::move(parsed), .detached_manifest = "", .root_key_package = *std::move(text), .children = {}};
  if (!verified.manifest.detached_manifest_file_id.empty()) {
    if (auto whole = fetch_whole(verified, payloads, sandbox, stop); !whole)
      return tl::unexpected<Trouble>{whole.error()};
  }
  if (!matches_any(verified.manifest.compatibility, settings.device_properties)) {
    std::string wanted;
    for (const auto& set : verified.manifest.compatibility) wanted += (wanted.empty() ? "" : " or ") + list_of(set);
    return trouble(erc::incompatible,
                   fmt::format("{} is for devices with {}; this device has {}", verified.manifest.update_id.str(),
                               wanted.empty() ? "nothing" : wanted, list_of(settings.device_properties)));
  }
  if (auto children = fetch_children(verified, payloads, sandbox, stop); !children)
    return tl::unexpected<Trouble>{children.error()};
  return verified;
}

}  // namespace godwit::agent
