// Uploads that outlive their connection: FOLDER/partial/<sha256>.<size> holds the bytes that came so far. Private to
// this room. Safe from any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "server/blobs/disk/disk_folder.hpp"

namespace godwit::blobs {

class DiskPartials : public std::enable_shared_from_this<DiskPartials> {
 public:
  explicit DiskPartials(std::shared_ptr<DiskFolder> folder) : folder_(std::move(folder)) {}

  /// Finds what an earlier process left. Once, before anything else.
  [[nodiscard]] Result<void> load();
  [[nodiscard]] Result<std::unique_ptr<Upload>> resume(const std::string& name, ByteCount size, ByteCount first);
  [[nodiscard]] std::optional<PartialUpload> find(const std::string& name);
  [[nodiscard]] Result<bool> drop(const std::string& name);
  [[nodiscard]] Result<std::size_t> expire(WallTime time);
  [[nodiscard]] std::size_t count();

 private:
  class Writer;
  /// One upload that was begun. Its mutex is taken before the one of the map, or alone.
  struct Partial {
    std::mutex mutex{};
    ByteCount size = 0;
    ByteCount received = 0;
    std::unique_ptr<Sha256> hash{};        // of what was received; null after a restart
    std::atomic<std::uint64_t> owner = 0;  // the writer that may write; 0: none. Set under the mutex, given up without
    bool is_gone = false;                  // finished or dropped
    WallTime touched{};
  };

  [[nodiscard]] Path file_of(const std::string& name, ByteCount size) const;
  [[nodiscard]] Result<std::shared_ptr<Partial>> find_or_make(const std::string& name, ByteCount size, ByteCount first);
  [[nodiscard]] Result<UniqueFd> open_at(const std::string& name, Partial& partial, ByteCount size, ByteCount first);
  /// The caller holds the partial's mutex.
  void forget(const std::string& name, Partial& partial);
  void take_last_byte(const std::string& name, Partial& partial);
  [[nodiscard]] Result<void> remove(const std::string& name, Partial& partial);

  std::shared_ptr<DiskFolder> folder_;
  std::mutex mutex_;  // of the map and the numbers
  std::map<std::string, std::shared_ptr<Partial>> partials_{};
  std::uint64_t next_owner_ = 1;
};

}  // namespace godwit::blobs
