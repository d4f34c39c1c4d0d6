// Tables for people: columns as wide as needed, cut at the terminal's edge. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> head) : head_(std::move(head)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  /// `width` in characters, 0 = unlimited. The last column is cut with "..." when a line would not fit. Control
  /// characters become '?'.
  [[nodiscard]] std::string print(std::size_t width) const;

 private:
  std::vector<std::string> head_;
  std::vector<std::vector<std::string>> rows_;
};

/// Columns of the terminal on stdout, 0 when it is not one.
[[nodiscard]] std::size_t terminal_width();
/// Text from devices and files, safe for a terminal: control characters become '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// "1 device", "2 devices".
[[nodiscard]] std::string counted(std::int64_t count, std::string_view noun);

}  // namespace godwit::cli
