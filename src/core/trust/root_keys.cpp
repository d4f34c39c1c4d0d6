#include "core/trust/root_keys.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "core/model/text.hpp"

namespace godwit::trust {
namespace {

constexpr std::size_t kPackageLimit = 128 * 1024;
constexpr std::size_t kKeysLimit = 8;
constexpr std::size_t kDisabledLimit = 256;
constexpr std::int64_t kLatestEnd = 253402300799;  // 9999-12-31T23:59:59Z
constexpr std::int64_t kExponentNumber = 65537;
constexpr std::string_view kExponentBytes{"\x01\x00\x01", 3};

using NamedKeys = std::vector<std::pair<std::string, PublicKey>>;

/// Key ids are printed, compared and put into JSON that is signed: plain characters only, above all no slash,
/// which JSON writers escape differently.
Result<void> check_kid(std::string_view kid, std::string_view where) {
  const bool plain = std::all_of(kid.begin(), kid.end(),
                                 [](char c) { return is_ascii_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
  if (kid.empty() || kid.size() > 64 || !plain)
    return fail(Code::bad_json, fmt::format("{} has a key id that is not 1 to 64 of letters, digits and . _ -", where));
  return {};
}

bool is_exponent(const json::Object& key) {
  return json::integer_or_nothing(key, "e") == kExponentNumber || json::text_or_nothing(key, "e") == "AQAB";
}

Result<PublicKey> read_root_key(const json::Object& key, const std::string& where) {
  GODWIT_TRY(const std::string type, json::text(key, "keyType", where));
  if (type != "RSA") return fail(Code::crypto_failed, fmt::format("{}.keyType is not RSA", where));
  if (!is_exponent(key)) return fail(Code::crypto_failed, fmt::format("{}.e is not 65537", where));
  GODWIT_TRY(const std::string n_text, json::text(key, "n", where));
  if (n_text.size() > 2048) return fail(Code::crypto_failed, fmt::format("{}.n is too long", where));
  const auto n = base64_decode(n_text);
  if (!n) return with_context(where + ".n", n.error());
  auto made = PublicKey::from_numbers(*n, Bytes(kExponentBytes));
  if (!made) return with_context(where, made.error());
  return made;
}

Result<NamedKeys> read_root_keys(const json::Object& parent, std::string_view where) {
  GODWIT_TRY(const json::Object* object, json::object(parent, "rootKeys", where));
  if (object->empty() || object->size() > kKeysLimit)
    return fail(Code::bad_json, fmt::format("rootKeys has {} keys, allowed are 1 to {}", object->size(), kKeysLimit));
  NamedKeys keys;
  std::set<Bytes> moduli;
  for (const auto& member : *object) {
    const std::string kid(member.key());
    GODWIT_TRY_VOID(check_kid(kid, "rootKeys"));
    const auto* key = member.value().if_object();
    if (key == nullptr) return fail(Code::bad_json, fmt::format("rootKeys.{} is not an object", kid));
    GODWIT_TRY(PublicKey made, read_root_key(*key, "rootKeys." + kid));
    // Two names for one key would let one private key count as two.
    if (!moduli.insert(made.modulus()).second)
      return fail(Code::bad_json, fmt::format("rootKeys.{} is the same key as an earlier one", kid));
    keys.emplace_back(kid, std::move(made));
  }
  return keys;
}

json::Object root_key_to_json(const PublicKey& key) {
  json::Object object;
  object["keyType"] = "RSA";
  object["n"] = base64url_encode(key.modulus());
  object["e"] = kExponentNumber;
  return object;
}

Result<bool> read_is_test(const json::Object& object) {
  const json::Value* value = json::find(object, "isTest");
  if (value == nullptr) return false;
  if (!value->is_bool()) return fail(Code::bad_json, "isTest is not true or false");
  return value->as_bool();
}

Result<std::vector<std::string>> read_disabled_root_keys(const json::Object& content) {
  GODWIT_TRY(const json::Array* array, json::array(content, "disabledRootKeys", "protected"));
  if (array->size() > kDisabledLimit) return fail(Code::too_large, "disabledRootKeys has too many entries");
  std::vector<std::string> kids;
  for (const json::Value& item : *array) {
    const auto* kid = item.if_string();
    if (kid == nullptr) return fail(Code::bad_json, "disabledRootKeys holds something that is not a string");
    kids.emplace_back(std::string_view(*kid));
  }
  return kids;
}

Result<std::vector<Bytes>> read_disabled_signing_keys(const json::Object& content) {
  GODWIT_TRY(const json::Array* array, json::array(content, "disabledSigningKeys", "protected"));
  if (array->size() > kDisabledLimit) return fail(Code::too_large, "disabledSigningKeys has too many entries");
  std::vector<Bytes> fingerprints;
  for (const json::Value& item : *array) {
    const auto* entry = item.if_object();
    if (entry == nullptr) return fail(Code::bad_json, "disabledSigningKeys holds something that is not an object");
    GODWIT_TRY(const std::string algorithm, json::text(*entry, "alg", "disabledSigningKeys"));
    GODWIT_TRY(const std::string text, json::text(*entry, "hash", "disabledSigningKeys"));
    // An entry that we cannot compare would leave a disabled key in force: refuse instead of skipping it.
    if (algorithm != "SHA256")
      return fail(Code::unsupported, "disabledSigningKeys has an entry whose alg is not SHA256");
    auto hash = base64_decode(text);
    if (!hash || hash->size() != 32)
      return fail(Code::bad_json, "disabledSigningKeys has a hash that is not base64 of 32 bytes");
    fingerprints.push_back(*std::move(hash));
  }
  return fingerprints;
}

Result<RootKeyPackage> read_protected(const json::Object& content) {
  RootKeyPackage package;
  GODWIT_TRY(package.is_test, read_is_test(content));
  GODWIT_TRY(package.version, json::integer(content, "version", "protected"));
  GODWIT_TRY(package.published, json::integer(content, "published", "protected"));
  if (package.version < 1 || package.published < 0)
    return fail(Code::bad_json, "version must be at least 1 and published at least 0");
  if (json::find(content, "expires") != nullptr) {
    GODWIT_TRY(package.expires, json::integer(content, "expires", "protected"));
    if (package.expires <= package.published || package.expires > kLatestEnd)
      return fail(Code::bad_json, "expires must be unix seconds after published and before the year 10000");
  }
  GODWIT_TRY(package.disabled_root_keys, read_disabled_root_keys(content));
  GODWIT_TRY(package.disabled_signing_keys, read_disabled_signing_keys(content));
  GODWIT_TRY(package.root_keys, read_root_keys(content, "protected"));
  return package;
}

json::Object protected_to_json(const RootKeyPackage& package) {
  json::Object content;
  content["isTest"] = package.is_test;
  content["version"] = package.version;
  content["published"] = package.published;
  if (package.expires != 0) content["expires"] = package.expires;
  json::Array disabled_roots;
  for (const std::string& kid : package.disabled_root_keys) disabled_roots.emplace_back(kid);
  content["disabledRootKeys"] = std::move(disabled_roots);
  json::Array disabled_signing;
  for (const Bytes& fingerprint : package.disabled_signing_keys) {
    json::Object entry;
    entry["alg"] = "SHA256";
    entry["hash"] = base64url_encode(fingerprint);
    disabled_signing.emplace_back(std::move(entry));
  }
  content["disabledSigningKeys"] = std::move(disabled_signing);
  json::Object keys;
  for (const auto& [kid, key] : package.root_keys) keys[kid] = root_key_to_json(key);
  content["rootKeys"] = std::move(keys);
  return content;
}

bool is_rs256(std::string_view algorithm) {
  return algorithm.size() == 5 && (algorithm[0] == 'R' || algorithm[0] == 'r') &&
         (algorithm[1] == 'S' || algorithm[1] == 's') && algorithm.substr(2) == "256";
}

/// Signature i belongs to root key i.
Result<std::vector<Bytes>> read_signatures(const json::Object& document, std::size_t expected) {
  GODWIT_TRY(const json::Array* array, json::array(document, "signatures", "root key package"));
  if (array->size() != expected)
    return fail(Code::bad_signature, fmt::format("there are {} signatures for {} root keys", array->size(), expected));
  std::vector<Bytes> signatures;
  for (const json::Value& item : *array) {
    const auto* entry = item.if_object();
    if (entry == nullptr) return fail(Code::bad_json, "signatures holds something that is not an object");
    GODWIT_TRY(const std::string algorithm, json::text(*entry, "alg", "signatures"));
    if (!is_rs256(algorithm)) return fail(Code::bad_signature, "a signature's alg is not RS256");
    GODWIT_TRY(const std::string text, json::text(*entry, "sig", "signatures"));
    auto bytes = base64_decode(text);
    if (!bytes) return with_context("signatures.sig", bytes.error());
    signatures.push_back(*std::move(bytes));
  }
  return signatures;
}

Result<void> check_anchors(const NamedKeys& listed, const std::vector<Bytes>& signatures, const TrustAnchors& anchors,
                           std::string_view signed_text) {
  for (const auto& [kid, anchor] : anchors.keys) {
    const auto found =
        std::find_if(listed.begin(), listed.end(), [&, &name = kid](const auto& key) { return key.first == name; });
    if (found == listed.end())
      return fail(Code::bad_signature, fmt::format("the trust anchor {} is not among the root keys", kid));
    if (found->second.modulus() != anchor.modulus())
      return fail(Code::bad_signature, fmt::format("the root key {} is another key than the trust anchor", kid));
    if (!anchor.verify(signed_text, signatures[static_cast<std::size_t>(found - listed.begin())]))
      return fail(Code::bad_signature, fmt::format("the signature of the trust anchor {} does not hold", kid));
  }
  return {};
}

Result<RootKeyPackage> read_verified(std::string_view text, const TrustAnchors& anchors) {
  if (anchors.keys.empty()) return fail(Code::bad_signature, "the device has no trust anchors");
  GODWIT_TRY(const json::Object document, json::parse_object(text, json::Limits{.bytes = kPackageLimit, .depth = 8}));
  GODWIT_TRY(const json::Object* content, json::object(document, "protected", "root key package"));
  GODWIT_TRY(RootKeyPackage package, read_protected(*content));
  GODWIT_TRY(const std::vector<Bytes> signatures, read_signatures(document, package.root_keys.size()));
  GODWIT_TRY_VOID(check_anchors(package.root_keys, signatures, anchors, json::print(*content)));
  return package;
}

tl::unexpected<RootPackageProblem> problem(ExtendedCode code, const Error& error) {
  return tl::unexpected<RootPackageProblem>{RootPackageProblem{code, with_context("root key package", error).value()}};
}

}  // namespace

Result<TrustAnchors> TrustAnchors::parse(std::string_view text) {
  GODWIT_TRY(const json::Object document, json::parse_object(text, json::Limits{.bytes = kPackageLimit, .depth = 8}));
  TrustAnchors anchors;
  GODWIT_TRY(anchors.is_test, read_is_test(document));
  GODWIT_TRY(NamedKeys keys, read_root_keys(document, "trust anchors"));
  for (auto& [kid, key] : keys) anchors.keys.emplace(kid, std::move(key));
  return anchors;
}

std::string TrustAnchors::print() const {
  json::Object document;
  document["isTest"] = is_test;
  json::Object root_keys;
  for (const auto& [kid, key] : keys) root_keys[kid] = root_key_to_json(key);
  document["rootKeys"] = std::move(root_keys);
  return json::print(document);
}

bool RootKeyPackage::has_expired(WallTime now) const {
  return expires != 0 && WallTime{std::chrono::seconds(expires)} <= now;
}

Result<std::string> RootKeyPackage::sign(const std::vector<const PrivateKey*>& keys) const {
  if (root_keys.empty() || keys.size() != root_keys.size())
    return fail(Code::invalid_argument,
                fmt::format("{} private keys were given for {} root keys", keys.size(), root_keys.size()));
  const json::Object content = protected_to_json(*this);
  const std::string signed_text = json::print(content);
  json::Array signatures;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i]->public_key().modulus() != root_keys[i].second.modulus())
      return fail(Code::invalid_argument,
                  fmt::format("private key {} does not belong to the root key {}", i + 1, root_keys[i].first));
    GODWIT_TRY(const Bytes signature, keys[i]->sign(signed_text));
    json::Object entry;
    entry["alg"] = "RS256";
    entry["sig"] = base64url_encode(signature);
    signatures.emplace_back(std::move(entry));
  }
  GODWIT_TRY_VOID(read_protected(content));  // what we cannot read back must not be published
  json::Object document;
  document["protected"] = content;
  document["signatures"] = std::move(signatures);
  return json::print(document);
}

