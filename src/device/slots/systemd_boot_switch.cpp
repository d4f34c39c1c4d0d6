#include "device/slots/systemd_boot_switch.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.hpp"

namespace godwit::slots {
namespace {

constexpr ByteCount kEntryLimit = 16 * 1024;
constexpr ByteCount kVariableLimit = 4 * 1024;
constexpr std::size_t kCounterDigits = 9;
constexpr int kTemporaries = 10;
constexpr std::string_view kSortKey = "00-godwit";
constexpr std::string_view kGivenUp = "# given up, attempts left:";
/// Of systemd's loader interface.
constexpr std::string_view kDefaultVariable = "LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
constexpr std::size_t kAttributes = 4;  // before a variable's value in efivarfs

std::optional<int> counter_in(std::string_view digits) {
  if (digits.empty() || digits.size() > kCounterDigits) return std::nullopt;
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  return to_number<int>(digits);
}

std::string file_of(const std::string& name, const EntryName& counter) {
  if (!counter.left) return name + ".conf";
  if (counter.done == 0) return fmt::format("{}+{}.conf", name, *counter.left);
  return fmt::format("{}+{}-{}.conf", name, *counter.left, counter.done);
}

/// Calls `see` with key and value of each line; a comment has the key "#".
template <class See>
void each_line(std::string_view text, See see) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t key = std::min(line.find_first_of(" \t"), line.size());
    see(line, line.substr(0, key), trimmed(line.substr(key)));
  }
}

}  // namespace

std::optional<EntryName> parse_entry_name(std::string_view file, std::string_view name) {
  constexpr std::string_view kEnd = ".conf";
  if (!file.starts_with(name) || !file.ends_with(kEnd) || file.size() < name.size() + kEnd.size()) return std::nullopt;
  std::string_view counter = file.substr(name.size(), file.size() - name.size() - kEnd.size());
  if (counter.empty()) return EntryName{};
  if (!counter.starts_with('+')) return std::nullopt;
  counter.remove_prefix(1);
  const std::size_t dash = counter.find('-');
  const auto left = counter_in(counter.substr(0, dash));
  const auto done = dash == std::string_view::npos ? std::optional(0) : counter_in(counter.substr(dash + 1));
  if (!left || !done) return std::nullopt;
  return EntryName{.left = *left, .done = *done};
}

std::uint32_t SystemdBootSwitch::Found::newest() const {
  std::uint32_t version = 0;
  for (const auto& entries : of)
    for (const Entry& entry : entries) version = std::max(version, entry.version);
  return version;
}

Result<std::optional<SystemdBootSwitch::Entry>> SystemdBootSwitch::load(std::string file, EntryName counter) {
  GODWIT_TRY(const Bytes text, read_whole(disk_, place_.entries / file, kEntryLimit));
  Entry entry{.file = std::move(file), .counter = counter, .version = 0, .given_up = {}};
  bool is_sorted = false;
  bool starts_something = false;
  std::optional<std::uint32_t> version;
  each_line(text, [&](std::string_view line, std::string_view key, std::string_view value) {
    starts_something = starts_something || key == "linux" || key == "efi";
    if (key == "sort-key") is_sorted = value == kSortKey;
    if (key == "version") version = to_number<std::uint32_t>(value);
    if (line.starts_with(kGivenUp)) entry.given_up = counter_in(trimmed(line.substr(kGivenUp.size())));
  });
  if (!starts_something) return std::optional<Entry>{};
  if (!is_sorted || !version)
    return fail(Code::refused, fmt::format("{} lacks 'sort-key {}' or a number as 'version': the boot loader would not "
                                           "order the sides as they are meant",
                                           entry.file, kSortKey));
  entry.version = *version;
  return std::optional<Entry>{std::move(entry)};
}

