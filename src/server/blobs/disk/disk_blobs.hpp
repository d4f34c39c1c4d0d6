// Blobs as files: FOLDER/ab/abcdef... (64 hex digits), FOLDER/tmp/ for what is on its way in.
#pragma once

#include <memory>

#include "core/base/file.hpp"
#include "server/blobs/blobs.hpp"

namespace godwit::blobs {

/// Makes the folders and removes what an earlier process left in tmp/. One process per folder (the store's lock sees to
/// that). Errors: io_failed, disk_full.
[[nodiscard]] Result<std::unique_ptr<Blobs>> open_disk_blobs(const Path& folder);

}  // namespace godwit::blobs
