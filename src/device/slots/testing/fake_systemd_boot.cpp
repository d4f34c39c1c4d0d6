#include "device/slots/testing/fake_systemd_boot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace godwit::slots::testing {
namespace {

struct Entry {
  std::string file{};
  std::string stem{};
  std::string sort_key{};
  std::string version{};
  std::string options{};
  long left = -1;  // without a counter
  long done = 0;
  bool has_kernel = false;
};

Entry parse(const std::string& file, const Bytes& text) {
  Entry entry{.file = file};
  // STEM+LEFT.conf or STEM+LEFT-DONE.conf
  if (const auto plus = file.rfind('+'); plus != std::string::npos) {
    entry.stem = file.substr(0, plus);
    std::size_t used = 0;
    entry.left = std::stol(file.substr(plus + 1), &used);
    if (file[plus + 1 + used] == '-') entry.done = std::stol(file.substr(plus + 2 + used));
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.find(' ');
    const std::string key = line.substr(0, space);
    const std::string value = space == std::string::npos ? "" : line.substr(space + 1);
    if (key == "sort-key") entry.sort_key = value;
    if (key == "version") entry.version = value;
    if (key == "options") entry.options = value;
    if (key == "linux") entry.has_kernel = true;
  }
  return entry;
}

bool comes_first(const Entry& one, const Entry& two) {
  if ((one.left == 0) != (two.left == 0)) return two.left == 0;
  if (one.sort_key.empty() != two.sort_key.empty()) return two.sort_key.empty();
  if (one.sort_key != two.sort_key) return one.sort_key < two.sort_key;
  if (one.version != two.version) return std::stol("0" + one.version) > std::stol("0" + two.version);
  return one.file > two.file;
}

}  // namespace

Result<Side> FakeSystemdBoot::pick() {
  GODWIT_TRY(const auto files, disk_.list(entries_));
  std::vector<Entry> entries;
  for (const std::string& file : files) {
    if (!file.ends_with(".conf")) continue;
    GODWIT_TRY(const Bytes text, read_whole(disk_, entries_ / file, 16 * 1024));
    // One without a kernel is none.
    if (Entry entry = parse(file, text); entry.has_kernel) entries.push_back(std::move(entry));
  }
  if (entries.empty()) return fail(Code::not_found, "there is no entry to boot");
  const Entry& chosen = *std::min_element(entries.begin(), entries.end(), comes_first);
  const auto side = parse_side(chosen.options.empty() ? "" : chosen.options.substr(chosen.options.size() - 1));
  if (!side) return fail(Code::refused, chosen.file + " starts no side: " + chosen.options);
  if (chosen.left >= 0) {
    const std::string counted =
        fmt::format("{}+{}-{}.conf", chosen.stem, std::max(chosen.left - 1, 0L), chosen.done + 1);
    GODWIT_TRY_VOID(disk_.rename(entries_ / chosen.file, entries_ / counted));
    GODWIT_TRY_VOID(disk_.sync_folder(entries_));
  }
  return *side;
}

}  // namespace godwit::slots::testing
