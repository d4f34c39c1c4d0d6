// Finds where in the source the bytes of a target group occur, wherever they moved to. The index keeps a sample of the
// source's positions, chosen by content, so that equal content is sampled equally on both sides. Bounded memory: at
// most 128 MiB besides the source itself. Made once, then only read: safe from any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"

namespace godwit::delta {

/// Equal bytes: `length` of them, at `target` of the group and at `source` of the source.
struct Match {
  std::size_t target = 0;
  ByteCount source = 0;
  std::size_t length = 0;
};

class SourceIndex {
 public:
  /// `source` must outlive the index.
  explicit SourceIndex(std::string_view source);
  /// In the order of the group, without overlap there; runs of one byte value are left out. Not every match is found.
  [[nodiscard]] std::vector<Match> matches(std::string_view group) const;

 private:
  [[nodiscard]] Match extend(std::string_view group, std::size_t target, ByteCount source, std::size_t floor) const;
  void add(std::uint64_t hash, std::size_t position);
  [[nodiscard]] const std::uint64_t* find(std::uint64_t hash) const;

  std::string_view source_;
  unsigned sample_bits_ = 0;
  unsigned table_bits_ = 0;
  std::vector<std::uint64_t> table_{};  // (tag << 40 | position + 1), 0: empty
};

}  // namespace godwit::delta
