// One call into an extension, in a process made for this call: the host re-executes itself as
// `<self> extension-worker FD`, the worker opens the library, compares its hash with the registration, loads exactly
// the opened file and runs one function. Crash, hang and nonsense come back as an Error, with the host unharmed.
// run_extension() blocks; it may run on several threads at once. The callbacks run on the calling thread.
//
// What a program must do to be a host: hand `extension-worker FD` to extension_worker_main() before it does anything
// else (threads, sockets, logging), see worker.hpp.
//
// Calls, by type (all paths absolute; all members needed unless marked ?):
//   any                   {"verb":"probe"}                                      -> answer {"contract":"1.0"}
//   step_handler {"verb":"is_installed|download|backup|install|apply|restore","handler_id","handler_properties":{},
//                          "installed_criteria"?,"component"?:{},"work_dir","files":[{"id","name","path","size",
//                          "pieces_path"?,"ranges"?:[{"offset","length"}]}],
//                          "workflow_id","update_id":{},"attempt":1,"step":0}
//   manifest_handler      {"verb":"plan","manifest":"<text>","components"?:{},"children"?:{}} -> answer {"steps":[...]}
//   content_downloader    {"verb":"download","url","target","expected_size"? (left out:
//   unknown),"resume_offset":0,"options"?:{}}
//                                                                               -> answer {"retryable",...},
//                                                                               content_downloader.h
//                         {"verb":"upload","url","source","headers"?:{},"options"?:{}} -> the same answer
//                         {"verb":"download_ranges","url","target","file_size","ranges":[{"offset","length"}],
//                          "resume_offset":0,"options"?:{}}                       -> the same answer
//   download_handler      {"verb":"choose|make|completed","file":{},"target","work_dir","cache_dir","update_id":{},
//                          "ranges_path"?,"ranges"?:[{"offset","length"}]}
//                                          -> choose: answer {"related":[...]}; make: {"ranges":[...]} if some lack
//   component_enumerator  {"verb":"list"} or {"verb":"select","selector":{}}      -> answer {"components":[...]}
#pragma once

#include <sys/types.h>

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/model/outcome.hpp"
#include "device/extension/registry.hpp"

namespace godwit::extension {

/// How a call ended when the extension came to an end by itself; also a failure it reports is an Outcome, not an Error.
struct Outcome {
  std::int32_t result_code = 0;  // > 0 success, 0 failure, -1 cancelled
  ExtendedCode extended_code = 0;
  std::string details{};  // valid UTF-8, at most kResultDetailsLimit
  json::Object answer{};  // what the call gives back; empty if nothing
  [[nodiscard]] bool ok() const { return result_code > 0; }
};

struct Limits {
  Duration time_limit = std::chrono::hours(1);       // then as if cancelled, and the Error is timed_out
  Duration cancel_grace = std::chrono::seconds(10);  // from cancelled() != 0 to SIGKILL
  ByteCount memory = 0;                              // RLIMIT_AS of the worker and all it starts; 0: none
  ByteCount file_size = 0;                           // RLIMIT_FSIZE; 0: none
  std::int64_t log_lines = 5000;                     // per call; the rest is counted
};

struct Callbacks {
  /// The worker exists, leads session `session`, and has not been told what to do: the moment to write down that the
  /// act begins. An Error ends the worker, and is what run_extension() returns.
  std::function<Result<void>(pid_t session)> on_started{};
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress{};
  std::function<void(LogLevel level, std::string_view line)> on_log{};
};

/// Runs one call. Stopping `stop` raises the extension's cancelled flag, and kills it after the grace time; an
/// extension that ends in time by itself gives its own outcome, whatever it is (a cancel that came too late is a
/// success). The worker leads a process group; when the call is over, whatever is left of the group is killed. Errors:
/// extension_missing (no library at the path), digest_mismatch (it changed), extension_refused (owner, mode),
/// extension_contract (not loadable, wrong type or version, unknown verb, nonsense in an answer), extension_crashed
/// (the signal's name or the exit status), timed_out, cancelled (killed after the grace time), process_failed,
/// io_failed.
[[nodiscard]] Result<Outcome> run_extension(const Registration& registration, const json::Object& call,
                                            const Limits& limits, std::stop_token stop, const Callbacks& callbacks);

/// Names a call, as the value of GODWIT_CALL in the environment of the worker and of all it starts:
/// "<workflow>/<attempt>/<step>/<verb>" for a step handler, else the verb.
[[nodiscard]] std::string call_name(const json::Object& call);

/// The extended code that a report carries for an Error of run_extension().
[[nodiscard]] ExtendedCode extended_code_of(Type type, Code code);

/// Asks the library for its contract in a worker: "1.0". Errors: as run_extension().
[[nodiscard]] Result<std::string> probe(const Registration& registration);

}  // namespace godwit::extension
