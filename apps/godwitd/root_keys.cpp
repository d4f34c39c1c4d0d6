#include "apps/godwitd/root_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "apps/godwitd/init.hpp"

namespace godwit::daemon {
namespace {

constexpr ByteCount kSmallFile = 256 * 1024;
constexpr std::int64_t kSecondsPerDay = 24 * 3600;
constexpr std::int64_t kLastVersion = std::numeric_limits<std::int64_t>::max();

Result<std::vector<trust::PrivateKey>> read_keys(const std::vector<Path>& files) {
  std::vector<trust::PrivateKey> keys;
  for (const Path& file : files) {
    GODWIT_TRY(const std::string pem, read_file(file, kSmallFile));
    auto key = trust::PrivateKey::from_pem(pem);
    if (!key) return with_context(file.string(), key.error());
    keys.push_back(*std::move(key));
  }
  return keys;
}

/// One key for each root key of the package, in its order.
Result<std::vector<const trust::PrivateKey*>> in_order(const trust::RootKeyPackage& package,
                                                       const std::vector<trust::PrivateKey>& keys) {
  std::vector<const trust::PrivateKey*> ordered;
  for (const auto& [kid, root] : package.root_keys) {
    const auto found = std::ranges::find_if(
        keys, [&, &wanted = root](const auto& key) { return key.public_key().modulus() == wanted.modulus(); });
    if (found == keys.end())
      return fail(Code::invalid_argument,
                  fmt::format("the private key of {} is missing: every root key signs the package; give its file with "
                              "--key",
                              kid));
    ordered.push_back(&*found);
  }
  if (ordered.size() != keys.size())
    return fail(Code::invalid_argument,
                fmt::format("{} files were given with --key for {} root keys", keys.size(), ordered.size()));
  return ordered;
}

Result<std::int64_t> version_after(std::int64_t former, std::optional<std::int64_t> wanted) {
  if (wanted && *wanted < former)
    return fail(
        Code::invalid_argument,
        fmt::format("version {} is below {}, which devices may have seen: they would refuse it", *wanted, former));
  if (wanted) return *wanted;
  if (former < kLastVersion) return former + 1;
  return fail(Code::invalid_argument,
              fmt::format("version {} is the last there is: sign under it again with --package-version {}, and bring "
                          "new trust anchors to the devices",
                          former, former));
}

std::int64_t lifetime_of(const trust::RootKeyPackage& package, const RenewOptions& options) {
  if (options.days) return *options.days * kSecondsPerDay;
  return package.expires == 0 ? 0 : package.expires - package.published;
}

std::string day_of(std::int64_t seconds) { return format_time(from_unix_ms(seconds * 1000)); }

Result<trust::TrustAnchors> read_anchors(const Layout& layout) {
  GODWIT_TRY(const std::string text, read_file(layout.trust_anchors(), kSmallFile));
  auto anchors = trust::TrustAnchors::parse(text);
  if (!anchors) return with_context(layout.trust_anchors().string(), anchors.error());
  return anchors;
}

}  // namespace

Result<RootKeys> read_root_keys(const Layout& layout) {
  GODWIT_TRY(const auto anchors, read_anchors(layout));
  GODWIT_TRY(std::string text, read_file(layout.root_key_package(), kSmallFile));
  auto package = trust::verify_root_key_package(text, anchors, 0);
  if (!package) return with_context(layout.root_key_package().string(), package.error());
  return RootKeys{.package = *std::move(package), .text = std::move(text)};
}

Result<RootKeys> sign_next_root_keys(const Layout& layout, const RenewOptions& options, const RootKeysChange& change) {
  GODWIT_TRY(const RootKeys former, read_root_keys(layout));
  GODWIT_TRY(const auto keys, read_keys(options.keys));
  trust::RootKeyPackage next = former.package;
  GODWIT_TRY(const auto ordered, in_order(next, keys));
  GODWIT_TRY(next.version, version_after(next.version, options.version));
  const std::int64_t lifetime = lifetime_of(former.package, options);
  next.published = to_unix_ms(options.now.value_or(SystemClock{}.now())) / 1000;
  next.expires = lifetime == 0 ? 0 : next.published + lifetime;
  GODWIT_TRY_VOID(change(next, ordered));
  GODWIT_TRY(std::string text, next.sign(ordered));
  GODWIT_TRY(const auto anchors, read_anchors(layout));
  GODWIT_TRY_VOID(trust::verify_root_key_package(text, anchors, former.package.version));
  return RootKeys{.package = std::move(next), .text = std::move(text)};
}

Result<trust::RootKeyPackage> renew_root_keys(const Layout& layout, const RenewOptions& options) {
  const auto as_before = [](trust::RootKeyPackage&, const std::vector<const trust::PrivateKey*>&) -> Result<void> {
    return {};
  };
  GODWIT_TRY(RootKeys next, sign_next_root_keys(layout, options, as_before));
  GODWIT_TRY_VOID(write_file_durably(layout.root_key_package(), next.text, 0644));
  GODWIT_TRY_VOID(give_to_owner_of(layout.data, layout.root_key_package()));
  return std::move(next.package);
}

std::string describe_root_keys(const trust::RootKeyPackage& package, WallTime now) {
  std::string text = fmt::format("Version:    {}\nPublished:  {}\n", package.version, day_of(package.published));
  if (package.expires == 0)
    text +=
        "Ends:       never; with an end (godwitd root-keys renew --days N) devices notice that renewals do not "
        "reach them\n";
  else
    text +=
        fmt::format("Ends:       {}{}\n", day_of(package.expires),
                    package.has_expired(now) ? ": it has ended, and devices refuse updates until it is renewed" : "");
  text += "Root keys: ";
  for (const auto& [kid, key] : package.root_keys) text += " " + kid;
  text += fmt::format("\nDisabled:   {} root keys, {} signing keys\n", package.disabled_root_keys.size(),
                      package.disabled_signing_keys.size());
  return text;
}

}  // namespace godwit::daemon
