#include "core/base/log.hpp"

#include <unistd.h>

#include <cerrno>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"

namespace godwit {
namespace {

constexpr std::size_t kValueLimit = 8 * 1024;  // one event must not fill a disk
constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "error";
}

/// Quoted, so that no value can begin a line, a field or a terminal command of its own.
/// A value that is not UTF-8 has its high bytes written as hex, so that the line always is.
void append_quoted(std::string& out, std::string_view value, bool as_json) {
  const bool cut = value.size() > kValueLimit;
  if (cut) value = value.substr(0, kValueLimit);
  const bool is_text = is_valid_utf8(value);
  out += '"';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_text)) {
      out += as_json ? "\\u00" : "\\x";
      out += kHexDigits[byte >> 4];
      out += kHexDigits[byte & 0xf];
    } else {
      out += c;
    }
  }
  out += cut ? "...\"" : "\"";
}

bool is_plain(std::string_view value) {
  if (value.empty() || value.size() > kValueLimit) return false;
  for (const char c : value) {
    if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

std::string text_line(std::string_view time, LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields) {
  std::string line{time};
  line += ' ';
  line += level_name(level);
  line += ' ';
  line += event;
  for (const auto& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    if (is_plain(field.value)) {
      line += field.value;
    } else {
      append_quoted(line, field.value, false);
    }
  }
  return line;
}

std::string json_line(std::string_view time, LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields) {
  std::string line = "{\"time\":\"";
  line += time;
  line += "\",\"level\":\"";
  line += level_name(level);
  line += "\",\"event\":";
  append_quoted(line, event, true);
  for (const auto& field : fields) {
    line += ',';
    append_quoted(line, field.key, true);
    line += ':';
    append_quoted(line, field.value, true);
  }
  line += '}';
  return line;
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
    if (text == level_name(level)) return level;
  }
  return fail(Code::invalid_argument,
              "log level \"" + std::string(text) + "\" is unknown; say debug, info, warning or error");
}

void FdLog::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level < minimum_) return;
  const auto time = format_time(SystemClock{}.now());
  auto line =
      format_ == LogFormat::json ? json_line(time, level, event, fields) : text_line(time, level, event, fields);
  line += '\n';
  const std::lock_guard lock(mutex_);
  // A log that cannot be written has nobody left to tell: the line is lost, the program goes on.
  for (std::string_view rest = line; !rest.empty();) {
    const auto written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace godwit
