#include "device/slots/contents.hpp"

#include <fmt/format.h>

#include "core/base/json.hpp"
#include "device/slots/boot_switch.hpp"

namespace godwit::slots {
namespace {

constexpr ByteCount kLimit = 64 * 1024;

/// Digests and sizes of `entry`'s pairs, and from which file each came where one did.
Result<void> parse_pairs(const json::Object& entry, std::string_view side, Held& held) {
  const json::Object* pairs = json::object_or_null(entry, "pairs");
  if (pairs == nullptr) return {};
  for (const auto& [name, value] : *pairs) {
    const std::string where = fmt::format("{}.pairs.{}", side, std::string_view(name));
    if (!value.is_object()) return fail(Code::refused, where + " is no object");
    const json::Object& pair = value.get_object();
    GODWIT_TRY(const std::string digest, json::text(pair, "sha256", where));
    GODWIT_TRY(const std::int64_t size, json::integer(pair, "size", where));
    auto raw = hex_decode(digest);
    auto file = hex_decode(json::text_or_nothing(pair, "file").value_or(""));
    if (!raw || raw->size() != 32 || size <= 0 || !file || (!file->empty() && file->size() != 32))
      return fail(Code::refused, where + ": sha256, size or file is out of its range");
    held.pairs[std::string(name)] = {.size = static_cast<ByteCount>(size), .sha256 = *std::move(raw)};
    if (!file->empty()) held.image.pairs[std::string(name)] = *std::move(file);
  }
  return {};
}

json::Object print_pairs(const Held& held) {
  json::Object pairs;
  for (const auto& [name, content] : held.pairs) {
    json::Object pair{{"sha256", hex_encode(content.sha256)}, {"size", static_cast<std::int64_t>(content.size)}};
    if (const auto file = held.image.pairs.find(name); file != held.image.pairs.end())
      pair["file"] = hex_encode(file->second);
    pairs[name] = std::move(pair);
  }
  return pairs;
}

Result<Held> parse_held(const json::Object& entry, std::string_view side) {
  GODWIT_TRY(const std::string digest, json::text(entry, "sha256", side));
  GODWIT_TRY(Bytes raw, hex_decode(digest));
  GODWIT_TRY(const std::int64_t size, json::integer(entry, "size", side));
  GODWIT_TRY(const std::int64_t attempts, json::integer(entry, "attempts", side));
  if (raw.size() != 32 || size <= 0 || attempts < 0 || attempts > kMostAttempts)
    return fail(Code::refused, fmt::format("{}: sha256, size or attempts is out of its range", side));
  std::optional<Verity> verity;
  if (const auto word = json::text_or_nothing(entry, "verity")) {
    verity = parse_verity_word(*word);
    if (!verity) return fail(Code::refused, fmt::format("{}: verity is no HASH_OFFSET:ROOT_HASH", side));
  }
  const std::string words = json::text_or_nothing(entry, "lastWords").value_or("");
  Held held{.image = {.size = static_cast<ByteCount>(size), .sha256 = std::move(raw), .verity = std::move(verity)},
            .attempts = static_cast<int>(attempts),
            .last_words = words.substr(0, kLastWords)};
  GODWIT_TRY_VOID(parse_pairs(entry, side, held));
  return held;
}

}  // namespace

Result<Contents> parse_contents(std::string_view text) {
  const auto root = json::parse_object(text, {.bytes = kLimit, .depth = 8});
  if (!root) return fail(Code::refused, root.error().message);
  Contents contents;
  for (const Side side : {Side::a, Side::b}) {
    const json::Object* entry = json::object_or_null(*root, side_name(side));
    if (entry == nullptr) continue;
    GODWIT_TRY(contents.of(side), parse_held(*entry, side_name(side)));
  }
  return contents;
}

std::string print_contents(const Contents& contents) {
  json::Object root{{"format", 1}};
  for (const Side side : {Side::a, Side::b}) {
    const auto& held = contents.of(side);
    if (!held) continue;
    json::Object entry{{"sha256", hex_encode(held->image.sha256)},
                       {"size", static_cast<std::int64_t>(held->image.size)},
                       {"attempts", held->attempts}};
    if (held->image.verity) entry["verity"] = verity_word(*held->image.verity);
    if (!held->pairs.empty()) entry["pairs"] = print_pairs(*held);
    if (!held->last_words.empty()) entry["lastWords"] = held->last_words.substr(0, kLastWords);
    root[side_name(side)] = std::move(entry);
  }
  return json::print(root) + "\n";
}

Result<Contents> load_contents(Disk& disk, const Path& file) {
  const auto text = read_whole(disk, file, kLimit);
  if (!text && text.error().code == Code::not_found) return Contents{};
  if (!text) return tl::unexpected<Error>{text.error()};
  auto contents = parse_contents(*text);
  if (!contents)
    return fail(Code::refused,
                fmt::format("{}: {}; remove the file, then the sides count as unknown and are written anew",
                            file.string(), contents.error().message));
  return contents;
}

Result<void> store_contents(Disk& disk, const Path& file, const Contents& contents) {
  if (const auto before = load_contents(disk, file); before && *before == contents) return {};
  return replace_durably(disk, file, print_contents(contents));
}

}  // namespace godwit::slots
