// Opens, checks and hashes the file of an extension, so that what was checked is what is loaded. Blocking; used by the
// registry and by the worker.
#pragma once

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::extension {

inline constexpr ByteCount kLibraryLimit = 64 * 1024 * 1024;

struct OpenedLibrary {
  UniqueFd fd;
  ByteCount size = 0;
  std::string sha256;  // hex
};

/// Errors: extension_missing (nothing there), extension_refused (owner, mode, kind, size), io_failed.
[[nodiscard]] Result<OpenedLibrary> open_library(const Path& path);

}  // namespace godwit::extension
