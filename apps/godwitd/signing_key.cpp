#include "apps/godwitd/signing_key.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>

#include "apps/godwitd/init.hpp"
#include "core/trust/manifest_signature.hpp"

namespace godwit::daemon {
namespace {

constexpr ByteCount kSmallFile = 64 * 1024;

/// Where each file of a change belongs.
std::vector<Path> places(const Layout& layout) {
  return {layout.root_key_package(), layout.signed_jwk(), layout.signing_key()};
}

Result<UniqueFd> lock_keys(const Layout& layout) {
  const Path folder = layout.signing_key().parent_path();
  GODWIT_TRY(UniqueFd lock, open_file(folder, O_RDONLY | O_DIRECTORY));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  return fail(Code::conflict, "another process changes the keys in " + folder.string() + " at this moment");
}

Result<void> rename_durably(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return tl::unexpected<Error>{error_from_errno("rename " + from.string(), errno)};
  return sync_folder(to.parent_path());
}

Result<void> move_into_place(const Layout& layout) {
  const Path folder = layout.key_change();
  std::error_code ignored;
  if (!std::filesystem::exists(folder, ignored)) return {};
  for (const Path& place : places(layout)) {
    const Path waiting = folder / place.filename();
    if (std::filesystem::exists(waiting, ignored)) GODWIT_TRY_VOID(rename_durably(waiting, place));
  }
  return remove_tree(folder);
}

/// The first root key that the package does not disable.
Result<std::size_t> find_voucher(const trust::RootKeyPackage& package) {
  for (std::size_t i = 0; i < package.root_keys.size(); ++i)
    if (std::ranges::find(package.disabled_root_keys, package.root_keys[i].first) == package.disabled_root_keys.end())
      return i;
  return fail(Code::invalid_argument, "every root key is disabled; none can vouch for a signing key");
}

SigningKey judge(const service::SigningIdentity& identity, const trust::RootKeyPackage& package) {
  const trust::PublicKey& key = identity.key.public_key();
  SigningKey judged{.name = key_name("signing", key), .fingerprint = hex_encode(key.fingerprint())};
  const auto signature = service::sign_offer("", identity);
  if (!signature) {
    judged.refusal = signature.error().message;
  } else if (const auto problem = trust::check_manifest_signature("", *signature, package)) {
    judged.refusal = problem->message;
  }
  return judged;
}

}  // namespace

Result<service::SigningIdentity> load_signing_identity(const Layout& layout) {
  GODWIT_TRY(const std::string pem, read_file(layout.signing_key(), kSmallFile));
  auto key = trust::PrivateKey::from_pem(pem);
  if (!key) return with_context(layout.signing_key().string(), key.error());
  GODWIT_TRY(std::string signed_jwk, read_file(layout.signed_jwk(), kSmallFile));
  return service::SigningIdentity{.key = *std::move(key), .signed_jwk = std::move(signed_jwk)};
}

Result<SigningKey> read_signing_key(const Layout& layout) {
  GODWIT_TRY(const auto identity, load_signing_identity(layout));
  GODWIT_TRY(const auto root_keys, read_root_keys(layout));
  return judge(identity, root_keys.package);
}

Result<SigningKey> replace_signing_key(const Layout& layout, const RenewOptions& options) {
  GODWIT_TRY(const auto lock, lock_keys(layout));
  GODWIT_TRY_VOID(move_into_place(layout));
  GODWIT_TRY(const auto former, load_signing_identity(layout));
  service::SigningIdentity next;
  GODWIT_TRY(next.key, trust::PrivateKey::generate());
  const auto change = [&](trust::RootKeyPackage& package,
                          const std::vector<const trust::PrivateKey*>& keys) -> Result<void> {
    GODWIT_TRY(const std::size_t voucher, find_voucher(package));
    const trust::PublicKey& made = next.key.public_key();
    GODWIT_TRY(next.signed_jwk, trust::make_signed_jwk(made, key_name("signing", made), *keys.at(voucher),
                                                       package.root_keys.at(voucher).first));
    const Bytes old = former.key.public_key().fingerprint();
    auto& disabled = package.disabled_signing_keys;
    if (std::ranges::find(disabled, old) == disabled.end()) disabled.push_back(old);
    return {};
  };
  GODWIT_TRY(const RootKeys root_keys, sign_next_root_keys(layout, options, change));
  const SigningKey judged = judge(next, root_keys.package);
  if (!judged.refusal.empty()) return fail(Code::crypto_failed, "the new key would not do: " + judged.refusal);

  const Path part = layout.key_change().string() + ".part";
  GODWIT_TRY_VOID(remove_tree(part));
  GODWIT_TRY_VOID(make_folders(part));
  GODWIT_TRY(const Secret pem, next.key.to_pem());
  GODWIT_TRY_VOID(write_file_durably(part / layout.root_key_package().filename(), root_keys.text, 0644));
  GODWIT_TRY_VOID(write_file_durably(part / layout.signed_jwk().filename(), next.signed_jwk));
  GODWIT_TRY_VOID(write_file_durably(part / layout.signing_key().filename(), pem.reveal()));
  GODWIT_TRY_VOID(give_to_owner_of(layout.data, part));
  GODWIT_TRY_VOID(rename_durably(part, layout.key_change()));  // decided: from here on it can only be completed
  GODWIT_TRY_VOID(move_into_place(layout));
  return judged;
}

Result<void> finish_key_change(const Layout& layout) {
  std::error_code ignored;
  if (!std::filesystem::exists(layout.key_change(), ignored)) return {};
  GODWIT_TRY(const auto lock, lock_keys(layout));
  return move_into_place(layout);
}

std::string describe_signing_key(const SigningKey& key) {
  return fmt::format("Name:        {}\nFingerprint: {}\nDevices:     {}\n", key.name, key.fingerprint,
                     key.refusal.empty() ? "take what it signs" : "refuse what it signs: " + key.refusal);
}

}  // namespace godwit::daemon
