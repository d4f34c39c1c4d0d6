// One event = one line: time, level, stable event name, key=value fields. A line is never an API.
// Log is passed by reference, never global. log() is safe from any thread.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace godwit {

/// debug = developer, info = operator asking, warning = operator should know, error = operator must act.
enum class LogLevel : std::uint8_t { debug, info, warning, error };
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
  std::string_view key;
  std::string value;
};

class Log {
 public:
  virtual ~Log() = default;
  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::debug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::info, event, fields);
  }
  void warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::warning, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::error, event, fields);
  }
  virtual void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) = 0;
};

enum class LogFormat : std::uint8_t { text, json };

/// Lines to a file descriptor (not owned), dropped below `minimum`. Control characters in values are escaped.
class FdLog final : public Log {
 public:
  FdLog(int fd, LogLevel minimum, LogFormat format) : fd_(fd), minimum_(minimum), format_(format) {}
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override;

 private:
  int fd_;
  LogLevel minimum_;
  LogFormat format_;
  std::mutex mutex_;
};

/// Keeps nothing; for tests that do not look at the log.
class NullLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

}  // namespace godwit