Result<void> SystemdBootSwitch::check_choices() {
  const Path config = place_.entries.parent_path() / "loader.conf";
  if (const auto text = read_whole(disk_, config, kEntryLimit)) {
    std::string chosen;
    each_line(*text, [&](std::string_view, std::string_view key, std::string_view value) {
      if (key == "default") chosen = value;
    });
    if (!chosen.empty())
      return fail(Code::refused, fmt::format("{} says 'default {:.64}', which overrides the counting of attempts; "
                                             "remove that line",
                                             config.string(), chosen));
  } else if (text.error().code != Code::not_found) {
    return tl::unexpected<Error>{text.error()};
  }
  const auto variable = read_whole(disk_, place_.variables / kDefaultVariable, kVariableLimit);
  if (!variable && variable.error().code != Code::not_found) return tl::unexpected<Error>{variable.error()};
  if (variable && variable->size() > kAttributes + 2)
    return fail(Code::refused,
                "the EFI variable LoaderEntryDefault is set, which overrides the counting of attempts; "
                "run: bootctl set-default ''");
  return {};
}

Result<SystemdBootSwitch::Found> SystemdBootSwitch::find() {
  GODWIT_TRY_VOID(check_choices());
  Found found;
  GODWIT_TRY(const auto files, disk_.list(place_.entries));
  for (const std::string& file : files)
    for (const Side side : {Side::a, Side::b})
      if (const auto counter = parse_entry_name(file, name_of(side))) {
        GODWIT_TRY(std::optional<Entry> entry, load(file, *counter));
        if (entry)
          found.of[index_of(side)].push_back(*std::move(entry));
        else
          found.passed_over[index_of(side)].push_back(file);
      }
  std::optional<std::uint32_t> good_version;
  for (const Side side : {Side::a, Side::b}) {
    auto& entries = found.of[index_of(side)];
    // As the loader sorts them: what has no tries left goes last, then the newest first.
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& one, const Entry& two) {
      if ((one.counter.left == 0) != (two.counter.left == 0)) return two.counter.left == 0;
      return one.version > two.version;
    });
    for (const Entry& entry : entries) {
      if (entry.counter.left) continue;
      if (good_version == entry.version)
        return fail(Code::refused, fmt::format("{} and {}.conf claim the same version {}", name_of(other(side)),
                                               name_of(side), entry.version));
      if (good_version && *good_version > entry.version) continue;
      good_version = entry.version;
      found.state.good = side;
    }
  }
  if (!good_version) return fail(Code::refused, "no side has an entry without a counter: none is good");

  const Side there = other(found.state.good);
  for (const Entry& entry : found.at(there)) {
    if (!entry.counter.left) continue;
    if (*entry.counter.left > kMostAttempts)
      return fail(Code::refused, fmt::format("{} has more than {} attempts", entry.file, kMostAttempts));
    const bool is_chosen = *entry.counter.left > 0 && entry.version > *good_version;
    const bool was_tried = *entry.counter.left == 0 && entry.counter.done > 0;
    if (!is_chosen && !was_tried) continue;
    // After the last attempt has begun the loader does not know whether it succeeds: it is still a trial.
    (entry.given_up ? found.state.failed : found.state.trial) = there;
    found.state.attempts_left = entry.given_up ? std::min(*entry.given_up, kMostAttempts) : *entry.counter.left;
    break;
  }
  return found;
}

Result<BootState> SystemdBootSwitch::read() {
  auto found = find();
  if (!found) return with_context(place_.entries.string(), found.error());
  return found->state;
}

Result<void> SystemdBootSwitch::put(Side side, const Entry& wanted, const Found& found) {
  GODWIT_TRY(const Bytes text, read_whole(disk_, place_.entries / (name_of(side) + ".entry"), kEntryLimit));
  Bytes entry = fmt::format("sort-key {}\nversion {}\n", kSortKey, wanted.version);
  if (wanted.given_up) entry += fmt::format("{} {}\n", kGivenUp, *wanted.given_up);
  each_line(text, [&](std::string_view line, std::string_view key, std::string_view) {
    if (key != "sort-key" && key != "version") entry += std::string(line) + "\n";
  });
  const std::string file = file_of(name_of(side), wanted.counter);
  GODWIT_TRY_VOID(write_entry(file, entry));
  return remove_all_but(file, side, wanted.counter.left.has_value(), found);
}

