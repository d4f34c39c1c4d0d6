// Logs that operators asked devices for: collections, how far each agent is, the files that came. Part of a
// transaction, see store.hpp. The meaning of states is service/diagnostics/log_life.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/model/ids.hpp"
#include "server/store/operation_status.hpp"

namespace godwit::store {

struct LogCollection {
  std::string id;
  std::string description{};
  std::string actor{};
  WallTime created{};
  WallTime changed{};
  WallTime deadline{};  // agents that are not done by then have failed
};

/// One agent of a collection.
struct LogAgent {
  std::string collection_id;
  IdentityId agent;
  OperationStatus status = OperationStatus::not_started;
  std::string container{};             // name in the upload URL, unguessable; unique
  std::optional<std::int64_t> code{};  // what it reported
  std::string details{};               // sentence
};

struct LogFile {
  std::int64_t id = 0;  // given by the store
  std::string container{};
  std::string name{};    // as the agent called it: "device/operation/component/file"
  std::string stored{};  // its name in the container's folder
  ByteCount size = 0;
  Bytes sha256{};
  WallTime received{};
};

struct LogTotals {
  std::size_t files = 0;
  ByteCount bytes = 0;
};

class LogRecords {
 public:
  virtual ~LogRecords() = default;
  /// Errors: conflict.
  [[nodiscard]] virtual Result<void> insert_collection(const LogCollection& collection) = 0;
  [[nodiscard]] virtual Result<std::optional<LogCollection>> find_collection(const std::string& id) = 0;
  /// By id, behind `after`.
  [[nodiscard]] virtual Result<std::vector<LogCollection>> list_collections(const std::string& after,
                                                                            std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::size_t> count_collections() = 0;
  [[nodiscard]] virtual Result<void> touch_collection(const std::string& id, WallTime changed) = 0;
  /// With its agents and files.
  [[nodiscard]] virtual Result<void> remove_collection(const std::string& id) = 0;
  /// Collections whose last change was before `time`, oldest first.
  [[nodiscard]] virtual Result<std::vector<LogCollection>> list_unchanged_since(WallTime time, std::size_t limit) = 0;

  [[nodiscard]] virtual Result<void> insert_agent(const LogAgent& agent) = 0;
  [[nodiscard]] virtual Result<void> save_agent(const LogAgent& agent) = 0;  // status, code, details
  [[nodiscard]] virtual Result<std::vector<LogAgent>> list_agents(const std::string& collection_id) = 0;
  [[nodiscard]] virtual Result<std::optional<LogAgent>> find_agent(const std::string& container) = 0;
  /// Not ended, oldest collection first.
  [[nodiscard]] virtual Result<std::vector<LogAgent>> list_open_of(const IdentityId& agent) = 0;
  /// Not ended although the deadline of their collection has come.
  [[nodiscard]] virtual Result<std::vector<LogAgent>> list_overdue(WallTime now, std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::vector<std::string>> list_containers() = 0;

  /// A file of the same name in the same container is replaced. Gives the stored name of the one it replaced, or "".
  [[nodiscard]] virtual Result<std::string> put_file(const LogFile& file) = 0;
  [[nodiscard]] virtual Result<std::optional<LogFile>> find_file(const std::string& collection_id, std::int64_t id) = 0;
  /// By id, behind `after`; of one agent or of all.
  [[nodiscard]] virtual Result<std::vector<LogFile>> list_files(const std::string& collection_id,
                                                                const std::optional<IdentityId>& agent,
                                                                std::int64_t after, std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::vector<LogFile>> list_files_of_container(const std::string& container) = 0;
  [[nodiscard]] virtual Result<LogTotals> totals_of_container(const std::string& container) = 0;
  [[nodiscard]] virtual Result<LogTotals> totals() = 0;
};

}  // namespace godwit::store
