// The files that earlier updates left behind as sources: <cache>/<provider>/sha256-<base64, its specials escaped>. A
// name may be a symbolic link that an administrator made, to a file or to the block device of the installed system.
// One thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/file.hpp"

namespace godwit::download_delta {

struct CacheLimits {
  std::size_t files = 8;                  // for all providers together
  ByteCount bytes = ByteCount{8} << 30U;  // likewise
  unsigned free_percent = 10;             // of the file system that stays free
};

class SourceCache {
 public:
  explicit SourceCache(Path folder, CacheLimits limits = {}) : folder_(std::move(folder)), limits_(limits) {}

  /// Where the source with this hash lies; nothing: it is not there. `provider` comes from a manifest.
  [[nodiscard]] std::optional<Path> find(std::string_view provider, std::string_view sha256) const;
  /// Keeps `payload` under its hash: as a second name where the file system allows it, else as a copy. Makes room by
  /// removing the oldest files, never links. Errors: invalid_argument, too_large (it alone is over a limit),
  /// disk_full, io_failed; then nothing was added. Repeatable.
  [[nodiscard]] Result<void> keep(std::string_view provider, std::string_view sha256, const Path& payload) const;

 private:
  [[nodiscard]] Result<Path> place_of(std::string_view provider, std::string_view sha256) const;
  void make_room(ByteCount size, const Path& spared) const;

  Path folder_;
  CacheLimits limits_;
};

}  // namespace godwit::download_delta
