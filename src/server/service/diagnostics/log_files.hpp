// Log files on disk: <folder>/<container>/<stored name>; written beside, fsynced, renamed. Names come from us, never
// from a device. Blocks; safe from any thread.
#pragma once

#include <memory>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::service {

class LogFiles {
 public:
  /// Unfinished files of an earlier run are removed. Errors: io_failed, disk_full.
  [[nodiscard]] static Result<LogFiles> open(const Path& folder);

  /// A file on its way in; removes itself unless it was kept.
  class Incoming {
   public:
    Incoming(Path temporary, UniqueFd file) : temporary_(std::move(temporary)), file_(std::move(file)) {}
    Incoming(Incoming&& other) noexcept;
    Incoming& operator=(Incoming&&) = delete;
    ~Incoming();
    [[nodiscard]] Result<void> write(std::string_view bytes);
    [[nodiscard]] ByteCount size() const { return size_; }

   private:
    friend class LogFiles;
    Path temporary_;  // empty: kept or moved from
    UniqueFd file_;
    std::unique_ptr<Sha256> hash_ = std::make_unique<Sha256>();
    ByteCount size_ = 0;
  };
  struct Kept {
    std::string stored;
    Bytes sha256;
  };

  [[nodiscard]] Result<Incoming> begin() const;
  /// After return the file is on disk under a name of its own.
  [[nodiscard]] Result<Kept> keep(Incoming& incoming, const std::string& container) const;
  /// Errors: not_found.
  [[nodiscard]] Result<UniqueFd> open_file(const std::string& container, const std::string& stored) const;
  /// What is not there is success.
  [[nodiscard]] Result<void> remove(const std::string& container, const std::string& stored) const;
  [[nodiscard]] Result<void> remove_container(const std::string& container) const;
  [[nodiscard]] std::vector<std::string> containers() const;
  [[nodiscard]] std::vector<std::string> files_of(const std::string& container) const;

 private:
  explicit LogFiles(Path folder) : folder_(std::move(folder)) {}
  Path folder_;
};

}  // namespace godwit::service
