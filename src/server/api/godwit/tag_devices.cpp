// Tags of many devices in one call: POST /godwit/v1/{instanceId}/devices:tag. Some hundred devices are changed in each
// transaction; a device that fails does not stop the others.
#include <algorithm>
#include <span>

#include "server/api/services.hpp"
#include "server/hub/jobs/scheduled_jobs.hpp"
#include "server/hub/registry.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kMostIds = 20'000;
constexpr std::size_t kPerTransaction = 200;
constexpr std::size_t kMostFailuresTold = 1000;
constexpr std::size_t kBodyLimit = 4 * 1024 * 1024;

struct Outcome {
  std::size_t changed = 0;
  std::size_t failed = 0;
  json::Array failures{};

  void add_failure(const std::string& id, const Error& error) {
    ++failed;
    if (failures.size() < kMostFailuresTold)
      failures.emplace_back(
          json::Object{{"deviceId", id.substr(0, 128)}, {"code", code_name(error.code)}, {"message", error.message}});
  }
};

[[nodiscard]] Result<std::vector<std::string>> read_ids(const json::Object& body) {
  GODWIT_TRY(const json::Array* list, json::array(body, "deviceIds", "deviceIds"));
  if (list->empty() || list->size() > kMostIds)
    return fail(Code::invalid_argument,
                "deviceIds has " + std::to_string(list->size()) + " elements; 1 to 20000 are served in one call");
  std::vector<std::string> ids;
  ids.reserve(list->size());
  for (const json::Value& one : *list) {
    if (!one.is_string()) return fail(Code::invalid_argument, "deviceIds holds something that is no text");
    ids.emplace_back(one.get_string());
  }
  return ids;
}

[[nodiscard]] bool is_callers_fault(Code code) {
  return code == Code::not_found || code == Code::invalid_argument || code == Code::too_large;
}

class TagRun {
 public:
  TagRun(const Request& request, Services& services, hub::TwinChange change)
      : request_(request), services_(services), change_(std::move(change)) {}

  /// One transaction over `ids`. Errors: of the store only.
  [[nodiscard]] Result<void> tag(std::span<const std::string> ids, Outcome& outcome) {
    Outcome part;
    const auto job = [&](store::Records& records) -> Result<void> {
      part = {};  // it may run again
      json::Array changed;
      for (const std::string& text : ids) {
        const auto id = DeviceId::parse(text, "device id");
        if (!id) {
          part.add_failure(text, id.error());
          continue;
        }
        if (const auto twin = services_.registry.change_twin(records, *id, change_); twin) {
          ++part.changed;
          changed.emplace_back(text);
        } else if (is_callers_fault(twin.error().code)) {
          part.add_failure(text, twin.error());
        } else {
          return tl::unexpected<Error>{twin.error()};
        }
      }
      return changed.empty() ? Result<void>{} : audit(records, std::move(changed));
    };
    GODWIT_TRY_VOID(services_.store.write(job));
    outcome.changed += part.changed;
    outcome.failed += part.failed;
    for (json::Value& failure : part.failures)
      if (outcome.failures.size() < kMostFailuresTold) outcome.failures.emplace_back(std::move(failure));
    return {};
  }

 private:
  [[nodiscard]] Result<void> audit(store::Records& records, json::Array changed) const {
    const std::string count = std::to_string(changed.size());
    return records.access().append_audit(store::AuditEvent{
        .at = services_.clock.now(),
        .actor = request_.caller,
        .action = "devices.tagged",
        .subject = count + " devices",
        .details = json::print(json::Object{{"tags", *change_.tags}, {"deviceIds", std::move(changed)}})});
  }

  const Request& request_;
  Services& services_;
  const hub::TwinChange change_;
};

[[nodiscard]] Reply reply_of(Outcome outcome) {
  return Reply::json(json::Object{
      {"changedCount", outcome.changed}, {"failedCount", outcome.failed}, {"failures", std::move(outcome.failures)}});
}

/// Selects and tags in turns; each device is selected once, since the selection goes on behind the last id.
[[nodiscard]] Result<void> tag_selected(TagRun& run, Services& services, const std::string& condition,
                                        Outcome& outcome) {
  if (services.jobs == nullptr) return fail(Code::unavailable, "conditions are not served here; name the devices");
  hub::jobs::Selection selection;
  do {
    const auto reading = [&](store::Records& records) -> Result<void> {
      const std::string after = selection.after;
      GODWIT_TRY(selection, services.jobs->select(records, condition, after, kPerTransaction));
      return {};
    };
    if (const auto read = services.store.read(reading); !read) return with_context("queryCondition", read.error());
    if (!selection.ids.empty()) GODWIT_TRY_VOID(run.tag(selection.ids, outcome));
  } while (!selection.after.empty());
  return {};
}

Result<Reply> tag_devices(const Request& request, Services& services) {
  GODWIT_TRY(const json::Object body, json::parse_object(request.body, {.bytes = kBodyLimit, .depth = 16}));
  GODWIT_TRY(const json::Object* tags, json::object(body, "tags", "tags"));
  if (tags->empty()) return fail(Code::invalid_argument, "tags names nothing to change");
  const hub::TwinChange change{.tags = *tags};
  // Asked once and not for each device: a broken rule is nobody's fault but the caller's.
  GODWIT_TRY_VOID(services.registry.check_change({}, change));
  TagRun run(request, services, change);
  Outcome outcome;
  if (body.contains("queryCondition")) {
    if (body.contains("deviceIds"))
      return fail(Code::invalid_argument, "give one of deviceIds and queryCondition, not both");
    GODWIT_TRY(const std::string condition, json::text(body, "queryCondition", "queryCondition"));
    GODWIT_TRY_VOID(tag_selected(run, services, condition, outcome));
    return reply_of(std::move(outcome));
  }
  GODWIT_TRY(const auto ids, read_ids(body));
  for (std::size_t from = 0; from < ids.size(); from += kPerTransaction)
    GODWIT_TRY_VOID(run.tag(std::span(ids).subspan(from, std::min(kPerTransaction, ids.size() - from)), outcome));
  return reply_of(std::move(outcome));
}

}  // namespace

const std::vector<Route>& godwit_tag_routes() {
  static const std::vector<Route> routes{
      {Method::post, "/godwit/v1/{instanceId}/devices:tag", Permission::hub_write, tag_devices},
  };
  return routes;
}

}  // namespace godwit::api
