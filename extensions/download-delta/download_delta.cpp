// microsoft/delta:1: makes a payload from a source that the device has and a delta. The agent fetches the delta, checks
// it and what comes out; here is only the choice, the making and the keeping of sources.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "core/base/json.hpp"
#include "core/delta/apply.hpp"
#include "core/model/outcome.hpp"
#include "godwit/author.hpp"
#include "godwit/download_handler.h"
#include "installed_source.hpp"
#include "source_cache.hpp"
#include "support/options.hpp"

namespace {

using godwit::ByteCount;
using godwit::Bytes;
using godwit::Code;
using godwit::Path;
using godwit::Result;
using godwit::UniqueFd;
using godwit::download_delta::InstalledSource;
using godwit::download_delta::SourceCache;
namespace author = godwit::author;
namespace delta = godwit::delta;
namespace json = godwit::json;
namespace result = godwit::result;

constexpr std::uint32_t kSourceMissing = 0x90800008;  // soft: the whole file is fetched
constexpr std::uint32_t kMakeFailed = 0x90000101;
constexpr std::string_view kSourceHash = "microsoft.sourceFileHash";
constexpr std::string_view kSourceHashAlgorithm = "microsoft.sourceFileHashAlgorithm";

struct Candidate {
  std::string id{};
  ByteCount size = 0;
  Bytes source_sha256{};
  Path source{};
};

struct Wish {
  ByteCount size = 0;
  Bytes sha256{};
  std::string provider{};
  std::vector<Candidate> candidates{};  // whose source is here, the smallest delta first
};

Result<Bytes> sha256_in(const json::Object& file) {
  GODWIT_TRY(const auto* hashes, json::object(file, "hashes", "file"));
  GODWIT_TRY(const auto text, json::text(*hashes, "sha256", "hashes"));
  return godwit::base64_decode(text);
}

/// A related file that is a delta whose source is in the cache; nothing: it is of no use here.
std::optional<Candidate> candidate(std::string_view id, const json::Value& value, std::string_view provider,
                                   const SourceCache& cache, InstalledSource& installed) {
  if (!value.is_object() || !godwit::is_plain_file_name(id)) return std::nullopt;
  const auto* properties = json::object_or_null(value.get_object(), "properties");
  if (properties == nullptr) return std::nullopt;
  if (json::text_or_nothing(*properties, kSourceHashAlgorithm) != "sha256") return std::nullopt;
  const auto hash = godwit::base64_decode(json::text_or_nothing(*properties, kSourceHash).value_or(""));
  if (!hash) return std::nullopt;
  auto source = cache.find(provider, *hash);
  if (!source) source = installed.find(*hash);
  if (!source) return std::nullopt;
  const auto size = json::integer_or_nothing(value.get_object(), "sizeInBytes").value_or(0);
  return Candidate{.id = std::string(id),
                   .size = static_cast<ByteCount>(std::max<std::int64_t>(size, 0)),
                   .source_sha256 = *hash,
                   .source = *std::move(source)};
}

/// As the options of the registration say; nothing said: only the cache counts.
InstalledSource installed_on(const author::Host& host) {
  return InstalledSource(
      {.slots_file = author::option(host, "slots", ""), .file = author::option(host, "file", ""), .host = {}},
      [&host](std::string_view line) { host.warning(line); });
}

Result<Wish> read_wish(const godwit_make& what, InstalledSource& installed) {
  GODWIT_TRY(const auto file, json::parse_object(author::view(what.file_json)));
  GODWIT_TRY(const auto update, json::parse_object(author::view(what.update_id_json)));
  Wish wish;
  GODWIT_TRY(const auto size, json::integer(file, "sizeInBytes", "file"));
  if (size < 0) return godwit::fail(Code::invalid_argument, "file.sizeInBytes is negative");
  wish.size = static_cast<ByteCount>(size);
  GODWIT_TRY(wish.sha256, sha256_in(file));
  GODWIT_TRY(wish.provider, json::text(update, "provider", "updateId"));
  const SourceCache cache{author::str(what.cache_dir)};
  if (const auto* related = json::object_or_null(file, "relatedFiles"))
    for (const auto& entry : *related) {
      const auto key = entry.key();
      if (auto found = candidate({key.data(), key.size()}, entry.value(), wish.provider, cache, installed))
        wish.candidates.push_back(*std::move(found));
    }
  std::ranges::sort(wish.candidates, {}, &Candidate::size);
  return wish;
}

void choose(const godwit_host* raw_host, const godwit_make* what, godwit_outcome* outcome) {
  author::guarded(outcome, kMakeFailed, [&] {
    const author::Host host(raw_host);
    InstalledSource installed = installed_on(host);
    const auto wish = read_wish(*what, installed);
    if (!wish) return author::say(outcome, result::full_download_needed, kMakeFailed, wish.error().message);
    if (wish->candidates.empty())
      return author::say(outcome, result::full_download_needed, kSourceMissing,
                         "no source of a delta for this file is on the device");
    host.answer(json::print(json::Object{{"related", json::Array{json::Value(wish->candidates.front().id)}}}));
    author::say(outcome, result::handler_made_it, 0, "");
  });
}

struct Input {
  UniqueFd fd{};
  ByteCount size = 0;
};
Result<Input> open_input(const Path& path, int flags) {
  Input input;
  GODWIT_TRY(input.fd, godwit::open_file(path, O_RDONLY | flags));
  const off_t size = ::lseek(input.fd.get(), 0, SEEK_END);
  if (size < 0) return tl::unexpected<godwit::Error>{godwit::error_from_errno("read " + path.string(), errno)};
  input.size = static_cast<ByteCount>(size);
  return input;
}

/// A host before minor version 3 does not know of pieces.
bool has_pieces(const godwit_make& what) {
  return what.size >= offsetof(godwit_make, range_count) + sizeof what.range_count && what.range_count > 0;
}

/// Puts the pieces that the agent fetched from the full file into their places. Their content is judged afterwards,
/// group by group, as whatever else lies in the target.
Result<void> place_pieces(const godwit_make& what, const delta::WriteAt& write, ByteCount size,
                          const std::function<bool()>& is_cancelled) {
  if (!has_pieces(what)) return {};
  GODWIT_TRY(const Input pieces, open_input(author::str(what.ranges_path), O_NOFOLLOW));
  const auto read = delta::reader_of(pieces.fd.get(), "the fetched pieces");
  Bytes buffer;
  ByteCount at = 0;
  for (std::size_t i = 0; i < what.range_count; ++i) {
    const godwit_range& range = what.ranges[i];
    if (range.offset > size || range.length > size - range.offset)
      return godwit::fail(Code::invalid_argument, "a fetched piece lies outside the target");
    for (ByteCount done = 0; done < range.length; done += buffer.size()) {
      if (is_cancelled()) return godwit::fail(Code::cancelled, "cancelled");
      buffer.resize(static_cast<std::size_t>(std::min<ByteCount>(range.length - done, delta::kGroupSizeMax)));
      GODWIT_TRY_VOID(read(at + done, buffer));
      GODWIT_TRY_VOID(write(range.offset + done, buffer));
    }
    at += range.length;
  }
  return {};
}

Result<delta::Applied> apply(const author::Host& host, const Wish& wish, const Candidate& from,
                             const godwit_make& what) {
  const Path patch_path = Path(author::str(what.work_dir)) / from.id;
  const Path target_path = author::str(what.target_path);
  GODWIT_TRY(const Input source, open_input(from.source, 0));
  GODWIT_TRY(const Input patch, open_input(patch_path, O_NOFOLLOW));
  GODWIT_TRY(const UniqueFd target, godwit::open_file(target_path, O_RDWR | O_CREAT | O_NOFOLLOW));
  const int fd = target.get();
  const auto write = [fd](ByteCount offset, std::string_view bytes) -> Result<void> {
    if (::lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0)
      return tl::unexpected<godwit::Error>{godwit::error_from_errno("write the target", errno)};
    return godwit::write_all(fd, bytes);
  };
  const auto is_cancelled = [&host] { return host.is_cancelled(); };
  GODWIT_TRY_VOID(place_pieces(what, write, wish.size, is_cancelled));
  struct stat info {};
  if (::fstat(fd, &info) != 0)
    return tl::unexpected<godwit::Error>{godwit::error_from_errno("look at the target", errno)};
  GODWIT_TRY(auto applied, delta::apply(delta::reader_of(patch.fd.get(), "the delta"), patch.size,
                                        delta::reader_of(source.fd.get(), "the source"), write,
                                        {.expected_size = wish.size,
                                         .expected_sha256 = wish.sha256,
                                         .begun = static_cast<ByteCount>(info.st_size),
                                         .read_back = delta::reader_of(fd, "the target"),
                                         .is_cancelled = is_cancelled,
                                         .on_progress = [&](ByteCount done) { host.progress(done, wish.size); }}));
  if (::ftruncate(fd, static_cast<off_t>(wish.size)) != 0)
    return tl::unexpected<godwit::Error>{godwit::error_from_errno("cut the target", errno)};
  GODWIT_TRY_VOID(godwit::sync_fd(fd));
  return applied;
}

std::string damage_in_words(const std::vector<delta::TargetRange>& damaged) {
  ByteCount sum = 0;
  for (const auto& range : damaged) sum += range.length;
  return fmt::format(
      "the source on the device is not what the delta was made for: {} bytes in {} ranges cannot be "
      "made from it, the first {} at {}",
      sum, damaged.size(), damaged.front().length, damaged.front().offset);
}

/// True when one of the damaged pieces was fetched already: the full file does not hold what the delta makes.
bool was_given(const godwit_make& what, const std::vector<delta::TargetRange>& damaged) {
  if (!has_pieces(what)) return false;
  for (std::size_t i = 0; i < what.range_count; ++i)
    for (const auto& range : damaged)
      if (range.offset < what.ranges[i].offset + what.ranges[i].length &&
          what.ranges[i].offset < range.offset + range.length)
        return true;
  return false;
}

/// Asks the agent for the damaged pieces, unless they are too many.
void ask_for(const author::Host& host, const std::vector<delta::TargetRange>& damaged) {
  if (damaged.size() > GODWIT_RANGES_MAX) return;
  json::Array ranges;
  for (const auto& range : damaged)
    ranges.emplace_back(json::Object{{"offset", range.offset}, {"length", range.length}});
  host.answer(json::print(json::Object{{"ranges", std::move(ranges)}}));
}

void make(const godwit_host* raw_host, const godwit_make* what, godwit_outcome* outcome) {
  author::guarded(outcome, kMakeFailed, [&] {
    const author::Host host(raw_host);
    InstalledSource installed = installed_on(host);
    const auto wish = read_wish(*what, installed);
    if (!wish) return author::say(outcome, result::full_download_needed, kMakeFailed, wish.error().message);
    std::string why = "no delta whose source is on the device was fetched";
    std::uint32_t code = kSourceMissing;
    for (const Candidate& from : wish->candidates) {
      const Path patch = Path(author::str(what->work_dir)) / from.id;
      if (::access(patch.c_str(), R_OK) != 0) continue;
      const auto applied = apply(host, *wish, from, *what);
      if (applied && applied->damaged.empty()) {
        host.info(fmt::format("made from a source on the device: {} groups, {} of them were there from an earlier try",
                              applied->groups_made + applied->groups_found, applied->groups_found));
        return author::say(outcome, result::handler_made_it, 0, "");
      }
      if (!applied && applied.error().code == Code::cancelled)
        return author::say(outcome, result::cancelled, 0, "cancelled");
      code = kMakeFailed;
      why = applied ? damage_in_words(applied->damaged) : applied.error().message;
      host.warning(fmt::format("delta {}: {}", from.id, why));
      if (applied && !was_given(*what, applied->damaged)) {
        ask_for(host, applied->damaged);
        break;  // the others could only do worse: what was made stays
      }
    }
    author::say(outcome, result::full_download_needed, code, why);
  });
}

void completed(const godwit_host* raw_host, const godwit_make* what, godwit_outcome* outcome) {
  author::guarded(outcome, kMakeFailed, [&] {
    const author::Host host(raw_host);
    InstalledSource installed = installed_on(host);
    const auto wish = read_wish(*what, installed);
    if (!wish) return author::say(outcome, result::failure, kMakeFailed, wish.error().message);
    // What runs is a source by itself: a copy of it would only take room.
    if (installed.find(wish->sha256)) return author::say(outcome, result::success, 0, "");
    const SourceCache cache{author::str(what->cache_dir)};
    // A delta can only ever be worth less than the update that is in place: what does not fit is said, not failed.
    if (const auto kept = cache.keep(wish->provider, wish->sha256, author::str(what->target_path)); !kept)
      host.warning("not kept as a source for deltas: " + kept.error().message);
    author::say(outcome, result::success, 0, "");
  });
}

constexpr godwit_download_handler kTable{sizeof(godwit_download_handler), choose, make, completed};

}  // namespace

extern "C" {

const godwit_download_handler* godwit_download_handler_entry(std::uint32_t abi) {
  return abi == GODWIT_ABI ? &kTable : nullptr;
}

std::int32_t GetContractInfo(godwit_contract_info* info) {
  return author::describe(info, GODWIT_TYPE_DOWNLOAD_HANDLER);
}
}
