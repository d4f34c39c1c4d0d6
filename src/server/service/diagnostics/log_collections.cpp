#include "server/service/diagnostics/log_collections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/twin/diagnostics.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kChunk = 100;  // of what one transaction of tick() does

[[nodiscard]] Result<void> check_wish(const LogWish& wish) {
  if (const std::string reason = twin::check_log_operation_id(wish.id); !reason.empty())
    return fail(Code::invalid_argument, fmt::format("the id of a log collection {}", reason));
  if (wish.agents.empty() || wish.agents.size() > kMostLogAgents)
    return fail(Code::invalid_argument,
                fmt::format("deviceList has {} agents, allowed are 1 to {}", wish.agents.size(), kMostLogAgents));
  if (wish.description.size() > kLongestLogDescription)
    return fail(Code::invalid_argument, fmt::format("description has more than {} bytes", kLongestLogDescription));
  std::set<IdentityId> seen;
  for (const IdentityId& agent : wish.agents)
    if (!seen.insert(agent).second)
      return fail(Code::invalid_argument, fmt::format("deviceList names '{}' twice", agent.str()));
  return {};
}

[[nodiscard]] bool is_same(const LogWish& wish, const store::LogCollection& collection,
                           const std::vector<store::LogAgent>& agents) {
  if (wish.description != collection.description || wish.agents.size() != agents.size()) return false;
  return std::all_of(agents.begin(), agents.end(), [&](const store::LogAgent& agent) {
    return std::find(wish.agents.begin(), wish.agents.end(), agent.agent) != wish.agents.end();
  });
}

}  // namespace

LogCollections::LogCollections(store::Store& store, Clock& clock, Log& log, LogFiles files, UploadUrls urls,
                               SetDesired set_desired, LogOptions options)
    : store_(store),
      clock_(clock),
      log_(log),
      files_(std::move(files)),
      urls_(std::move(urls)),
      set_desired_(std::move(set_desired)),
      options_(std::move(options)) {}

LogCollections::~LogCollections() { stop(); }

void LogCollections::start() {
  thread_ = std::thread([this] { run(); });
}

void LogCollections::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LogCollections::run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    lock.unlock();
    if (const auto done = tick(); !done) log_.error("logs.tick_failed", {{"problem", done.error().message}});
    lock.lock();
    changed_.wait_for(lock, options_.tick_interval, [this] { return is_stopping_; });
  }
}

Result<void> LogCollections::tick() {
  const WallTime now = clock_.now();
  std::vector<store::LogAgent> overdue;
  std::vector<store::LogCollection> old;
  const auto look = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(overdue, records.logs().list_overdue(now, kChunk));
    GODWIT_TRY(old, records.logs().list_unchanged_since(now - options_.retention, kChunk));
    return {};
  };
  GODWIT_TRY_VOID(store_.read(look));
  if (!overdue.empty()) {
    const auto end = [&](store::Records& records) -> Result<void> {
      for (const auto& seen : overdue) {
        GODWIT_TRY(const auto agent, records.logs().find_agent(seen.container));
        if (agent)
          GODWIT_TRY_VOID(
              apply(records, *agent, LogEvent::out_of_time, std::nullopt, "the agent did not answer in time"));
      }
      return {};
    };
    GODWIT_TRY_VOID(store_.write(end));
  }
  for (const auto& collection : old) GODWIT_TRY_VOID(forget(collection.id, "system", "logCollection.expired"));
  return {};
}

Result<void> LogCollections::sweep() {
  std::set<std::string> known;
  std::set<std::string> stored;
  const auto look = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto names, records.logs().list_containers());
    known.insert(names.begin(), names.end());
    return {};
  };
  GODWIT_TRY_VOID(store_.read(look));
  for (const std::string& container : files_.containers()) {
    if (!is_plain_file_name(container)) continue;
    if (!known.contains(container)) {
      GODWIT_TRY_VOID(files_.remove_container(container));
      continue;
    }
    stored.clear();
    const auto list = [&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto files, records.logs().list_files_of_container(container));
      for (const auto& file : files) stored.insert(file.stored);
      return {};
    };
    GODWIT_TRY_VOID(store_.read(list));
    for (const std::string& name : files_.files_of(container))
      if (!stored.contains(name)) GODWIT_TRY_VOID(files_.remove(container, name));
  }
  return {};
}

/// The one place where an agent's status changes; what follows from an end comes with it.
Result<void> LogCollections::apply(store::Records& records, store::LogAgent agent, LogEvent event,
                                   std::optional<std::int64_t> code, std::string details) {
  const auto to = next(agent.status, event);
  if (!to) return {};
  agent.status = *to;
  agent.code = code;
  agent.details = std::move(details);
  GODWIT_TRY_VOID(records.logs().save_agent(agent));
  GODWIT_TRY_VOID(records.logs().touch_collection(agent.collection_id, clock_.now()));
  if (!has_ended(*to)) return {};
  log_.info("logs.agent_ended", {{"collection", agent.collection_id},
                                 {"agent", agent.agent.str()},
                                 {"status", store::operation_status_name(agent.status)},
                                 {"details", agent.details}});
  return event == LogEvent::removed ? Result<void>{} : offer_next(records, agent.agent);
}

