#include "core/model/compatibility.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <algorithm>
#include <memory>

#include "core/base/bytes.hpp"
#include "core/model/text.hpp"

namespace godwit {
namespace {

constexpr std::size_t kPairsLimit = 5;
constexpr std::size_t kNameLimit = 32;
constexpr std::size_t kValueLimit = 64;
constexpr std::string_view kContractPrefix = "dtmi:azure:iot:deviceUpdateContractModel;";

std::string sha1_hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  GODWIT_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha1(), nullptr) == 1);
  return hex_encode(std::string_view(reinterpret_cast<const char*>(digest), size));
}

void append_prefixed(std::string& out, std::string_view text) { out += fmt::format("{}:{}", text.size(), text); }

}  // namespace

bool matches(const CompatibilitySet& wanted, const CompatibilitySet& device_properties) {
  if (wanted.empty()) return false;  // nothing asked for is a fault of the asker, not a fit for every device
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    const auto found = device_properties.find(pair.first);
    return found != device_properties.end() && found->second == pair.second;
  });
}

bool matches_any(const std::vector<CompatibilitySet>& wanted, const CompatibilitySet& device_properties) {
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](const CompatibilitySet& set) { return matches(set, device_properties); });
}

Result<CompatibilitySet> compatibility_set_from_json(const json::Value& value, std::string_view where) {
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::invalid_argument, fmt::format("{} is not an object", where));
  if (object->empty() || object->size() > kPairsLimit)
    return fail(Code::invalid_argument,
                fmt::format("{} has {} properties, allowed are 1 to {}", where, object->size(), kPairsLimit));
  CompatibilitySet set;
  for (const auto& member : *object) {
    const std::string_view name = member.key();
    const auto* text = member.value().if_string();
    if (name.empty() || count_characters(name) > kNameLimit)
      return fail(Code::invalid_argument,
                  fmt::format("{} has a property name that is not 1 to {} characters long", where, kNameLimit));
    if (text == nullptr) return fail(Code::invalid_argument, fmt::format("{}.{} is not a string", where, name));
    if (text->empty() || count_characters(*text) > kValueLimit)
      return fail(Code::invalid_argument,
                  fmt::format("{}.{} is not 1 to {} characters long", where, name, kValueLimit));
    set.emplace(name, std::string_view(*text));
  }
  return set;
}

json::Object to_json(const CompatibilitySet& set) {
  json::Object object;
  for (const auto& [name, value] : set) object[name] = value;
  return object;
}

Result<ContractModel> parse_contract_model(std::string_view model_id) {
  if (model_id.starts_with(kContractPrefix)) {
    const std::string_view number = model_id.substr(kContractPrefix.size());
    if (number == "1") return ContractModel::v1;
    if (number == "2") return ContractModel::v2;
    if (number == "3") return ContractModel::v3;
  }
  return fail(Code::unsupported,
              fmt::format("contract model '{}' is not {}1, 2 or 3", model_id.substr(0, 128), kContractPrefix));
}

std::string contract_model_id(ContractModel model) {
  return fmt::format("{}{}", kContractPrefix, static_cast<int>(model));
}

std::string contract_model_name(ContractModel model) {
  return fmt::format("Device Update Model V{}", static_cast<int>(model));
}

std::string DeviceClass::id() const {
  std::string canonical;
  for (const auto& [name, value] : compatibility) {  // a map: sorted by the bytes of the name
    append_prefixed(canonical, name);
    append_prefixed(canonical, value);
  }
  canonical += contract_model_id(contract);
  return sha1_hex(canonical);
}

}  // namespace godwit