Result<void> SystemdBootSwitch::write_entry(const std::string& file, std::string_view text) {
  GODWIT_TRY(const auto names, disk_.list(place_.entries));
  std::string temporary;
  for (int number = 0; number < kTemporaries && temporary.empty(); ++number)
    if (const std::string name = fmt::format("{}.new{}", file, number); std::ranges::find(names, name) == names.end())
      temporary = name;
  if (temporary.empty())
    return fail(Code::refused,
                fmt::format("{} power cuts have left files such as {}.new0; let fsck.vfat look at the partition, then "
                            "remove them",
                            kTemporaries, file));
  GODWIT_TRY_VOID(write_new(disk_, place_.entries / temporary, text));
  GODWIT_TRY_VOID(disk_.rename(place_.entries / temporary, place_.entries / file));
  GODWIT_TRY(const auto renamed, disk_.open(place_.entries / file, OpenMode::write));
  GODWIT_TRY_VOID(renamed->sync());
  return disk_.sync_folder(place_.entries);
}

Result<void> SystemdBootSwitch::remove_all_but(const std::string& kept, Side side, bool must_be_gone,
                                               const Found& found) {
  bool is_choice = false;
  for (const Entry& old : found.at(side)) {
    if (old.file == kept) continue;
    GODWIT_TRY_VOID(disk_.remove(place_.entries / old.file));
    is_choice = is_choice || old.counter.left.value_or(0) > 0;
  }
  for (const std::string& file : found.passed_over[index_of(side)])
    if (file != kept) GODWIT_TRY_VOID(disk_.remove(place_.entries / file));
  // One without attempts, or older than a good one, is never chosen: it may come back after a cut.
  return is_choice && must_be_gone ? disk_.sync_folder(place_.entries) : Result<void>{};
}

Result<void> SystemdBootSwitch::make_good(Side side, const Found& found) {
  if (found.state.good == side) return {};
  return put(side, {.file = {}, .counter = {}, .version = found.newest() + 1, .given_up = {}}, found);
}

Result<void> SystemdBootSwitch::set_other(Side side, const BootState& state, const Found& found) {
  const auto& entries = found.at(side);
  if (state.trial) {
    const EntryName counter{.left = state.attempts_left, .done = state.attempts_left > 0 ? 0 : 1};
    return put(side, {.file = {}, .counter = counter, .version = found.newest() + 1, .given_up = {}}, found);
  }
  if (state.failed) {
    const int done = entries.empty() ? 1 : std::max(1, entries.front().counter.done);
    return put(side, {.file = {}, .counter = {.left = 0, .done = done}, .version = 0, .given_up = state.attempts_left},
               found);
  }
  return remove_all_but("", side, true, found);
}

Result<void> SystemdBootSwitch::write(const BootState& state) {
  const auto write_state = [&]() -> Result<void> {
    if (state.trial == state.good || state.failed == state.good)
      return fail(Code::refused, "systemd-boot cannot try the good side");
    if (state.verity[0] || state.verity[1])
      return fail(
          Code::unsupported,
          "an image with dm-verity needs GRUB, U-Boot or a command of yours: entries of systemd-boot do not carry "
          "the root hash");
    GODWIT_TRY(Found found, find());
    // The good side first: from then on the other one may lose its entry.
    GODWIT_TRY_VOID(make_good(state.good, found));
    GODWIT_TRY(found, find());
    const Side there = other(state.good);
    const std::size_t wanted = state.trial || state.failed ? 1 : 0;
    if (found.state == state && found.at(there).size() == wanted) return {};
    return set_other(there, state, found);
  };
  if (auto written = write_state(); !written) return with_context(place_.entries.string(), written.error());
  return {};
}

}  // namespace godwit::slots
