// Strict TOML configuration: every key is declared once with its default, its range and one sentence of help.
// An unknown key is refused with the nearest known one. `print()` gives the effective file with comments.
// Build a Schema that points into a plain struct, then load. Not thread-safe; use in main().
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::config {

/// Where a value is stored and how it is written in TOML.
/// Durations are strings with a unit: "250ms", "30s", "15m", "8h", "7d". Sizes: integer bytes or "64KiB", "32MiB",
/// "2GiB".
struct ByteSize {
  std::uint64_t value = 0;
};
/// [[NAME]], as often as needed: each block has all of `columns`, and they are strings.
struct Blocks {
  struct Column {
    std::string name;
    std::string help;  // one sentence
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows{};  // of each block its values, in the order of `columns`
};
using Target = std::variant<std::string*, std::int64_t*, bool*, std::chrono::milliseconds*, ByteSize*,
                            std::vector<std::string>*, Path*, Blocks*>;

struct Key {
  std::string name;                    // dotted: "hub.port"
  Target target;                       // holds the default when declared
  std::string help;                    // one sentence
  std::int64_t minimum = INT64_MIN;    // for integers; milliseconds for durations; bytes for sizes
  std::int64_t maximum = INT64_MAX;    // of blocks: how many
  std::vector<std::string> choices{};  // for strings: allowed words, empty = any
};

class Schema {
 public:
  void add(Key key) { keys_.push_back(std::move(key)); }
  /// Errors: invalid_argument naming file, line, key, what was expected and, for an unknown key, the nearest known.
  [[nodiscard]] Result<void> load_file(const Path& file);
  [[nodiscard]] Result<void> load_text(std::string_view toml, std::string_view source_name);
  /// One key from text as it stands in an environment variable or on a command line: what the file has between the
  /// quotes; a list as in the file, ["a", "b"]; never blocks. Errors: invalid_argument with `source` in front, as for a
  /// file.
  [[nodiscard]] Result<void> set(std::string_view name, std::string_view text, std::string_view source);
  /// Every variable whose name begins with `prefix` sets the key that variable_of() makes it from; the names of those
  /// that did, in order. `environment` holds NAME=VALUE. Errors: invalid_argument naming the variable; one that belongs
  /// to no key is refused with the nearest.
  [[nodiscard]] Result<std::vector<std::string>> load_environment(std::string_view prefix,
                                                                  const std::vector<std::string>& environment);
  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
  /// The effective configuration as commented TOML that load_text() reads back to the same values.
  [[nodiscard]] std::string print() const;

 private:
  std::vector<Key> keys_;
};

/// "hub.port" with "GODWITD_CONFIG_" gives "GODWITD_CONFIG_HUB_PORT".
[[nodiscard]] std::string variable_of(std::string_view prefix, std::string_view key);
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
[[nodiscard]] std::string print_duration(std::chrono::milliseconds value);
[[nodiscard]] Result<std::uint64_t> parse_byte_size(std::string_view text);
/// The candidate with the smallest edit distance, empty if none is close (distance > half its length).
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace godwit::config
