// Collecting logs from devices: an operator names agents, each agent's desired document asks for its logs and says
// where to, the files come in over HTTPS, the agent reports how it went. Three faces, as the rollout has them:
// functions that the hub's observer calls inside the transaction of a change, use cases and views for operators, and
// tick(), which does what the clock asks for on a thread of its own. Everything follows from the records, so a restart
// needs no memory. Safe from any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/base/clock.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "server/blobs/blobs.hpp"
#include "server/service/diagnostics/log_files.hpp"
#include "server/service/diagnostics/log_life.hpp"
#include "server/service/diagnostics/upload_urls.hpp"
#include "server/service/ports.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

struct LogOptions {
  std::string instance_id = "default";                 // in the locations that views name
  Duration deadline = std::chrono::hours(24);          // for an agent, from the collection's start
  Duration retention = std::chrono::hours(24 * 30);    // of a collection, from its last change
  ByteCount agent_bytes = 32ULL * 1024 * 1024;         // of one agent in one collection
  std::size_t agent_files = 256;                       // the same
  ByteCount total_bytes = 10ULL * 1024 * 1024 * 1024;  // of all logs together
  std::size_t collections = 10'000;                    // that are kept
  Duration tick_interval = std::chrono::seconds(5);
};
inline constexpr std::size_t kMostLogAgents = 100;
inline constexpr std::size_t kLongestLogDescription = 512;
inline constexpr std::size_t kLongestLogName = 1024;  // of a blob

struct LogWish {
  std::string id;
  std::vector<IdentityId> agents;
  std::string description{};
};
struct LogPage {
  json::Array values{};
  std::string next_token{};  // "" = last page
};
struct OpenedLog {
  UniqueFd file;
  ByteCount size = 0;
  std::string name;  // without folders
};

class LogCollections {
 public:
  LogCollections(store::Store& store, Clock& clock, Log& log, LogFiles files, UploadUrls urls, SetDesired set_desired,
                 LogOptions options);
  ~LogCollections();
  LogCollections(const LogCollections&) = delete;
  LogCollections& operator=(const LogCollections&) = delete;

  void start();
  void stop();
  /// Ends what is out of time, removes what is too old. Blocks; not from the writer thread.
  [[nodiscard]] Result<void> tick();
  /// Removes files that no record knows: what a kill left between a file and its record. Before requests come.
  [[nodiscard]] Result<void> sweep();

  // ---- inside the hub's transaction (writer thread)
  [[nodiscard]] Result<void> on_reported(store::Records& records, const IdentityId& id, const json::Object& patch);
  [[nodiscard]] Result<void> on_removed(store::Records& records, const IdentityId& id);

  // ---- use cases
  /// The same wish again changes nothing. Errors: invalid_argument, not_found (an agent), conflict, too_many.
  [[nodiscard]] Result<json::Object> create(const LogWish& wish, const std::string& actor);
  /// Errors: not_found.
  [[nodiscard]] Result<void> remove(const std::string& id, const std::string& actor);
  [[nodiscard]] Result<json::Object> describe(const std::string& id) const;
  [[nodiscard]] Result<json::Object> detail(const std::string& id) const;
  [[nodiscard]] Result<LogPage> list(const std::string& token) const;
  [[nodiscard]] Result<LogPage> list_files(const std::string& id, const std::optional<IdentityId>& agent,
                                           const std::string& token) const;
  [[nodiscard]] Result<OpenedLog> open_log(const std::string& id, std::int64_t file_id) const;

  // ---- what agents upload
  struct UploadRequest {
    std::string container;
    std::string expires;    // se of the URL
    std::string signature;  // sig
    std::string name;       // of the blob, with its folders
    ByteCount size = 0;
  };
  /// Errors: forbidden (credential, or the agent's collection has ended), invalid_argument (name), too_large, too_many.
  [[nodiscard]] Result<std::unique_ptr<blobs::Upload>> begin_upload(const UploadRequest& request);

 private:
  class LogUpload;
  [[nodiscard]] Result<void> check_room(store::Records& records, const UploadRequest& request) const;
  [[nodiscard]] Result<void> take(const UploadRequest& request, LogFiles::Incoming& incoming);
  [[nodiscard]] Result<void> apply(store::Records& records, store::LogAgent agent, LogEvent event,
                                   std::optional<std::int64_t> code, std::string details);
  [[nodiscard]] Result<void> offer_next(store::Records& records, const IdentityId& id);
  [[nodiscard]] json::Object summary(const store::LogCollection& collection,
                                     const std::vector<store::LogAgent>& agents) const;
  [[nodiscard]] Result<void> forget(const std::string& id, const std::string& actor, std::string_view action);
  void run();

  store::Store& store_;
  Clock& clock_;
  Log& log_;
  LogFiles files_;
  UploadUrls urls_;
  SetDesired set_desired_;
  LogOptions options_;

  std::mutex mutex_;  // guards is_stopping_
  std::condition_variable changed_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace godwit::service
