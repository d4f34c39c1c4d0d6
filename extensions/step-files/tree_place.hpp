// The tree on the device, the one beside it, and the switch between them by one rename. Blocking, one thread; as root.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/base/file.hpp"
#include "tree_archive.hpp"

namespace godwit::step_files {

/// Who installed a tree: in its root, so that it moves with it.
struct TreeMark {
  std::string criteria{};
  std::string token{};       // of the step that installed it
  bool is_on_trial = false;  // its step has not found it healthy yet
};
[[nodiscard]] Result<TreeMark> parse_mark(std::string_view text);
[[nodiscard]] std::string print_mark(const TreeMark& mark);

class TreePlace {
 public:
  explicit TreePlace(Path target);

  /// Nothing: there is no tree, or one that this handler did not install. Errors: io_failed, bad_json.
  [[nodiscard]] Result<std::optional<TreeMark>> mark() const;

  /// Unpacks into the folder beside the target, which starts empty, and has it on the disk before it returns.
  /// Errors: those of read_tree(), disk_full, io_failed.
  [[nodiscard]] Result<void> unpack(const Path& archive, TreeLimits limits, const TreeMark& mark,
                                    std::function<bool()> is_cancelled,
                                    const std::function<void(ByteCount)>& on_bytes) const;

  /// Makes the tree of `token` the target's, in one rename; what was there is kept beside it. Done already is success.
  [[nodiscard]] Result<void> switch_to(const std::string& token) const;

  /// The tree of `token`, which is the target's, is not on trial any more. Done already is success.
  [[nodiscard]] Result<void> settle(const std::string& token) const;

  /// The other way round, and the tree of `token` is removed; if nothing was there before, nothing is there then.
  [[nodiscard]] Result<void> switch_back(const std::string& token) const;

  /// Is this a place that may be replaced? Absolute, plain, at least two folders deep, not of the system's own.
  [[nodiscard]] static bool is_allowed(std::string_view target);

 private:
  [[nodiscard]] Result<bool> is_ours(const Path& tree, const std::string& token) const;

  Path target_;
  Path next_;     // ".NAME.godwit-new"
  Path earlier_;  // ".NAME.godwit-old"
};

}  // namespace godwit::step_files