Result<RootKeyPackage> read_root_key_package(std::string_view text) {
  GODWIT_TRY(const json::Object document, json::parse_object(text, json::Limits{.bytes = kPackageLimit, .depth = 8}));
  GODWIT_TRY(const json::Object* content, json::object(document, "protected", "root key package"));
  return read_protected(*content);
}

tl::expected<RootKeyPackage, RootPackageProblem> check_root_key_package(std::string_view text,
                                                                        const TrustAnchors& anchors,
                                                                        std::int64_t oldest_version) {
  auto package = read_verified(text, anchors);
  if (!package) return problem(erc::root_package_invalid, package.error());
  if (package->is_test && !anchors.is_test)
    return problem(erc::root_package_is_test,
                   Error{Code::refused, "it is a test package and the trust anchors are for production"});
  if (!package->is_test && anchors.is_test)
    return problem(erc::root_package_not_test,
                   Error{Code::refused, "it is a production package and the trust anchors are for tests"});
  if (package->version < oldest_version)
    return problem(erc::root_package_rollback,
                   Error{Code::refused, fmt::format("version {} is older than the known version {}", package->version,
                                                    oldest_version)});
  return *std::move(package);
}

Result<RootKeyPackage> verify_root_key_package(std::string_view text, const TrustAnchors& anchors,
                                               std::int64_t oldest_version) {
  auto package = check_root_key_package(text, anchors, oldest_version);
  if (!package) return tl::unexpected<Error>{package.error().error};
  return *std::move(package);
}

}  // namespace godwit::trust
