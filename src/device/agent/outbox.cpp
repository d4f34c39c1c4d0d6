#include "device/agent/outbox.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/json.hpp"
#include "core/base/text.hpp"

namespace godwit::agent {
namespace {

constexpr int kVersion = 1;
constexpr std::string_view kSuffix = ".report.json";

std::optional<std::uint64_t> number_of(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  return to_number<std::uint64_t>(name.substr(0, name.size() - kSuffix.size()));
}

std::string print(const OutboxEntry& entry) {
  json::Object out;
  out["version"] = kVersion;
  out["workflow_id"] = entry.workflow_id;
  out["attempt"] = entry.attempt;
  out["is_final"] = entry.is_final;
  out["patch"] = entry.patch;
  return json::print(out);
}

Result<OutboxEntry> read_entry(const Path& path, ByteCount limit) {
  GODWIT_TRY(const auto text, read_file(path, limit));
  GODWIT_TRY(const auto object, json::parse_object(text));
  constexpr std::string_view kHere = "report";
  GODWIT_TRY(const auto version, json::integer(object, "version", kHere));
  if (version != kVersion) return fail(Code::unsupported, "version " + std::to_string(version));
  OutboxEntry entry;
  GODWIT_TRY(entry.workflow_id, json::text(object, "workflow_id", kHere));
  GODWIT_TRY(const auto attempt, json::integer(object, "attempt", kHere));
  if (attempt < 0 || attempt > UINT32_MAX) return fail(Code::invalid_argument, "attempt is out of range");
  entry.attempt = static_cast<std::uint32_t>(attempt);
  const auto* is_final = json::find(object, "is_final");
  entry.is_final = is_final != nullptr && is_final->is_bool() && is_final->as_bool();
  GODWIT_TRY(entry.patch, json::text(object, "patch", kHere));
  if (auto patch = json::parse_object(entry.patch); !patch) return with_context("patch", std::move(patch).error());
  return entry;
}

}  // namespace

Path Outbox::path_of(std::uint64_t number) const { return folder_ / fmt::format("{:016}{}", number, kSuffix); }

Result<Outbox> Outbox::open(const Path& folder, Log& log, Limits limits) {
  GODWIT_TRY_VOID(make_folders(folder));
  Outbox outbox(folder, limits);
  std::error_code problem;
  std::filesystem::directory_iterator files(folder, problem);
  if (problem) return tl::unexpected<Error>{error_from_errno("read folder " + folder.string(), problem.value())};
  for (const auto& file : files) {
    const auto number = number_of(file.path().filename().string());
    auto entry = number ? read_entry(file.path(), limits.entry_bytes * 2 + 4096)
                        : Result<OutboxEntry>{fail(Code::invalid_argument, "not a report")};
    if (!entry) {
      log.warning("outbox.unreadable", {{"file", file.path().string()}, {"reason", entry.error().message}});
      std::filesystem::remove_all(file.path(), problem);
      continue;
    }
    entry->number = *number;
    outbox.next_number_ = std::max(outbox.next_number_, *number + 1);
    outbox.entries_.push_back(*std::move(entry));
  }
  std::ranges::sort(outbox.entries_, {}, &OutboxEntry::number);
  return outbox;
}

std::optional<std::uint64_t> Outbox::superfluous(const OutboxEntry& incoming) const {
  std::optional<std::uint64_t> other;
  for (const auto& entry : entries_) {
    if (entry.is_final) continue;
    if (entry.workflow_id == incoming.workflow_id) return entry.number;
    if (!other) other = entry.number;
  }
  if (other) return other;
  for (auto old = entries_.begin(); old != entries_.end(); ++old) {
    const auto is_overtaken = [&old](const OutboxEntry& later) {
      return later.workflow_id == old->workflow_id && later.attempt > old->attempt;
    };
    if (std::any_of(old + 1, entries_.end(), is_overtaken) || (incoming.is_final && is_overtaken(incoming)))
      return old->number;
  }
  return std::nullopt;
}

Result<void> Outbox::put(OutboxEntry entry) {
  if (entry.patch.size() > limits_.entry_bytes)
    return fail(Code::too_large,
                fmt::format("a report of {} bytes is above the limit of {}", entry.patch.size(), limits_.entry_bytes));
  std::optional<std::uint64_t> replaced;
  for (const auto& old : entries_)
    if (old.workflow_id == entry.workflow_id && old.attempt == entry.attempt && old.is_final == entry.is_final)
      replaced = old.number;
  if (!replaced && entries_.size() >= limits_.entries) {
    replaced = superfluous(entry);
    if (!replaced)
      return fail(Code::too_many, fmt::format("{} final reports wait for the hub already", entries_.size()));
  }
  entry.number = next_number_;
  if (auto written = write_file_durably(path_of(entry.number), print(entry)); !written)
    return with_context("write report", std::move(written).error());
  ++next_number_;
  entries_.push_back(std::move(entry));
  if (replaced) GODWIT_TRY_VOID(remove(*replaced));
  return {};
}

Result<void> Outbox::remove(std::uint64_t number) {
  const auto found = std::ranges::find(entries_, number, &OutboxEntry::number);
  if (found == entries_.end()) return {};
  auto removed = remove_file_durably(path_of(number));
  if (!removed && removed.error().code != Code::not_found)
    return with_context("remove sent report", std::move(removed).error());
  entries_.erase(found);
  return {};
}

std::size_t count_reports(const Path& folder) {
  std::error_code problem;
  std::size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder, problem))
    count += number_of(file.path().filename().string()) ? 1 : 0;
  return count;
}

}  // namespace godwit::agent
