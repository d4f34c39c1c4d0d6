#include "tools/cli/table.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace godwit::cli {
namespace {

constexpr std::size_t kLastRule = 40;

// Code points, not bytes: names of devices and sentences may hold any language.
std::size_t shown_length(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string cut_to(const std::string& text, std::size_t length) {
  if (shown_length(text) <= length) return text;
  std::string out;
  std::size_t shown = 0;
  for (const char c : text) {
    const bool begins = (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    if (begins && shown++ >= length - 3) break;
    out += c;
  }
  return out + "...";
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return out;
}

std::string Table::print(std::size_t width) const {
  std::vector<std::size_t> widths(head_.size());
  const auto measure = [&widths](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], shown_length(row[i]));
  };
  measure(head_);
  for (const auto& row : rows_) measure(row);

  std::string out;
  const auto line = [&](const std::vector<std::string>& row) {
    std::string text;
    std::size_t used = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string cell = printable(row[i]);
      const bool is_last = i + 1 == row.size();
      if (is_last && width > used + 10) cell = cut_to(cell, width - used);
      text += cell;
      if (!is_last) text.append(widths[i] - shown_length(cell) + 2, ' ');
      used += widths[i] + 2;
    }
    out += text + "\n";
  };
  line(head_);
  std::vector<std::string> rule;
  // Sentences in the last column may be long; a rule as long as they are would only be a wall.
  if (!widths.empty()) widths.back() = std::min(widths.back(), std::max(shown_length(head_.back()), kLastRule));
  for (const std::size_t w : widths) rule.emplace_back(w, '-');
  line(rule);
  for (const auto& row : rows_) line(row);
  return out;
}

std::size_t terminal_width() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string counted(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace godwit::cli
