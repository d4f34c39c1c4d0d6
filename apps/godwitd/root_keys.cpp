#include "apps/godwitd/root_keys.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::daemon {
namespace {

constexpr ByteCount kSmallFile = 256 * 1024;
constexpr std::int64_t kSecondsPerDay = 24 * 3600;
constexpr std::int64_t kLastVersion = std::int64_t{1} << 53U;  // what every JSON reader keeps exactly

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

std::int64_t lifetime_of(const trust::RootKeyPackage& package, const RenewOptions& options) {
  if (options.days) return *options.days * kSecondsPerDay;
  return package.expires == 0 ? 0 : package.expires - package.published;
}

std::string day_of(std::int64_t seconds) { return format_time(from_unix_ms(seconds * 1000)); }

}  // namespace

Result<RootKeys> read_root_keys(const Layout& layout) {
  GODWIT_TRY(const std::string anchors_text, read_file(layout.trust_anchors(), kSmallFile));
  const auto anchors = trust::TrustAnchors::parse(anchors_text);
  if (!anchors) return with_context(layout.trust_anchors().string(), anchors.error());
  GODWIT_TRY(std::string text, read_file(layout.root_key_package(), kSmallFile));
  auto package = trust::verify_root_key_package(text, *anchors, 0);
  if (!package) return with_context(layout.root_key_package().string(), package.error());
  return RootKeys{.package = *std::move(package), .text = std::move(text)};
}

Result<trust::RootKeyPackage> renew_root_keys(const Layout& layout, const RenewOptions& options) {
  GODWIT_TRY(const RootKeys former, read_root_keys(layout));
  GODWIT_TRY(const auto keys, read_keys(options.keys));
  trust::RootKeyPackage next = former.package;
  GODWIT_TRY(const auto ordered, in_order(next, keys));
  if (next.version >= kLastVersion)
    return fail(Code::conflict, fmt::format("version {} leaves no room for another; change the trust anchors of the "
                                            "devices (docs/explain/trust.md), then count from 1 again",
                                            next.version));
  const std::int64_t lifetime = lifetime_of(former.package, options);
  ++next.version;
  next.published = to_unix_ms(options.now.value_or(SystemClock{}.now())) / 1000;
  next.expires = lifetime == 0 ? 0 : next.published + lifetime;
  GODWIT_TRY(const std::string text, next.sign(ordered));
  GODWIT_TRY_VOID(write_file_durably(layout.root_key_package(), text, 0644));
  GODWIT_TRY(RootKeys read_back, read_root_keys(layout));
  return std::move(read_back.package);
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