/// An agent's document has room for one request: the oldest collection that has not ended has its turn.
Result<void> LogCollections::offer_next(store::Records& records, const IdentityId& id) {
  GODWIT_TRY(const auto open, records.logs().list_open_of(id));
  if (open.empty() || open.front().status != LogStatus::not_started) return {};
  const store::LogAgent& turn = open.front();
  GODWIT_TRY(const auto collection, records.logs().find_collection(turn.collection_id));
  const auto written =
      set_desired_(records, id,
                   twin::log_request_patch({.operation_id = turn.collection_id,
                                            .upload_url = urls_.container_url(turn.container, collection->deadline)}));
  if (!written && written.error().code == Code::database_failed) return written;
  if (!written)  // a full document must not undo what the agent has just reported
    return apply(records, turn, LogEvent::refused, std::nullopt, "its twin: " + written.error().message);
  return apply(records, turn, LogEvent::offered, std::nullopt, "");
}

Result<void> LogCollections::on_reported(store::Records& records, const IdentityId& id, const json::Object& patch) {
  const auto outcome = twin::read_log_outcome(patch);
  if (!outcome) return {};
  GODWIT_TRY(const auto open, records.logs().list_open_of(id));
  const auto found = std::find_if(open.begin(), open.end(), [&](const store::LogAgent& agent) {
    return agent.collection_id == outcome->operation_id && agent.status == LogStatus::running;
  });
  if (found == open.end()) return {};  // late, repeated, or of nobody
  GODWIT_TRY(const auto totals, records.logs().totals_of_container(found->container));
  const bool is_success = outcome->result_code == twin::log_code::ok;
  std::string details = outcome->details.empty() ? twin::log_code_words(outcome->result_code) : outcome->details;
  if (is_success && totals.files == 0) details = "the agent reports success, but no file arrived";
  return apply(records, *found, is_success && totals.files > 0 ? LogEvent::delivered : LogEvent::gave_up,
               outcome->result_code, std::move(details));
}

Result<void> LogCollections::on_removed(store::Records& records, const IdentityId& id) {
  GODWIT_TRY(const auto open, records.logs().list_open_of(id));
  for (const auto& agent : open)
    GODWIT_TRY_VOID(apply(records, agent, LogEvent::removed, std::nullopt, "the device was removed"));
  return {};
}

Result<json::Object> LogCollections::create(const LogWish& wish, const std::string& actor) {
  GODWIT_TRY_VOID(check_wish(wish));
  json::Object made;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto present, records.logs().find_collection(wish.id));
    if (present) {
      GODWIT_TRY(const auto agents, records.logs().list_agents(wish.id));
      if (!is_same(wish, *present, agents))
        return fail(Code::conflict,
                    fmt::format("a log collection '{}' exists already, for other agents; choose another id", wish.id));
      made = summary(*present, agents);
      return {};
    }
    GODWIT_TRY(const std::size_t count, records.logs().count_collections());
    if (count >= options_.collections)
      return fail(Code::too_many, fmt::format("{} log collections are kept already; remove some first", count));
    const WallTime now = clock_.now();
    const store::LogCollection collection{.id = wish.id,
                                          .description = wish.description,
                                          .actor = actor,
                                          .created = now,
                                          .changed = now,
                                          .deadline = now + options_.deadline};
    GODWIT_TRY_VOID(records.logs().insert_collection(collection));
    for (const IdentityId& agent : wish.agents) {
      GODWIT_TRY(const auto identity, records.devices().find_identity(agent));
      if (!identity) return fail(Code::not_found, fmt::format("there is no device or module '{}'", agent.str()));
      GODWIT_TRY_VOID(
          records.logs().insert_agent({.collection_id = wish.id, .agent = agent, .container = make_container_name()}));
      GODWIT_TRY_VOID(offer_next(records, agent));
    }
    GODWIT_TRY(const auto agents, records.logs().list_agents(wish.id));
    made = summary(collection, agents);
    return records.access().append_audit({.at = now,
                                          .actor = actor,
                                          .action = "logCollection.created",
                                          .subject = wish.id,
                                          .details = json::print(json::Object{{"agentCount", wish.agents.size()}})});
  };
  GODWIT_TRY_VOID(store_.write(job));
  return made;
}

Result<void> LogCollections::remove(const std::string& id, const std::string& actor) {
  return forget(id, actor, "logCollection.removed");
}

/// The record goes first: a kill in between leaves files that sweep() finds. An agent that still works on it is refused
/// from here on, and reports to nobody.
Result<void> LogCollections::forget(const std::string& id, const std::string& actor, std::string_view action) {
  std::vector<store::LogAgent> agents;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto collection, records.logs().find_collection(id));
    if (!collection) return fail(Code::not_found, fmt::format("there is no log collection '{}'", id.substr(0, 256)));
    GODWIT_TRY(agents, records.logs().list_agents(id));
    GODWIT_TRY_VOID(records.logs().remove_collection(id));
    for (const auto& agent : agents) GODWIT_TRY_VOID(offer_next(records, agent.agent));
    return records.access().append_audit(
        {.at = clock_.now(), .actor = actor, .action = std::string(action), .subject = id});
  };
  GODWIT_TRY_VOID(store_.write(job));
  for (const auto& agent : agents) GODWIT_TRY_VOID(files_.remove_container(agent.container));
  return {};
}

}  // namespace godwit::service
