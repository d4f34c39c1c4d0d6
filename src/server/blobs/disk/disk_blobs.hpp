// Blobs as files: FOLDER/ab/abcdef... (64 hex digits), FOLDER/tmp/ for what is on its way in, FOLDER/partial/ for
// uploads that may be continued, FOLDER/quarantine/ for what the disk has damaged.
#pragma once

#include <memory>

#include "core/base/file.hpp"
#include "server/blobs/blobs.hpp"

namespace godwit::blobs {

struct DiskOptions {
  ByteCount storage_limit = 0;      // of all blobs and uploads together; 0: the disk's
  std::size_t partial_limit = 100;  // uploads begun and not finished
};

/// Makes the folders and removes what an earlier process left in tmp/; uploads that may be continued stay. One process
/// per folder (the store's lock sees to that). `clock` outlives the blobs. Errors: io_failed, disk_full.
[[nodiscard]] Result<std::unique_ptr<Blobs>> open_disk_blobs(const Path& folder, const Clock& clock,
                                                             DiskOptions options = {});

}  // namespace godwit::blobs
