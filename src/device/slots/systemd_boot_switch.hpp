// systemd-boot with boot counting: the state lies in the names of entry files, as the Boot Loader Specification has it.
//   SIDE.conf             good: without a counter, as systemd-bless-boot leaves it. Of two, the higher `version` counts
//   SIDE+LEFT-DONE.conf   on trial: the loader renames it at each start; its `version` is above the good one's
//   SIDE+0-DONE.conf      all attempts are used, or a comment in it says that it was given up; the loader sorts it last
//   none of these         the side cannot be booted
//   SIDE.entry            what the board's maker wrote for the side; read only, the loader ignores it
// The first three carry one sort-key, so that the loader's order is the order of their versions. A choice made
// elsewhere (`default` in loader.conf, `bootctl set-default`) overrides counting, and is refused. Needs systemd-boot
// 250 or newer.
//
// FAT has no journal: a rename may arrive as its second half only. So a new file is written beside the old one under a
// name that the loader ignores, synced, renamed, synced, and only then the old one goes: the good side's entry is there
// at any moment. The loader's own rename is as safe as the firmware's file system makes it.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "device/slots/boot_switch.hpp"
#include "device/slots/disk.hpp"

namespace godwit::slots {

struct SystemdBootPlace {
  Path entries;                      // loader/entries of the ESP or XBOOTLDR partition
  std::array<std::string, 2> names;  // of the entries of A and B, without ".conf"
  Path variables;                    // efivarfs; a folder that is not there holds no choice
};

/// What the counter in an entry's file name says; no counter: `left` is absent.
struct EntryName {
  std::optional<int> left{};
  int done = 0;
  friend bool operator==(const EntryName&, const EntryName&) = default;
};
/// The counter of `file` when it is an entry called `name`, nothing for any other file.
[[nodiscard]] std::optional<EntryName> parse_entry_name(std::string_view file, std::string_view name);

class SystemdBootSwitch final : public BootSwitch {
 public:
  SystemdBootSwitch(Disk& disk, SystemdBootPlace place) : disk_(disk), place_(std::move(place)) {}
  [[nodiscard]] Result<BootState> read() override;
  /// Errors, besides: not_found (an .entry file is missing), refused (a trial of the good side).
  [[nodiscard]] Result<void> write(const BootState& state) override;

 private:
  struct Entry {
    std::string file;
    EntryName counter;
    std::uint32_t version = 0;
    std::optional<int> given_up;  // with so many attempts left
  };
  struct Found {
    std::array<std::vector<Entry>, 2> of;                   // of each side, what the loader prefers first
    std::array<std::vector<std::string>, 2> passed_over{};  // what is no entry for the loader
    BootState state;
    [[nodiscard]] const std::vector<Entry>& at(Side side) const { return of[index_of(side)]; }
    [[nodiscard]] std::uint32_t newest() const;
  };
  [[nodiscard]] Result<Found> find();
  [[nodiscard]] Result<void> check_choices();
  /// Nothing of a file that starts nothing: a cut left its name without its content.
  [[nodiscard]] Result<std::optional<Entry>> load(std::string file, EntryName counter);
  [[nodiscard]] Result<void> make_good(Side side, const Found& found);
  [[nodiscard]] Result<void> set_other(Side side, const BootState& state, const Found& found);
  /// Leaves the side with this one entry.
  [[nodiscard]] Result<void> put(Side side, const Entry& wanted, const Found& found);
  /// FAT keeps a file's place and size in the entry of its name, and a rename writes them only with the file's next
  /// sync: without that a cut leaves the new name empty. What an earlier cut left under a temporary name is not
  /// touched: it may have the clusters of the file that was renamed.
  [[nodiscard]] Result<void> write_entry(const std::string& file, std::string_view text);
  /// `must_be_gone`: durably, where the loader could choose one of them.
  [[nodiscard]] Result<void> remove_all_but(const std::string& kept, Side side, bool must_be_gone, const Found& found);
  [[nodiscard]] const std::string& name_of(Side side) const { return place_.names[index_of(side)]; }

  Disk& disk_;
  SystemdBootPlace place_;
};

}  // namespace godwit::slots
