#include "tools/cli/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "core/base/text.hpp"
#include "tools/cli/table.hpp"

namespace godwit::cli {

ProgressLine::ProgressLine() : is_terminal_(::isatty(STDERR_FILENO) != 0) {}
ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::draw(const std::string& line) {
  if (!is_terminal_) {
    if (line != last_plain_) std::fprintf(stderr, "%s\n", line.c_str());
    last_plain_ = line;
    return;
  }
  winsize size{};
  std::string shown = line;
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 4 && shown.size() >= size.ws_col)
    shown.resize(size.ws_col - 1U);
  std::fprintf(stderr, "\r\x1b[K%s", shown.c_str());
  std::fflush(stderr);
  is_open_ = true;
}

void ProgressLine::bytes(const std::string& label, ByteCount done, ByteCount total) {
  const auto now = std::chrono::steady_clock::now();
  if (label != label_) {
    label_ = label;
    label_since_ = now;
    first_done_ = done;
  } else if (done != total && now - drawn_ < std::chrono::milliseconds(100)) {
    return;
  }
  drawn_ = now;
  if (!is_terminal_) {
    if (done == total) draw(fmt::format("{}  {}", label, readable_size(total)));
    return;
  }
  constexpr std::size_t kWidth = 30;
  const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::size_t>(share * kWidth);
  const double seconds = std::chrono::duration<double>(now - label_since_).count();
  const double rate = seconds > 0.2 ? static_cast<double>(done - first_done_) / seconds : 0;
  std::string line = fmt::format("{}  [{:#<{}}{:.<{}}] {:3.0f} %  {} of {}", label, "", filled, "", kWidth - filled,
                                 share * 100, readable_size(done), readable_size(total));
  if (rate > 0)
    line += fmt::format("  {}/s  {:.0f} s left", readable_size(static_cast<ByteCount>(rate)),
                        static_cast<double>(total - done) / rate);
  draw(line);
}

void ProgressLine::text(const std::string& line) { draw(printable(line)); }

void ProgressLine::finish() {
  if (is_open_) std::fprintf(stderr, "\n");
  is_open_ = false;
}

}  // namespace godwit::cli
