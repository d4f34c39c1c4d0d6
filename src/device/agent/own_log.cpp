#include "device/agent/own_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace godwit::agent {

OwnLog::OwnLog(Log& main, const Path& folder, ByteCount limit, LogLevel minimum, LogFormat format)
    : main_(main), file_(folder / "agent.log"), limit_(limit) {
  if (limit_ == 0) return;
  if (const auto opened = open(); !opened) {
    main_.warning("log.not_kept", {{"reason", opened.error().message}});
    return;
  }
  kept_ = std::make_unique<FdLog>(fd_.get(), minimum, format);
}

Result<void> OwnLog::open() {
  GODWIT_TRY_VOID(make_folders(file_.parent_path()));
  GODWIT_TRY(UniqueFd fd, open_file(file_, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW));
  if (!fd_)
    fd_ = std::move(fd);
  else if (::dup3(fd.get(), fd_.get(), O_CLOEXEC) < 0)  // the number stays: the writer knows no other
    return tl::unexpected<Error>{error_from_errno("open " + file_.string(), errno)};
  return {};
}

void OwnLog::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  main_.write(level, event, fields);
  if (!kept_) return;
  const std::lock_guard lock(mutex_);
  kept_->write(level, event, fields);
  const off_t size = ::lseek(fd_.get(), 0, SEEK_END);
  if (size >= 0 && static_cast<ByteCount>(size) >= limit_) rotate();
}

/// Loses nothing that matters at any cut: the older file is replaced whole, and a file that cannot be renamed begins
/// anew.
void OwnLog::rotate() {
  const std::string older = file_.string() + ".1";
  if (::rename(file_.c_str(), older.c_str()) != 0 && ::ftruncate(fd_.get(), 0) != 0) kept_.reset();
  if (const auto opened = open(); !opened) kept_.reset();
}

}  // namespace godwit::agent
