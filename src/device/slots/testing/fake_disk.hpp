// A Disk in memory that can lose its power: what was not synced is then kept, dropped or torn, sector by sector, in any
// order. For tests; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "device/slots/disk.hpp"

namespace godwit::slots::testing {

/// Thrown by the operation in whose middle the power goes.
struct PowerCut {};

/// What happens to that which was not synced.
enum class Loss : std::uint8_t { all, nothing, random };

class FakeDisk final : public Disk {
 public:
  FakeDisk() = default;
  /// A disk of its own with the same content; files that are open belong to the first one.
  FakeDisk(const FakeDisk& other) { *this = other; }
  FakeDisk& operator=(const FakeDisk& other);
  ~FakeDisk() override = default;

  Result<std::unique_ptr<DiskFile>> open(const Path& path, OpenMode mode) override;
  Result<void> rename(const Path& from, const Path& to) override;
  Result<void> remove(const Path& path) override;
  Result<void> sync_folder(const Path& folder) override;
  Result<std::vector<std::string>> list(const Path& folder) override;
  Result<Room> room(const Path& folder) override;

  /// Puts a durable file there, without counting.
  void put(const Path& path, Bytes bytes);
  /// What the medium holds, without what only the cache knows.
  [[nodiscard]] const Bytes& durable(const Path& path) const;
  [[nodiscard]] bool is_durable(const Path& path) const { return medium_.contains(path); }
  /// Something was written or renamed that no sync has covered.
  [[nodiscard]] bool has_unsynced() const;
  /// Where nothing is unsynced: the same names and contents.
  [[nodiscard]] bool holds_the_same_as(const FakeDisk& other) const;
  /// The power goes: the medium gets some of what was not synced, the cache is empty.
  void lose_power(Loss loss, std::uint64_t seed);

  /// The operation with this number (from 0) throws PowerCut; several may be given.
  std::set<int> cuts{};
  /// The sync with this number (from 0) does nothing: what the cut tests would see if it were missing in the code.
  int missing_sync = -1;
  /// A boot loader has no cache: while this is set, syncs are not numbered and always work. Cuts go on.
  bool is_loader = false;
  /// Sectors of these are written whole or not at all; elsewhere they may tear in the middle.
  std::set<std::string> untearable{};
  /// Free on its one file system.
  ByteCount free = 1024 * 1024;
  /// Folders of FAT: of the changes of their names that were not synced any may arrive, and of a rename one half
  /// without the other; then both names have the same clusters, and what frees those of one spoils the other. A file
  /// that was renamed has its size on the medium only after its next sync. The boot loader's renames arrive whole.
  std::set<std::string> fat_folders{};

  [[nodiscard]] int operations() const { return operations_; }
  [[nodiscard]] int syncs() const { return syncs_; }
  /// Where the sync happened, for the words of a failure.
  [[nodiscard]] const std::vector<std::string>& sync_places() const { return sync_places_; }
  /// After which operation it happened.
  [[nodiscard]] const std::vector<int>& sync_operations() const { return sync_operations_; }
  [[nodiscard]] ByteCount written_to(const Path& path) const;
  /// Most unsynced bytes that a file had at any time.
  [[nodiscard]] ByteCount most_unsynced(const Path& path) const;

 private:
  friend class FakeFile;
  struct Write {
    ByteCount offset = 0;
    Bytes bytes;
  };
  struct Inode {
    Bytes now;
    Bytes medium;
    std::vector<Write> pending{};
  };
  using InodePtr = std::shared_ptr<Inode>;
  struct NameChange {
    Path path;
    InodePtr inode;  // null: the name goes
    Path gone{};     // goes with it
  };
  struct Counters {
    ByteCount written = 0;
    ByteCount most_unsynced = 0;
  };

  void step();
  [[nodiscard]] bool step_sync(const std::string& place);
  void change_name(const Path& path, InodePtr inode, const Path& gone = {});
  [[nodiscard]] bool is_on_fat(const Path& path) const;
  void free_clusters(const Path& path);
  static void apply(const NameChange& change, std::map<Path, InodePtr>& names);
  static void arrive(Inode& inode, const Write& write, std::size_t begin, std::size_t size);

  std::map<Path, InodePtr> now_{};
  std::map<Path, InodePtr> medium_{};
  std::vector<NameChange> pending_{};
  std::set<Path> unsized_{};  // renamed on FAT and not synced since
  std::map<Path, Counters> counters_{};
  std::vector<std::string> sync_places_{};
  std::vector<int> sync_operations_{};
  int operations_ = 0;
  int syncs_ = 0;
};

}  // namespace godwit::slots::testing
