#include "core/twin/twin.hpp"

#include <optional>
#include <utility>

#include "core/model/text.hpp"

namespace godwit::twin {
namespace {

constexpr std::string_view kVersion = "$version";
constexpr std::string_view kMetadata = "$metadata";
constexpr std::string_view kLastUpdated = "$lastUpdated";
// Whole numbers that a double of every client keeps exactly, as the original hub limits them: [-2^52, 2^52 - 1].
constexpr std::int64_t kSmallestInteger = -4503599627370496;
constexpr std::int64_t kLargestInteger = 4503599627370495;

bool is_root_stamp(std::string_view key) { return key == kVersion || key == kMetadata; }

std::string_view view(boost::json::string_view text) { return {text.data(), text.size()}; }

/// C0 (U+0000..1F), DEL and C1 (U+0080..9F, in UTF-8 0xC2 0x80..0x9F) at `at`.
bool is_control(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x20 || byte == 0x7F) return true;
  if (byte != 0xC2 || at + 1 >= text.size()) return false;
  const auto next = static_cast<unsigned char>(text[at + 1]);
  return next >= 0x80 && next <= 0x9F;
}

std::string check_key(std::string_view key, const Limits& limits) {
  if (key.empty()) return "is empty";
  if (key.size() > limits.key_bytes) return "has more than " + std::to_string(limits.key_bytes) + " bytes";
  if (key.front() == '$') return "begins with '$', which only the hub may write";
  for (std::size_t at = 0; at < key.size(); ++at) {
    if (is_control(key, at)) return "holds a control character";
    if (key[at] == '.' || key[at] == '$' || key[at] == ' ')
      return std::string("holds '") + key[at] + "', which is not allowed in a key";
  }
  return {};
}

/// Names the place of a problem: "a/b". Cut, so that a hostile patch cannot blow the sentence up.
std::string join(const std::string& path, std::string_view key) {
  std::string joined = path.empty() ? std::string(key.substr(0, 64)) : path + "/" + std::string(key.substr(0, 64));
  return joined.size() <= 400 ? joined : joined.substr(joined.size() - 400);
}

Result<void> check_value(const json::Value& value, const Limits& limits, std::size_t depth, const std::string& path);

Result<void> check_members(const json::Object& object, const Limits& limits, std::size_t depth,
                           const std::string& path) {
  for (const auto& member : object) {
    const std::string_view key = view(member.key());
    if (depth == 0 && is_root_stamp(key)) continue;
    const std::string where = join(path, key);
    if (const std::string reason = check_key(key, limits); !reason.empty())
      return fail(reason.starts_with("has more than") ? Code::too_large : Code::invalid_argument,
                  "key '" + where + "' " + reason);
    GODWIT_TRY_VOID(check_value(member.value(), limits, depth, where));
  }
  return {};
}

Result<void> check_value(const json::Value& value, const Limits& limits, std::size_t depth, const std::string& path) {
  if (value.is_object() || value.is_array()) {
    if (depth + 1 > limits.depth)
      return fail(Code::too_large, "'" + path + "' is nested deeper than " + std::to_string(limits.depth) + " levels");
    if (value.is_object()) return check_members(value.get_object(), limits, depth + 1, path);
    for (const json::Value& element : value.get_array()) GODWIT_TRY_VOID(check_value(element, limits, depth + 1, path));
    return {};
  }
  if (value.is_string() && value.get_string().size() > limits.string_bytes)
    return fail(Code::too_large,
                "the text at '" + path + "' has more than " + std::to_string(limits.string_bytes) + " bytes");
  const bool is_too_large =
      (value.is_int64() && (value.get_int64() < kSmallestInteger || value.get_int64() > kLargestInteger)) ||
      (value.is_uint64() && value.get_uint64() > static_cast<std::uint64_t>(kLargestInteger));
  if (is_too_large)
    return fail(Code::invalid_argument, "the number at '" + path + "' is outside -4503599627370496..4503599627370495");
  return {};
}

std::size_t value_size(const json::Value& value) {
  switch (value.kind()) {
    case boost::json::kind::string: {
      const std::string_view text = view(value.get_string());
      std::size_t controls = 0;
      for (std::size_t at = 0; at < text.size(); ++at)
        if (is_control(text, at)) ++controls;
      return count_characters(text) - controls;
    }
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
    case boost::json::kind::double_: return 8;
    case boost::json::kind::bool_: return 4;
    case boost::json::kind::object: return counted_size(value.get_object());
    case boost::json::kind::array: {
      std::size_t sum = 0;
      for (const json::Value& element : value.get_array()) sum += value_size(element);
      return sum;
    }
    case boost::json::kind::null: return 0;
  }
  return 0;
}

/// RFC 7396 on values and, when `metadata` is given, the same shape on the mirror tree with stamps at each touched
/// level.
void merge_object(json::Object& target, const json::Object& patch, json::Object* metadata,
                  const boost::json::string& stamp, bool is_root) {
  if (metadata != nullptr) (*metadata)[kLastUpdated] = stamp;
  for (const auto& member : patch) {
    if (is_root && is_root_stamp(view(member.key()))) continue;
    if (member.value().is_null()) {
      target.stable_erase(member.key());
      if (metadata != nullptr) metadata->stable_erase(member.key());
      continue;
    }
    json::Value& value = target[member.key()];
    if (!member.value().is_object()) {
      value = member.value();
      if (metadata != nullptr) (*metadata)[member.key()] = json::Object{{kLastUpdated, stamp}};
      continue;
    }
    const bool was_object = value.is_object();
    if (!was_object) value = json::Object{};
    json::Object* child = nullptr;
    if (metadata != nullptr) {
      json::Value& mirror = (*metadata)[member.key()];
      if (!was_object || !mirror.is_object()) mirror = json::Object{};
      child = &mirror.get_object();
    }
    merge_object(value.get_object(), member.value().get_object(), child, stamp, false);
  }
}

Result<void> check_growth(const json::Object& before, const json::Object& after, std::size_t limit,
                          std::string_view what) {
  const std::size_t size = counted_size(after);
  if (size <= limit || size <= counted_size(before)) return {};
  return fail(Code::too_large, std::string(what) + " would grow to " + std::to_string(size) +
                                   " bytes, above the limit of " + std::to_string(limit));
}

boost::json::string stamp_of(WallTime now) { return boost::json::string(format_time_7(now)); }

}  // namespace

