// What operators see of log collections, in the shapes of the API.
#include <fmt/format.h>

#include "core/base/text.hpp"
#include "server/service/diagnostics/log_collections.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kPage = 100;

[[nodiscard]] json::Object agent_json(const IdentityId& id) {
  json::Object object{{"deviceId", id.device_text()}};
  if (id.is_module()) object["moduleId"] = id.module_text();
  return object;
}

[[nodiscard]] Result<store::LogCollection> need(store::Records& records, const std::string& id) {
  GODWIT_TRY(auto collection, records.logs().find_collection(id));
  if (!collection) return fail(Code::not_found, fmt::format("there is no log collection '{}'", id.substr(0, 256)));
  return *std::move(collection);
}

[[nodiscard]] LogStatus status_of(const std::vector<store::LogAgent>& agents) {
  std::vector<LogStatus> all;
  all.reserve(agents.size());
  for (const auto& agent : agents) all.push_back(agent.status);
  return combine(all);
}

/// "device/op/agent/a.log" -> "a.log".
[[nodiscard]] std::string_view last_part(std::string_view name) { return name.substr(name.rfind('/') + 1); }

}  // namespace

json::Object LogCollections::summary(const store::LogCollection& collection,
                                     const std::vector<store::LogAgent>& agents) const {
  json::Array list;
  for (const auto& agent : agents) list.emplace_back(agent_json(agent.agent));
  json::Object body{{"operationId", collection.id}, {"deviceList", std::move(list)}};
  if (!collection.description.empty()) body["description"] = collection.description;
  body["createdDateTime"] = format_time_7(collection.created);
  body["lastActionDateTime"] = format_time_7(collection.changed);
  body["status"] = store::operation_status_name(status_of(agents));
  return body;
}

Result<json::Object> LogCollections::describe(const std::string& id) const {
  json::Object body;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto collection, need(records, id));
    GODWIT_TRY(const auto agents, records.logs().list_agents(id));
    body = summary(collection, agents);
    return {};
  };
  GODWIT_TRY_VOID(store_.read(job));
  return body;
}

Result<json::Object> LogCollections::detail(const std::string& id) const {
  json::Object body;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto collection, need(records, id));
    GODWIT_TRY(const auto agents, records.logs().list_agents(id));
    body = summary(collection, agents);
    body.erase("deviceList");
    json::Array list;
    for (const auto& agent : agents) {
      json::Object object = agent_json(agent.agent);
      object["status"] = store::operation_status_name(agent.status);
      if (agent.code) object["resultCode"] = std::to_string(*agent.code);  // strings here, numbers everywhere else
      if (agent.code) object["extendedResultCode"] = "0";
      GODWIT_TRY(const auto totals, records.logs().totals_of_container(agent.container));
      if (totals.files > 0)
        object["logLocation"] =
            fmt::format("/godwit/v1/{}/logCollections/{}/files?agent={}", percent_encode(options_.instance_id),
                        percent_encode(id), percent_encode(agent.agent.str()));
      json::Object own{{"fileCount", totals.files}, {"byteCount", totals.bytes}};
      if (!agent.details.empty()) own["details"] = agent.details;
      object["godwit"] = std::move(own);
      list.emplace_back(std::move(object));
    }
    body["deviceStatus"] = std::move(list);
    return {};
  };
  GODWIT_TRY_VOID(store_.read(job));
  return body;
}

Result<LogPage> LogCollections::list(const std::string& token) const {
  LogPage page;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto collections, records.logs().list_collections(token, kPage + 1));
    if (collections.size() > kPage) {
      collections.resize(kPage);
      page.next_token = collections.back().id;
    }
    for (const auto& collection : collections) {
      GODWIT_TRY(const auto agents, records.logs().list_agents(collection.id));
      page.values.emplace_back(summary(collection, agents));
    }
    return {};
  };
  GODWIT_TRY_VOID(store_.read(job));
  return page;
}

Result<LogPage> LogCollections::list_files(const std::string& id, const std::optional<IdentityId>& agent,
                                           const std::string& token) const {
  const std::int64_t after = token.empty() ? 0 : to_number<std::int64_t>(token).value_or(-1);
  if (after < 0) return fail(Code::invalid_argument, "skiptoken is not one that this service made");
  LogPage page;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY_VOID(need(records, id));
    GODWIT_TRY(auto files, records.logs().list_files(id, agent, after, kPage + 1));
    if (files.size() > kPage) {
      files.resize(kPage);
      page.next_token = std::to_string(files.back().id);
    }
    for (const auto& file : files) {
      GODWIT_TRY(const auto owner, records.logs().find_agent(file.container));
      json::Object object = agent_json(owner->agent);
      object["fileId"] = std::to_string(file.id);
      object["name"] = file.name;
      object["fileName"] = last_part(file.name);
      object["sizeInBytes"] = file.size;
      object["sha256"] = hex_encode(file.sha256);
      object["receivedDateTime"] = format_time(file.received);
      page.values.emplace_back(std::move(object));
    }
    return {};
  };
  GODWIT_TRY_VOID(store_.read(job));
  return page;
}

Result<OpenedLog> LogCollections::open_log(const std::string& id, std::int64_t file_id) const {
  std::optional<store::LogFile> file;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY_VOID(need(records, id));
    GODWIT_TRY(file, records.logs().find_file(id, file_id));
    if (!file) return fail(Code::not_found, fmt::format("log collection '{}' has no file {}", id, file_id));
    return {};
  };
  GODWIT_TRY_VOID(store_.read(job));
  GODWIT_TRY(UniqueFd fd, files_.open_file(file->container, file->stored));
  return OpenedLog{.file = std::move(fd), .size = file->size, .name = std::string(last_part(file->name))};
}

}  // namespace godwit::service
