// A progress line on stderr: redrawn on a terminal, one plain line at each change of text otherwise. One thread.
#pragma once

#include <chrono>
#include <string>

#include "core/base/bytes.hpp"

namespace godwit::cli {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();  // ends the line
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Bar with rate and time left. `label` should stay the same while `done` grows.
  void bytes(const std::string& label, ByteCount done, ByteCount total);
  void text(const std::string& line);
  void finish();

 private:
  void draw(const std::string& line);
  bool is_terminal_;
  bool is_open_ = false;
  std::string last_plain_{};
  std::string label_{};
  std::chrono::steady_clock::time_point label_since_{};
  std::chrono::steady_clock::time_point drawn_{};
  ByteCount first_done_ = 0;
};

}  // namespace godwit::cli
