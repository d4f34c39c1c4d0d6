// The twin document of one device: desired and reported sections (merge patch, $version, $metadata), tags.
// Pure values and functions, no I/O; safe from any thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit::twin {

struct Limits {
  std::size_t tags_bytes = 8 * 1024;
  std::size_t section_bytes = 32 * 1024;  // desired and reported, each; metadata not counted
  std::size_t key_bytes = 1024;
  std::size_t string_bytes = 4096;
  std::size_t depth = 10;
};

/// One section: its members without $version and $metadata, which are kept beside it.
struct Section {
  json::Object values;
  json::Object metadata;      // mirror tree, every level has $lastUpdated
  std::uint64_t version = 1;  // a fresh twin starts at 1

  /// values plus "$version" (as devices see it).
  [[nodiscard]] json::Object with_version() const;
  /// values plus "$metadata" and "$version" (as the service sees it).
  [[nodiscard]] json::Object with_metadata() const;
};

struct Twin {
  json::Object tags;
  Section desired;
  Section reported;
};

enum class Kind : std::uint8_t { desired, reported, tags };

/// Checks a patch before it is merged: key and string rules, depth, integers in +-4503599627370495; keys that begin
/// with '$' are refused, except $version and $metadata at the root, which are ignored. Errors: invalid_argument,
/// too_large.
[[nodiscard]] Result<void> check_patch(const json::Object& patch, const Limits& limits);

/// RFC 7396 merge of a checked `patch` into `section`; version + 1, metadata stamped. Refuses to grow over the size
/// limit (too_large); the section is unchanged on error.
[[nodiscard]] Result<void> merge(Section& section, const json::Object& patch, WallTime now, const Limits& limits);
/// Replaces all values (service PUT).
[[nodiscard]] Result<void> replace(Section& section, const json::Object& values, WallTime now, const Limits& limits);
/// RFC 7396 merge into tags. Same rules, tags_bytes limit.
[[nodiscard]] Result<void> merge_tags(json::Object& tags, const json::Object& patch, const Limits& limits);

/// Plain RFC 7396 merge without limits or stamps, e.g. for an agent's own copy of the desired section.
void merge_plain(json::Object& target, const json::Object& patch);

/// Size as the hub counts it: key bytes + values (string without control characters, number 8, boolean 4).
[[nodiscard]] std::size_t counted_size(const json::Object& values);

}  // namespace godwit::twin
