#include "device/slots/testing/fake_disk.hpp"

#include <algorithm>

namespace godwit::slots::testing {
namespace {

constexpr std::size_t kSectorBytes = 512;

}  // namespace

class FakeFile final : public DiskFile {
 public:
  FakeFile(FakeDisk& disk, Path path, FakeDisk::InodePtr inode, bool may_write)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)), may_write_(may_write) {}

  Result<ByteCount> size() override { return inode_->now.size(); }
  Result<std::size_t> read_at(ByteCount offset, std::span<char> buffer) override {
    if (offset >= inode_->now.size()) return 0;
    return inode_->now.copy(buffer.data(), buffer.size(), static_cast<std::size_t>(offset));
  }
  Result<void> write_at(ByteCount offset, std::string_view bytes) override {
    GODWIT_CHECK(may_write_);
    const FakeDisk::Write write{offset, Bytes(bytes)};
    const auto end = static_cast<std::size_t>(offset) + bytes.size();
    if (inode_->now.size() < end) inode_->now.resize(end, '\0');
    inode_->now.replace(static_cast<std::size_t>(offset), bytes.size(), bytes);
    inode_->pending.push_back(write);
    ByteCount unsynced = 0;
    for (const auto& pending : inode_->pending) unsynced += pending.bytes.size();
    auto& counters = disk_.counters_[path_];
    counters.written += bytes.size();
    counters.most_unsynced = std::max(counters.most_unsynced, unsynced);
    disk_.step();
    return {};
  }
  Result<void> sync() override {
    if (!disk_.step_sync(path_.string())) return {};
    inode_->medium = inode_->now;
    inode_->pending.clear();
    std::erase_if(disk_.unsized_, [this](const Path& path) {
      const auto found = disk_.now_.find(path);
      return found == disk_.now_.end() || found->second == inode_;
    });
    return {};
  }
  Result<void> drop_cache() override { return {}; }  // dirty pages stay, as the kernel keeps them

 private:
  FakeDisk& disk_;
  Path path_;
  FakeDisk::InodePtr inode_;
  bool may_write_;
};

FakeDisk& FakeDisk::operator=(const FakeDisk& other) {
  if (this == &other) return *this;
  std::map<const Inode*, InodePtr> copies;
  const auto copy_of = [&](const InodePtr& inode) -> InodePtr {
    if (inode == nullptr) return nullptr;
    InodePtr& copy = copies[inode.get()];
    if (copy == nullptr) copy = std::make_shared<Inode>(*inode);
    return copy;
  };
  const auto copy_names = [&](const std::map<Path, InodePtr>& names) {
    std::map<Path, InodePtr> made;
    for (const auto& [path, inode] : names) made.emplace_hint(made.end(), path, copy_of(inode));
    return made;
  };
  cuts = other.cuts;
  missing_sync = other.missing_sync;
  is_loader = other.is_loader;
  untearable = other.untearable;
  free = other.free;
  fat_folders = other.fat_folders;
  now_ = copy_names(other.now_);
  medium_ = copy_names(other.medium_);
  unsized_ = other.unsized_;
  pending_.clear();
  for (const NameChange& change : other.pending_) pending_.push_back({change.path, copy_of(change.inode), change.gone});
  counters_ = other.counters_;
  sync_places_ = other.sync_places_;
  sync_operations_ = other.sync_operations_;
  operations_ = other.operations_;
  syncs_ = other.syncs_;
  return *this;
}

bool FakeDisk::has_unsynced() const {
  return !pending_.empty() ||
         std::any_of(now_.begin(), now_.end(), [](const auto& entry) { return !entry.second->pending.empty(); });
}

bool FakeDisk::holds_the_same_as(const FakeDisk& other) const {
  if (has_unsynced() || other.has_unsynced()) return false;
  return std::equal(medium_.begin(), medium_.end(), other.medium_.begin(), other.medium_.end(),
                    [](const auto& one, const auto& two) {
                      return one.first == two.first && one.second->medium == two.second->medium;
                    });
}

void FakeDisk::step() {
  if (cuts.contains(operations_++)) throw PowerCut{};
}

bool FakeDisk::step_sync(const std::string& place) {
  step();
  if (is_loader) return true;
  sync_places_.push_back(place);
  sync_operations_.push_back(operations_);
  return syncs_++ != missing_sync;
}

void FakeDisk::apply(const NameChange& change, std::map<Path, InodePtr>& names) {
  names.erase(change.gone);
  if (change.inode == nullptr)
    names.erase(change.path);
  else
    names[change.path] = change.inode;
}

void FakeDisk::change_name(const Path& path, InodePtr inode, const Path& gone) {
  pending_.push_back({path, std::move(inode), gone});
  apply(pending_.back(), now_);
}

bool FakeDisk::is_on_fat(const Path& path) const {
  return !is_loader && fat_folders.contains(path.parent_path().string());
}

void FakeDisk::free_clusters(const Path& path) {
  const auto found = now_.find(path);
  if (found == now_.end() || !is_on_fat(path)) return;
  Inode& inode = *found->second;
  const bool is_shared = std::any_of(now_.begin(), now_.end(), [&](const auto& entry) {
    return entry.first != path && entry.second == found->second;
  });
  if (is_shared) inode.now = inode.medium = Bytes(inode.now.size(), '?');
}