json::Object Section::with_version() const {
  json::Object out = values;
  out[kVersion] = version;
  return out;
}

json::Object Section::with_metadata() const {
  json::Object out = values;
  out[kMetadata] = metadata;
  out[kVersion] = version;
  return out;
}

Result<void> check_patch(const json::Object& patch, const Limits& limits) {
  return check_members(patch, limits, 0, {});
}

Result<void> merge(Section& section, const json::Object& patch, WallTime now, const Limits& limits) {
  // A patch cannot add more than it holds itself: only near the limit is a copy needed to go back to.
  const bool may_be_refused = counted_size(section.values) + counted_size(patch) > limits.section_bytes;
  std::optional<Section> before;
  if (may_be_refused) before = section;
  merge_object(section.values, patch, &section.metadata, stamp_of(now), true);
  if (may_be_refused)
    if (auto grown = check_growth(before->values, section.values, limits.section_bytes, "the section"); !grown) {
      section = *std::move(before);
      return grown;
    }
  ++section.version;
  return {};
}

Result<void> replace(Section& section, const json::Object& values, WallTime now, const Limits& limits) {
  Section fresh;
  merge_object(fresh.values, values, &fresh.metadata, stamp_of(now), true);  // merging onto nothing drops nulls
  GODWIT_TRY_VOID(check_growth(section.values, fresh.values, limits.section_bytes, "the section"));
  fresh.version = section.version + 1;
  section = std::move(fresh);
  return {};
}

Result<void> merge_tags(json::Object& tags, const json::Object& patch, const Limits& limits) {
  json::Object merged = tags;
  merge_object(merged, patch, nullptr, {}, true);
  GODWIT_TRY_VOID(check_growth(tags, merged, limits.tags_bytes, "the tags"));
  tags = std::move(merged);
  return {};
}

void merge_plain(json::Object& target, const json::Object& patch) { merge_object(target, patch, nullptr, {}, false); }

std::size_t counted_size(const json::Object& values) {
  std::size_t sum = 0;
  for (const auto& member : values) sum += member.key().size() + value_size(member.value());
  return sum;
}

}  // namespace godwit::twin
