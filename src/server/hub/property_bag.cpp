#include "server/hub/property_bag.hpp"

#include <algorithm>
#include <array>

#include "core/base/bytes.hpp"

namespace godwit::hub {
namespace {

struct SystemName {
  std::string_view key, name;
};
constexpr std::array kSystemNames{SystemName{"mid", "messageId"},      SystemName{"cid", "correlationId"},
                                  SystemName{"uid", "userId"},         SystemName{"to", "to"},
                                  SystemName{"exp", "expiryTimeUtc"},  SystemName{"ct", "contentType"},
                                  SystemName{"ce", "contentEncoding"}, SystemName{"ctime", "creationTimeUtc"},
                                  SystemName{"sub", "component"},      SystemName{"ifid", "interfaceId"},
                                  SystemName{"on", "outputName"},      SystemName{"schema", "messageSchema"}};

Result<std::string> decoded(std::string_view text, std::size_t limit, std::string_view what) {
  auto plain = percent_decode(text);
  if (!plain) return with_context(what, plain.error());
  if (plain->size() > limit)
    return fail(Code::too_large, std::string(what) + " has more than " + std::to_string(limit) + " bytes");
  if (!is_valid_utf8(*plain) || plain->find('\0') != std::string::npos)
    return fail(Code::invalid_argument, std::string(what) + " is not UTF-8 text");
  return plain;
}

void append_pair(std::string& text, std::string_view prefix, const Property& property) {
  if (!text.empty()) text += '&';
  text += prefix;
  text += percent_encode(property.key);
  if (property.value) text += "=" + percent_encode(*property.value);
}

}  // namespace

std::string PropertyBag::system_value(std::string_view key) const {
  const auto found = std::find_if(system.begin(), system.end(), [&](const Property& one) { return one.key == key; });
  return found == system.end() ? std::string{} : found->value.value_or("");
}

void PropertyBag::set_system(std::string_view key, std::string value) {
  std::erase_if(system, [&](const Property& one) { return one.key == key; });
  system.push_back({.key = std::string(key), .value = std::move(value)});
}

Result<PropertyBag> parse_bag(std::string_view text, const BagLimits& limits) {
  if (text.size() > limits.bytes)
    return fail(Code::too_large, "the properties have " + std::to_string(text.size()) + " bytes; " +
                                     std::to_string(limits.bytes) + " are allowed");
  PropertyBag bag;
  if (text.ends_with('/')) text.remove_suffix(1);  // edge modules write it so
  if (text.starts_with('?')) text.remove_prefix(1);
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    if (pair.empty()) continue;
    if (bag.system.size() + bag.application.size() >= limits.pairs)
      return fail(Code::too_large, "there are more than " + std::to_string(limits.pairs) + " properties");
    const std::size_t equals = pair.find('=');
    GODWIT_TRY(std::string key, decoded(pair.substr(0, equals), limits.key_bytes, "the name of a property"));
    if (key.empty()) return fail(Code::invalid_argument, "a property has no name");
    Property property{.key = std::move(key)};
    if (equals != std::string_view::npos) {
      GODWIT_TRY(property.value,
                 decoded(pair.substr(equals + 1), limits.value_bytes, "property '" + property.key.substr(0, 64) + "'"));
    }
    if (property.key.starts_with("$.")) {
      property.key.erase(0, 2);
      bag.system.push_back(std::move(property));
    } else {
      bag.application.push_back(std::move(property));
    }
  }
  return bag;
}

std::string print_bag(const PropertyBag& bag) {
  std::string text;
  for (const Property& property : bag.system) append_pair(text, "%24.", property);
  for (const Property& property : bag.application) append_pair(text, "", property);
  return text;
}

json::Object system_json(const PropertyBag& bag) {
  json::Object object;
  for (const SystemName& known : kSystemNames)
    if (std::string value = bag.system_value(known.key); !value.empty()) object[known.name] = std::move(value);
  return object;
}

json::Object application_json(const PropertyBag& bag) {
  json::Object object;
  for (const Property& property : bag.application)
    object[property.key] = property.value ? json::Value(*property.value) : json::Value(nullptr);
  return object;
}

}  // namespace godwit::hub