Result<std::unique_ptr<DiskFile>> FakeDisk::open(const Path& path, OpenMode mode) {
  if (mode == OpenMode::create) {
    free_clusters(path);
    change_name(path, std::make_shared<Inode>());
    step();
  }
  const auto found = now_.find(path);
  if (found == now_.end()) return fail(Code::not_found, path.string() + " does not exist");
  return std::make_unique<FakeFile>(*this, path, found->second, mode != OpenMode::read);
}

Result<void> FakeDisk::rename(const Path& from, const Path& to) {
  const auto found = now_.find(from);
  if (found == now_.end()) return fail(Code::not_found, from.string() + " does not exist");
  if (!is_on_fat(to)) {
    // One change, of the journal or of a loader: both names or neither.
    change_name(to, found->second, from);
  } else {
    const auto inode = found->second;
    const auto replaced = now_.find(to);
    if (replaced != now_.end() && replaced->second != inode) free_clusters(to);
    change_name(to, inode);
    change_name(from, nullptr);
    unsized_.insert(to);
  }
  step();
  return {};
}

Result<void> FakeDisk::remove(const Path& path) {
  if (!now_.contains(path)) return {};
  free_clusters(path);
  change_name(path, nullptr);
  step();
  return {};
}

Result<void> FakeDisk::sync_folder(const Path& folder) {
  if (!step_sync(folder.string() + "/")) return {};
  std::vector<NameChange> others;
  for (NameChange& change : pending_) {
    if (change.path.parent_path() == folder)
      apply(change, medium_);
    else
      others.push_back(change);
  }
  pending_ = std::move(others);
  return {};
}

Result<std::vector<std::string>> FakeDisk::list(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& [path, inode] : now_)
    if (path.parent_path() == folder) names.push_back(path.filename().string());
  return names;
}

Result<Room> FakeDisk::room(const Path& /*folder*/) { return Room{.free = free, .file_system = 1}; }

void FakeDisk::put(const Path& path, Bytes bytes) {
  auto inode = std::make_shared<Inode>();
  inode->now = bytes;
  inode->medium = std::move(bytes);
  now_[path] = inode;
  medium_[path] = inode;
}

const Bytes& FakeDisk::durable(const Path& path) const { return medium_.at(path)->medium; }

ByteCount FakeDisk::written_to(const Path& path) const {
  const auto found = counters_.find(path);
  return found == counters_.end() ? 0 : found->second.written;
}

ByteCount FakeDisk::most_unsynced(const Path& path) const {
  const auto found = counters_.find(path);
  return found == counters_.end() ? 0 : found->second.most_unsynced;
}

void FakeDisk::arrive(Inode& inode, const Write& write, std::size_t begin, std::size_t size) {
  const std::size_t at = static_cast<std::size_t>(write.offset) + begin;
  if (inode.medium.size() < at + size) inode.medium.resize(at + size, '\0');
  inode.medium.replace(at, size, write.bytes, begin, size);
}

void FakeDisk::lose_power(Loss loss, std::uint64_t seed) {
  std::mt19937_64 dice(seed);
  const auto thrown = [&](std::uint64_t sides) { return dice() % sides; };
  std::set<InodePtr> inodes;
  for (const auto& [path, inode] : now_) inodes.insert(inode);
  for (const auto& [path, inode] : medium_) inodes.insert(inode);
  std::set<InodePtr> whole_sectors;
  for (const auto& [path, inode] : medium_)
    if (untearable.contains(path.string())) whole_sectors.insert(inode);
  for (const auto& inode : inodes) {
    for (const Write& write : inode->pending) {
      for (std::size_t begin = 0; begin < write.bytes.size(); begin += kSectorBytes) {
        std::size_t size = std::min(kSectorBytes, write.bytes.size() - begin);
        const std::uint64_t fate = loss == Loss::nothing ? 0 : loss == Loss::all ? 1 : thrown(3);
        if (fate == 1) continue;
        if (fate == 2 && whole_sectors.contains(inode)) continue;
        if (fate == 2) size = thrown(size);  // torn: only its beginning arrived
        if (size > 0) arrive(*inode, write, begin, size);
      }
    }
    inode->pending.clear();
  }
  // The journal of the file system keeps the order of names: a beginning of it arrived.
  const std::size_t arrived = loss == Loss::nothing ? pending_.size()
                              : loss == Loss::all   ? 0
                                                    : thrown(pending_.size() + 1);
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const bool is_ordered = !fat_folders.contains(pending_[i].path.parent_path().string());
    if (is_ordered || loss != Loss::random ? i < arrived : thrown(2) == 0) apply(pending_[i], medium_);
  }
  pending_.clear();
  for (const Path& path : unsized_) {
    const bool has_arrived = loss == Loss::nothing || (loss == Loss::random && thrown(2) == 0);
    if (!has_arrived && medium_.contains(path)) medium_[path] = std::make_shared<Inode>();
  }
  unsized_.clear();
  for (const auto& inode : inodes) inode->now = inode->medium;
  now_ = medium_;
}

}  // namespace godwit::slots::testing
