// The deciding thread's part of log collection: which request is new, what was answered, what must still be told. The
// answer is on disk before it is sent, and stays until the hub has taken it. Belongs to the deciding thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "core/twin/diagnostics.hpp"
#include "device/agent/inbox.hpp"
#include "device/agent/reporter.hpp"

namespace godwit::agent {

class LogDesk {
 public:
  using Ask = std::function<void(twin::LogRequest)>;
  LogDesk(Path file, Reporter& reporter, Ask ask, Log& log)
      : file_(std::move(file)), reporter_(reporter), ask_(std::move(ask)), log_(log) {}

  /// Takes up what the last run left. A file that cannot be read is as none.
  void start();
  void handle(const Input& input);

 private:
  void on_desired(const SessionDesired& message);
  void on_ended(const twin::LogOutcome& outcome);
  void on_taken();
  void save();

  Path file_;
  Reporter& reporter_;
  Ask ask_;
  Log& log_;
  std::optional<twin::LogOutcome> last_;
  bool is_told_ = false;  // of last_
  std::string running_;   // operation id
  std::uint64_t version_ = 0;
};

}  // namespace godwit::agent
