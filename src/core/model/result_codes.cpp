// The one table of codes. docs/reference/result-codes.md is made from it; a number is never given a second meaning.
#include <algorithm>
#include <array>

#include "core/model/outcome.hpp"

namespace godwit {
namespace {

constexpr ExtendedCodeRow one(ExtendedCode code, std::string_view name, std::string_view text) {
  return {code, code, name, text};
}

// clang-format off
constexpr auto kExtended = std::to_array<ExtendedCodeRow>({
    one(erc::none, "none", "No further information"),
    {0x00000001, 0x0000001B, "system_error", "A system call failed on the device; the low digits are its errno. Look into the device log for the call and the path"},
    one(erc::disk_full, "disk_full", "The device has no space left for the download or the image. Free space in its data folder, then retry the deployment"),
    {0x0000001D, 0x00000FFF, "system_error", "A system call failed on the device; the low digits are its errno. Look into the device log for the call and the path"},
    one(0x00100001, "hash_empty", "The manifest names no hash for a file, so the file cannot be trusted. Import the update again"),
    one(0x00100002, "hash_type", "The manifest names a hash algorithm that the device does not accept. Use sha256 and import the update again"),
    one(erc::hash_mismatch, "hash_mismatch", "A file on the device does not have the hash that the signed manifest names: it was changed or damaged on the way. Retry; if it stays, check the store and any cache in between"),
    one(erc::unexpected_state, "unexpected_state", "The agent was asked for a step that its present state does not allow. Retry the deployment; if it stays, send the agent's log"),
    one(0x20000002, "install_in_wrong_state", "The agent was asked to install before the download was complete. Retry the deployment"),
    one(0x20000003, "restore_failed", "The step failed and putting back the earlier version failed too: the device needs a look by hand"),
    one(erc::installer_unreachable, "installer_unreachable", "The agent cannot reach its installer. Check that the godwit-installer service runs on the device"),
    one(erc::reboot_failed, "reboot_failed", "A step wanted the device restarted, and it was not: the restart command failed or had no effect in its time. Try the command of restart.command in installer.toml by hand, then retry"),
    one(erc::not_in_place_after_restart, "not_in_place_after_restart", "What a step had installed was not in place after the restart that it had asked for; the step was restored. Look into the device log of both starts, e.g. for a fall back of the boot loader"),
    one(erc::consent_refused, "consent_refused", "The device's consent command said no; the details hold its reason. Retry once it may be changed"),
    one(erc::cancelled_on_device, "cancelled_on_device", "Somebody on the device ended the update (godwit-agent cancel). Ask there, then retry, here or with godwit-agent retry"),
    one(erc::plan_changed, "plan_changed", "The device's components changed while the update was under way, so that its plan does not hold any more. Retry the update: it is planned anew"),
    one(erc::internal, "internal", "The agent met a state that should not exist. Retry the deployment and send the agent's log"),
    one(erc::handler_missing, "handler_missing", "No step handler is registered on the device for the handler of this step. Register the extension, then retry"),
    one(erc::handler_crashed, "handler_crashed", "The step handler's process ended by itself. Look into the device log for its last lines, repair the extension, then retry"),
    one(erc::handler_timed_out, "handler_timed_out", "The step handler did not finish in its time and was ended. Raise the time limit or repair the step, then retry"),
    one(erc::handler_contract, "handler_contract", "The step handler speaks another version of the extension contract than the agent. Install a matching pair"),
    one(erc::handler_refused, "handler_refused", "The step handler refused the step; the details say why"),
    one(0x30100001, "swupdate_bad_image_list", "The step does not bring the .swu image that it should; the details say which is expected. Correct the step and import the update again"),
    one(0x30100002, "swupdate_no_criteria", "The step names no installedCriteria. Add it to handlerProperties and import the update again"),
    one(0x30100003, "swupdate_bad_config", "The device's own file for SWUpdate is missing or breaks its format; the details name the place. Correct it on the device, then retry"),
    one(0x30100004, "swupdate_not_trusted", "The image is not signed, or not by the key that the device trusts. Sign it with the right key and import the update again"),
    one(0x30100005, "swupdate_other_hardware", "The image is made for another hardware or revision than this device has. Look at hardware-compatibility in sw-description"),
    one(0x30100006, "swupdate_bad_image", "The image is damaged or no SWUpdate image; the details hold SWUpdate's words. Build it again and import the update again"),
    one(0x30100007, "swupdate_switch_failed", "The device's command that switches to the new side, or back, failed; the details hold its words. Try it by hand on the device, then retry"),
    {0x30101000, 0x301010FF, "swupdate_exit", "SWUpdate ended with the exit code in the last two digits; the details hold its error lines, the device log all of its output"},
    one(0x30200001, "apt_bad_manifest", "The APT manifest is missing or breaks its format; the details name the place. Correct it and import the update again"),
    one(0x30200002, "apt_no_criteria", "The step names no installedCriteria. Add it to handlerProperties and import the update again"),
    one(0x30200003, "apt_locked", "Another process kept the package system locked for too long; the details name it. Retry once it has ended, or raise lockTimeoutSeconds"),
    one(0x30200004, "apt_broken", "The device's package system is broken and could not be repaired. Run dpkg --audit and apt-get -f install on the device, then retry"),
    one(0x30200005, "apt_not_found", "A package or the version asked for is in none of the device's repositories. Look into its sources and into the version's exact spelling, then retry"),
    one(0x30200006, "apt_not_as_asked", "apt-get reported success, but a package is not as the step wants it; the details name it. Look into the device log"),
    one(0x30200007, "apt_restore_failed", "The earlier versions could not be put back; the details say which and why. The device needs a look by hand"),
    one(0x30200008, "deb_bad_file", "A file of the step is no Debian package. Build it again and import the update again"),
    {0x30201000, 0x302010FF, "apt_exit", "apt-get or dpkg ended with the exit code in the last two digits; the details hold its error lines, the device log all of its output"},
    one(0x30300001, "simulator_bad_data", "The simulator's data file cannot be read or breaks its format; the details name the place. Correct the file, then retry"),
    one(erc::nested_reference, "nested_reference", "A referenced update refers to another update, which is one level too many. Flatten it and import it again"),
    one(erc::too_many_steps, "too_many_steps", "With its components the update has more steps than a plan may have (100). Split it, or put fewer components on one device"),
    one(erc::script_no_file_name, "script_no_file_name", "The step names no scriptFileName. Add it to handlerProperties and import the update again"),
    one(erc::script_bad_result, "script_bad_result", "The script wrote no result file, or one that cannot be read. It must write JSON with resultCode, extendedResultCode and resultDetails to the path after --result-file"),
    one(erc::script_no_code, "script_no_code", "The script reported a failure without an extended code of its own; the details and the device log hold its output"),
    {0x30501000, 0x305010FF, "script_exit", "The script ended with the exit code in the last two digits. The device log holds its output"},
    one(0x34000001, "files_bad_properties", "A property of the step breaks its rule; the details name it. Correct it and import the update again"),
    one(0x34000002, "files_bad_archive", "The file is no tar archive, or it is damaged or cut off. Build it again and import the update again"),
    one(0x34000003, "files_unsafe_entry", "The archive holds something that is never unpacked: a name or link that leads out of the tree, a hard link, a device, a setuid bit. The details name the entry"),
    one(0x34000004, "files_too_large", "The archive unpacks to more than the step allows. Raise sizeLimitBytes if that is meant, and import the update again"),
    one(0x34000005, "files_cannot_write", "The tree could not be written or switched on the device; the details name path and cause"),
    one(0x34000006, "files_restart_failed", "The restart command failed after the switch; the earlier tree is put back. The details hold its words"),
    one(0x34000007, "files_unhealthy", "The health command did not succeed in its time after the switch; the earlier tree is put back. The details hold its words"),
    one(0x34000008, "files_restore_failed", "The earlier tree could not be put back, or its service not restarted: the device needs a look by hand"),
    one(0x35000001, "container_no_podman", "The device has no podman, which runs its containers. Install the package podman on it, or name the program with the registration's option podman, then retry"),
    one(0x35000002, "container_bad_properties", "A property of the step breaks its rule; the details name it. Correct it and import the update again"),
    one(0x35000003, "container_bad_archive", "The file is no archive of one container image, or it is damaged or cut off. Write it with podman save --format oci-archive and import the update again"),
    one(0x35000004, "container_other_platform", "The image is built for another kind of machine than this device; the details name both. Build it for the device's platform, or narrow the compatibility of the update"),
    one(0x35000005, "container_cannot_make", "podman could not take the image or make the container of it; the details hold its words. Try the same by hand on the device, then retry"),
    one(0x35000006, "container_not_ours", "The device has a container of this name that no update brought. Remove it, or give the service another name"),
    one(0x35000007, "container_cannot_start", "The new container could not take the former one's place or be started; the former one is put back. The details hold podman's words"),
    one(0x35000008, "container_unhealthy", "The new container did not become healthy in its time; the former one is put back. The details hold what was wrong and its last output"),
    one(0x35000009, "container_restore_failed", "The former container could not be put back: the device needs a look by hand. The details hold podman's words"),
    one(erc::downloader_missing, "downloader_missing", "No content downloader is registered on the device. Register one, then retry"),
    one(erc::download_bad_url, "download_bad_url", "A file of the update has no URL or one that the downloader does not speak. Check the service's public address, then retry"),
    one(erc::download_hash, "download_hash", "A downloaded file does not have the hash that the signed manifest names. Retry; if it stays, a proxy or cache in between changes content"),
    one(erc::download_failed, "download_failed", "A file could not be downloaded; the details name the cause. Check network, proxy and the service's certificate, then retry"),
    one(erc::download_size, "download_size", "A downloaded file is longer or shorter than the signed manifest says. Retry; if it stays, a proxy or cache in between changes content"),
    one(0x40000103, "source_failed", "A configured source of downloads did not deliver a file, so the next one was asked. The device log names source and cause"),
    one(0x40000104, "source_wrong", "A configured source of downloads holds another file than was signed, so the next one was asked. Renew what lies there"),
    {0x40301000, 0x403010FF, "curl_exit", "The download ended with the curl error in the last two digits. Check network, proxy and the service's certificate, then retry"},
    one(erc::components_unknown, "components_unknown", "The component enumerator could not say which components the device has; the details name the cause. Repair or register it again, then retry"),
    one(erc::manifest_hash, "manifest_hash", "The update manifest does not have the hash that its signature names, or has no signature: it was changed or damaged. Nothing was installed"),
    one(erc::bad_manifest, "bad_manifest", "The update manifest breaks a rule of its format; the details name the place. Import the update again with a present service"),
    one(erc::manifest_version, "manifest_version", "The update manifest has a version that this agent does not speak. Update the agent first"),
    one(erc::detached_manifest, "detached_manifest", "The manifest of the update or of a referenced one could not be fetched or read. Retry the deployment"),
    one(erc::no_root_key_url, "no_root_key_url", "The service named no root key package. Check the service's signing setup"),
    one(erc::incompatible, "incompatible", "The update is not made for this device: none of its compatibility sets matches the device's properties"),
    one(erc::root_package_invalid, "root_package_invalid", "The root key package is not valid: a member is wrong or a trust anchor's signature does not hold. Check which package the service publishes and which anchors the device has"),
    one(erc::root_package_rollback, "root_package_rollback", "The root key package is older than the one that the device has seen. Publish the newest one"),
    one(erc::root_package_expired, "root_package_expired", "The root key package has ended, so the device cannot know which keys were disabled since; nothing was installed. Publish a renewed one (godwitd root-keys renew), then retry. Where the service has one already, something on the way keeps it from the device"),
    one(erc::make_handler_missing, "make_handler_missing", "The download handler that a file names is not registered on the device, so the whole file was fetched. Register it to save traffic"),
    one(erc::make_failed, "make_failed", "The download handler could not make a file from what the device has, so the whole file was fetched. The device log says why"),
    one(0x90800008, "delta_source_missing", "The device has no cached source file for this delta, so the whole file was fetched. Nothing has to be done"),
    one(erc::signing_key_disabled, "signing_key_disabled", "The key that signed the manifest is on the list of disabled signing keys. Sign with a valid key and deploy again"),
    one(erc::root_package_not_test, "root_package_not_test", "The device trusts test keys only, but the root key package is for production"),
    one(erc::root_package_is_test, "root_package_is_test", "The root key package is for tests, but the device trusts production keys only"),
    one(0xA0000008, "root_package_replaced", "A newer root key package was stored. Nothing has to be done"),
    one(0xA0000FFF, "root_package_unchanged", "The root key package is the one already stored. Nothing has to be done"),
    one(erc::root_package_download, "root_package_download", "The root key package could not be downloaded. Check that the device reaches the URL, then retry"),
    one(erc::signature_failed, "signature_failed", "The manifest signature could not be checked; the details name the cause"),
    one(erc::signature_structure, "signature_structure", "The manifest signature is not a compact JWS with a signed key inside. Check the service's signing setup"),
    one(erc::signature_invalid, "signature_invalid", "A signature of the manifest does not hold: manifest, key or signature was changed. Nothing was installed"),
    one(erc::root_key_disabled, "root_key_disabled", "The root key behind the manifest's signature is disabled. Sign the signing key with a valid root key"),
    one(erc::root_key_unknown, "root_key_unknown", "The root key behind the manifest's signature is not known to the device. Check the device's trust anchors and the root key package"),
    {0xD0000000, 0xDFFFFFFF, "delivery_optimization", "The Delivery Optimization client of the device reported this code; see its documentation"},
    one(erc::deadline_silent, "deadline_silent", "The service gave up waiting: the device has said nothing about the update for the time that rollout.silence_deadline allows. Check that it runs and connects; if it still finishes, its success counts. Else retry the deployment"),
    one(erc::deadline_total, "deadline_total", "The service gave up waiting: the device has not finished in the time that rollout.total_deadline allows for one try. Look at its progress and log, then retry the deployment"),
    one(erc::goal_not_written, "goal_not_written", "The service could not write the update into the device's twin; the details say why. Make room in the twin or import the update again, then retry the deployment"),
    one(erc::manifest_too_large, "manifest_too_large", "The update's manifest is too large for a twin, and this device's agent cannot fetch it as a file. Split the update into smaller ones, or update the agent first"),
});

constexpr auto kResults = std::to_array<ResultCodeRow>({
    {result::cancelled, "cancelled", "The work was cancelled"},
    {result::failure, "failure", "The work failed; the extended code and the details name the cause"},
    {result::success, "success", "The work succeeded"},
    {2, "cache_miss", "The source file is not in the device's cache"},
    {100, "registered", "The extension is registered"},
    {result::idle, "idle", "There is nothing to do"},
    {300, "sandbox", "The work folder is ready"},
    {result::in_progress, "in_progress", "The work is in progress"},
    {result::download_ok, "download_ok", "The download succeeded"},
    {501, "download_in_progress", "The download is in progress"},
    {502, "download_was_there", "The file was there already"},
    {result::download_skipped, "download_skipped", "The download was skipped because the step is installed already"},
    {result::no_component, "no_component", "The download was skipped because the device has no matching component"},
    {result::handler_made_it, "handler_made_it", "The download handler made the file from what the device had"},
    {result::full_download_needed, "full_download_needed", "The download handler could not make the file; the whole file is fetched"},
    {result::install_ok, "install_ok", "The installation succeeded"},
    {601, "install_in_progress", "The installation is in progress"},
    {result::install_skipped, "install_skipped", "The installation was skipped because the step is installed already"},
    {result::install_no_component, "install_no_component", "The installation was skipped because the device has no matching component"},
    {result::install_reboot, "install_reboot", "The installation needs a reboot now"},
    {606, "install_reboot_later", "The installation needs a reboot"},
    {result::install_restart_agent, "install_restart_agent", "The installation needs a restart of the agent now"},
    {608, "install_restart_agent_later", "The installation needs a restart of the agent"},
    {result::apply_ok, "apply_ok", "The update was applied"},
    {701, "apply_in_progress", "The update is being applied"},
    {result::apply_reboot, "apply_reboot", "Applying the update needs a reboot now"},
    {706, "apply_reboot_later", "Applying the update needs a reboot"},
    {result::apply_restart_agent, "apply_restart_agent", "Applying the update needs a restart of the agent now"},
    {708, "apply_restart_agent_later", "Applying the update needs a restart of the agent"},
    {800, "cancel_ok", "The work was cancelled as asked"},
    {801, "cancel_too_late", "The work could not be cancelled any more"},
    {result::is_installed, "is_installed", "The update is installed"},
    {result::not_installed, "not_installed", "The update is not installed"},
    {result::backup_ok, "backup_ok", "The backup succeeded"},
    {result::backup_unsupported, "backup_unsupported", "The step has no backup"},
    {1002, "backup_in_progress", "The backup is in progress"},
    {result::restore_ok, "restore_ok", "The earlier version was put back"},
    {result::restore_unsupported, "restore_unsupported", "The step cannot put the earlier version back"},
    {1102, "restore_in_progress", "The earlier version is being put back"},
    {1105, "restore_reboot", "Putting the earlier version back needs a reboot now"},
    {1106, "restore_reboot_later", "Putting the earlier version back needs a reboot"},
    {1107, "restore_restart_agent", "Putting the earlier version back needs a restart of the agent now"},
    {1108, "restore_restart_agent_later", "Putting the earlier version back needs a restart of the agent"},
    {1200, "root_keys_unchanged", "The root keys are unchanged"},
});
// clang-format on

constexpr bool extended_rows_are_sorted_and_apart() {
  for (std::size_t i = 0; i < kExtended.size(); ++i) {
    if (kExtended[i].first > kExtended[i].last || kExtended[i].text.empty()) return false;
    if (i > 0 && kExtended[i - 1].last >= kExtended[i].first) return false;
  }
  return true;
}
constexpr bool result_rows_are_sorted() {
  for (std::size_t i = 1; i < kResults.size(); ++i)
    if (kResults[i - 1].code >= kResults[i].code) return false;
  return true;
}
static_assert(extended_rows_are_sorted_and_apart(), "a code must have one meaning");
static_assert(result_rows_are_sorted(), "a code must have one meaning");

}  // namespace

std::span<const ExtendedCodeRow> extended_code_rows() { return kExtended; }
std::span<const ResultCodeRow> result_code_rows() { return kResults; }

std::string_view extended_code_text(ExtendedCode code) {
  const auto row = std::find_if(kExtended.begin(), kExtended.end(),
                                [&](const ExtendedCodeRow& r) { return r.first <= code && code <= r.last; });
  return row == kExtended.end() ? std::string_view{} : row->text;
}

std::string_view result_code_text(std::int32_t code) {
  const auto row =
      std::find_if(kResults.begin(), kResults.end(), [&](const ResultCodeRow& r) { return r.code == code; });
  return row == kResults.end() ? std::string_view{} : row->text;
}

RestartRequest restart_request(std::int32_t result_code) {
  switch (result_code) {
    case 605:
    case 705:
    case 1105: return {RestartWish::device, true};
    case 606:
    case 706:
    case 1106: return {RestartWish::device, false};
    case 607:
    case 707:
    case 1107: return {RestartWish::agent, true};
    case 608:
    case 708:
    case 1108: return {RestartWish::agent, false};
    default: return {};
  }
}

std::int32_t without_restart(std::int32_t result_code) {
  return restart_request(result_code).wish == RestartWish::none ? result_code : result_code - result_code % 100;
}

}  // namespace godwit
