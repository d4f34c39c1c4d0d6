// Reads a tar archive (plain, zstd, gzip or xz) entry by entry through the rules: the one place that knows libarchive.
// Blocking, one thread, constant memory.
#pragma once

#include <functional>
#include <string_view>

#include "core/base/file.hpp"
#include "tree_rules.hpp"

namespace godwit::step_files {

/// Who gets the entries. An Error ends the reading.
struct TreeSink {
  std::function<Result<void>(const Entry&)> begin{};
  std::function<Result<void>(std::string_view)> bytes{};  // of the file that began last
  std::function<Result<void>()> end{};                    // that file is whole
  std::function<bool()> is_cancelled{};
};

/// Gives the unpacked size. Errors: those of TreeRules, bad_packet (no such archive, damaged, cut off, a file with
/// another size than its header says), cancelled, io_failed, those of the sink.
[[nodiscard]] Result<ByteCount> read_tree(const Path& archive, TreeLimits limits, const TreeSink& sink);
[[nodiscard]] Result<ByteCount> read_tree_in_memory(std::string_view archive, TreeLimits limits, const TreeSink& sink);

}  // namespace godwit::step_files
