// Takes a payload file out of the agent's hands: copies it into a folder that only root can write, hashing the very
// bytes that it writes. Whatever the agent does to the source meanwhile, the copy either is what the signed manifest
// names, or is not there. Blocking; one thread.
#pragma once

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "device/installer/messages.hpp"

namespace godwit::installer {

/// Copies `file` from `source_folder` (there under its id, or its name) to `target_folder` under its name, mode 0600,
/// durably. Never follows a link, never opens what is not a regular file, never reads more than the file's size and a
/// byte. Errors: not_found, size_mismatch, digest_mismatch, refused (a link or no regular file), disk_full, io_failed.
[[nodiscard]] Result<void> copy_payload(const Path& source_folder, const PlanFile& file, const Path& target_folder);

/// Copies pieces of a streamed file, `size` bytes under `source_name`, as copy_payload() does, but neither hashed nor
/// durable: whoever uses them checks each, and they are removed when the act has ended. Gives where they lie.
[[nodiscard]] Result<Path> copy_pieces(const Path& source_folder, const std::string& source_name, const PlanFile& file,
                                       ByteCount size, const Path& target_folder);

/// Is there a regular file of this name and size? It was checked when it came.
[[nodiscard]] bool has_payload(const Path& target_folder, const PlanFile& file);

/// Errors: disk_full with the numbers, if `bytes` do not fit beside `reserve`.
[[nodiscard]] Result<void> check_space(const Path& folder, ByteCount bytes, ByteCount reserve);

}  // namespace godwit::installer
