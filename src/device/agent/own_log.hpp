// The agent's log, beside where it goes anyway also in two files of bounded size, so that it can be sent when somebody
// asks for it, whatever becomes of standard error. Safe from any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"

namespace godwit::agent {

class OwnLog final : public Log {
 public:
  /// `limit`: bytes of each of the two files; 0: only `main` is written. A folder that cannot be written is a warning
  /// in `main`, no more.
  OwnLog(Log& main, const Path& folder, ByteCount limit, LogLevel minimum, LogFormat format);
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override;

 private:
  [[nodiscard]] Result<void> open();
  void rotate();

  Log& main_;
  Path file_;  // agent.log; the older one is agent.log.1
  ByteCount limit_;
  UniqueFd fd_;
  std::unique_ptr<FdLog> kept_;
  std::mutex mutex_;
};

}  // namespace godwit::agent
