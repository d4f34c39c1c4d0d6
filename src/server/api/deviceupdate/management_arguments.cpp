#include "server/api/deviceupdate/management_arguments.hpp"

#include <algorithm>
#include <limits>

#include "server/api/text.hpp"

namespace godwit::api {
namespace {

tl::unexpected<Error> not_allowed(std::string_view what, std::string_view allowed) {
  return fail(Code::invalid_argument, "the " + std::string(what) + " of this list may be: " + std::string(allowed));
}

/// The filter's terms, joined by `and`, each path once; empty when there is no filter.
Result<std::vector<FilterTerm>> and_terms(const Request& request, std::string_view allowed) {
  const auto text = request.query_value("filter");
  if (!text || text->empty()) return std::vector<FilterTerm>{};
  GODWIT_TRY(Filter filter, parse_filter(*text));
  if (filter.is_or) return not_allowed("filter", allowed);
  for (std::size_t i = 0; i < filter.terms.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (filter.terms[i].path == filter.terms[j].path)
        return fail(Code::invalid_argument, "the filter names '" + filter.terms[i].path.substr(0, 64) + "' twice");
  return std::move(filter.terms);
}

const std::string* quoted(const FilterTerm& term) { return std::get_if<std::string>(&term.literal); }

Result<DeviceState> state_of(const FilterTerm& term) {
  const std::string* text = quoted(term);
  const auto state = text == nullptr ? std::nullopt : parse_device_state(*text);
  if (!state)
    return fail(Code::invalid_argument, "the filter's state must be 'Succeeded', 'InProgress', 'Canceled' or 'Failed'");
  return *state;
}

/// `deviceId eq 'x'`, alone (the device and its modules) or with `moduleId eq 'y'`; takes the terms it understands.
Result<std::optional<IdentityId>> identity_in(std::vector<FilterTerm>& terms) {
  std::optional<std::string> device, module;
  std::erase_if(terms, [&](const FilterTerm& term) {
    const std::string* text = quoted(term);
    if (text == nullptr || (term.path != "deviceid" && term.path != "moduleid")) return false;
    (term.path == "deviceid" ? device : module) = *text;
    return true;
  });
  if (!device && module) return fail(Code::invalid_argument, "the filter names a moduleId without its deviceId");
  if (!device) return std::optional<IdentityId>{};
  GODWIT_TRY(const auto device_id, DeviceId::parse(*device, "device id"));
  if (!module) return std::optional(IdentityId(device_id));
  GODWIT_TRY(const auto module_id, ModuleId::parse(*module, "module id"));
  return std::optional(IdentityId(device_id, module_id));
}

struct OrderText {
  std::string property;  // lower case
  bool is_descending = false;
};

Result<std::optional<OrderText>> order_text(const Request& request) {
  const auto given = request.query_value("orderby");
  if (!given || trimmed(*given).empty()) return std::optional<OrderText>{};
  if (given->size() > 128) return fail(Code::invalid_argument, "orderby has more than 128 bytes");
  const std::string text = lower_case(trimmed(*given));
  const std::size_t space = text.find(' ');
  OrderText order{.property = text.substr(0, space)};
  const std::string_view direction =
      space == std::string::npos ? std::string_view("asc") : trimmed(std::string_view(text).substr(space));
  if (direction != "asc" && direction != "desc")
    return fail(Code::invalid_argument,
                "orderby ends in '" + std::string(direction) + "', which is neither asc nor desc");
  order.is_descending = direction == "desc";
  return std::optional(std::move(order));
}

Result<UpdateId> update_in(const json::Object& parent, std::string_view where) {
  GODWIT_TRY(const json::Object* info, json::object(parent, "update", where));
  GODWIT_TRY(const json::Object* id, json::object(*info, "updateId", "update"));
  return UpdateId::from_json(*id, false);
}

Result<std::int32_t> small_integer(const json::Object& parent, std::string_view key) {
  GODWIT_TRY(const std::int64_t number, json::integer(parent, key, "rollbackPolicy.failure"));
  if (number < 0 || number > std::numeric_limits<std::int32_t>::max())
    return fail(Code::invalid_argument, "rollbackPolicy.failure." + std::string(key) + " is out of range");
  return static_cast<std::int32_t>(number);
}

Result<std::optional<store::RollbackPolicy>> policy_in(const json::Object& body) {
  const json::Value* value = json::find(body, "rollbackPolicy");
  if (value == nullptr || value->is_null()) return std::optional<store::RollbackPolicy>{};
  GODWIT_TRY(const json::Object* policy, json::object(body, "rollbackPolicy", "the deployment"));
  GODWIT_TRY(auto update, update_in(*policy, "rollbackPolicy"));
  GODWIT_TRY(const json::Object* failure, json::object(*policy, "failure", "rollbackPolicy"));
  GODWIT_TRY(const std::int32_t percentage, small_integer(*failure, "devicesFailedPercentage"));
  GODWIT_TRY(const std::int32_t count, small_integer(*failure, "devicesFailedCount"));
  return std::optional(
      store::RollbackPolicy{.update = std::move(update), .failed_percentage = percentage, .failed_count = count});
}

}  // namespace

Result<GroupId> group_of(const Request& request) { return GroupId::parse(request.parameter("groupId"), "group id"); }
Result<DeviceClassId> class_of(const Request& request) {
  return DeviceClassId::parse(request.parameter("deviceClassId"), "device class id");
}
Result<DeploymentId> deployment_of(const Request& request) {
  return DeploymentId::parse(request.parameter("deploymentId"), "deployment id");
}
Result<IdentityId> device_of(const Request& request) {
  GODWIT_TRY(auto device, DeviceId::parse(request.parameter("deviceId"), "device id"));
  const std::string module_text = request.parameter("moduleId");
  if (module_text.empty()) return IdentityId(device);
  GODWIT_TRY(const auto module, ModuleId::parse(module_text, "module id"));
  return IdentityId(device, module);
}

Result<std::optional<std::string>> class_filter(const Request& request) {
  constexpr std::string_view kAllowed = "friendlyName eq 'x'";
  GODWIT_TRY(const auto terms, and_terms(request, kAllowed));
  if (terms.empty()) return std::optional<std::string>{};
  if (terms.size() != 1 || terms.front().path != "friendlyname" || quoted(terms.front()) == nullptr)
    return not_allowed("filter", kAllowed);
  return std::optional(*quoted(terms.front()));
}

Result<store::FleetFilter> device_filter(const Request& request) {
  constexpr std::string_view kAllowed =
      "groupId eq 'x', deviceClassId eq 'x', and beside groupId deploymentStatus eq 'Failed' (any state or null)";
  GODWIT_TRY(const auto terms, and_terms(request, kAllowed));
  store::FleetFilter filter;
  for (const FilterTerm& term : terms) {
    const std::string* text = quoted(term);
    if (term.path == "groupid" && text != nullptr) {
      GODWIT_TRY(filter.group, GroupId::parse(*text, "group id"));
    } else if (term.path == "deviceclassid" && text != nullptr) {
      GODWIT_TRY(filter.class_id, DeviceClassId::parse(*text, "device class id"));
    } else if (term.path == "deploymentstatus" && std::holds_alternative<std::nullptr_t>(term.literal)) {
      filter.is_never_deployed = true;
    } else if (term.path == "deploymentstatus") {
      GODWIT_TRY(filter.state, state_of(term));
    } else {
      return not_allowed("filter", kAllowed);
    }
  }
  if ((filter.state || filter.is_never_deployed) && !filter.group) return not_allowed("filter", kAllowed);
  return filter;
}

Result<std::vector<std::pair<std::string, std::string>>> subgroup_filter(const Request& request) {
  constexpr std::string_view kAllowed = "compatProperties/NAME eq 'v', joined by and";
  constexpr std::string_view kPrefix = "compatproperties/";
  GODWIT_TRY(const auto terms, and_terms(request, kAllowed));
  std::vector<std::pair<std::string, std::string>> properties;
  for (const FilterTerm& term : terms) {
    if (!term.path.starts_with(kPrefix) || quoted(term) == nullptr) return not_allowed("filter", kAllowed);
    properties.emplace_back(term.path.substr(kPrefix.size()), *quoted(term));
  }
  return properties;
}

Result<store::DeploymentDeviceFilter> device_state_filter(const Request& request,
                                                          std::optional<DeviceClassId> class_id) {
  constexpr std::string_view kAllowed =
      "deviceId eq 'x', moduleId eq 'y', deviceState eq 'Failed' (any state), joined by and";
  GODWIT_TRY(auto terms, and_terms(request, kAllowed));
  store::DeploymentDeviceFilter filter{.class_id = std::move(class_id)};
  GODWIT_TRY(filter.device, identity_in(terms));
  for (const FilterTerm& term : terms) {
    if (term.path == "devicestate") {
      GODWIT_TRY(filter.state, state_of(term));
    } else {
      return not_allowed("filter", kAllowed);
    }
  }
  return filter;
}

Result<service::HealthFilter> health_filter(const Request& request) {
  constexpr std::string_view kAllowed = "state eq 'unhealthy' (or 'healthy'), deviceId eq 'x', moduleId eq 'y'";
  GODWIT_TRY(auto terms, and_terms(request, kAllowed));
  if (terms.empty()) return fail(Code::invalid_argument, "device health needs a filter: " + std::string(kAllowed));
  service::HealthFilter filter;
  GODWIT_TRY(filter.device, identity_in(terms));
  for (const FilterTerm& term : terms) {
    const std::string* text = quoted(term);
    if (term.path == "state" && text != nullptr &&
        (equal_in_any_case(*text, "healthy") || equal_in_any_case(*text, "unhealthy"))) {
      filter.is_healthy = equal_in_any_case(*text, "healthy");
    } else {
      return not_allowed("filter", kAllowed);
    }
  }
  return filter;
}

Result<bool> operation_filter(const Request& request) {
  constexpr std::string_view kAllowed = "status eq 'NotStarted' or status eq 'Running'";
  const auto text = request.query_value("filter");
  if (!text || text->empty()) return false;
  GODWIT_TRY(const Filter filter, parse_filter(*text));
  const auto is_status = [](const FilterTerm& term, std::string_view name) {
    return term.path == "status" && quoted(term) != nullptr && equal_in_any_case(*quoted(term), name);
  };
  const bool is_known = filter.is_or && filter.terms.size() == 2 &&
                        ((is_status(filter.terms[0], "NotStarted") && is_status(filter.terms[1], "Running")) ||
                         (is_status(filter.terms[0], "Running") && is_status(filter.terms[1], "NotStarted")));
  if (!is_known) return not_allowed("filter", kAllowed);
  return true;
}

Result<std::size_t> top_of(const Request& request) {
  const auto text = request.query_value("top");
  if (!text) return service::kFleetPageSize;
  if (text->empty() || text->size() > 6 ||
      !std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; }) || std::stoul(*text) == 0)
    return fail(Code::invalid_argument, "top must be a number from 1");
  return static_cast<std::size_t>(std::stoul(*text));
}

Result<GroupListOrder> group_order(const Request& request) {
  using service::GroupOrder;
  GODWIT_TRY(const auto text, order_text(request));
  if (!text) return GroupListOrder{};
  // Some names are spelled in two ways, because documents and clients of the original do.
  static constexpr std::pair<std::string_view, GroupOrder> kOrders[] = {
      {"groupid", GroupOrder::group_id},
      {"devicecount", GroupOrder::device_count},
      {"createddate", GroupOrder::created},
      {"createddatetime", GroupOrder::created},
      {"subgroupswithnewupdatesavailablecount", GroupOrder::new_updates},
      {"subgroupswithupdatesinprogresscount", GroupOrder::in_progress},
      {"subgroupsonlatestupdatecount", GroupOrder::on_latest},
      {"subgroupswithonlatestupdatecount", GroupOrder::on_latest}};
  for (const auto& [name, order] : kOrders)
    if (text->property == name) return GroupListOrder{.order = order, .is_descending = text->is_descending};
  return not_allowed("orderby",
                     "groupId, deviceCount, createdDateTime, subgroupsWithNewUpdatesAvailableCount, "
                     "subgroupsWithUpdatesInProgressCount, subgroupsWithOnLatestUpdateCount");
}

Result<store::RolloutRecords::ListOrder> deployment_order(const Request& request) {
  GODWIT_TRY(const auto text, order_text(request));
  if (!text) return store::RolloutRecords::ListOrder{};
  if (text->property != "startdatetime") return not_allowed("orderby", "startDateTime");
  return store::RolloutRecords::ListOrder{.by_start = true, .is_descending = text->is_descending};
}

Result<service::DeploymentWish> deployment_wish(const Request& request) {
  GODWIT_TRY(auto group, group_of(request));
  GODWIT_TRY(auto id, deployment_of(request));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  GODWIT_TRY(const std::string body_id, json::text(body, "deploymentId", "the deployment"));
  if (body_id != id.str())
    return fail(Code::invalid_argument,
                "deploymentId in the body is '" + body_id.substr(0, 128) + "', in the path '" + id.str() + "'");
  GODWIT_TRY(const std::string body_group, json::text(body, "groupId", "the deployment"));
  if (body_group != group.str())
    return fail(Code::invalid_argument,
                "groupId in the body is '" + body_group.substr(0, 200) + "', in the path '" + group.str() + "'");
  GODWIT_TRY(auto update, update_in(body, "the deployment"));
  GODWIT_TRY(const std::string start_text, json::text(body, "startDateTime", "the deployment"));
  const auto start = parse_time(start_text);
  if (!start) return with_context("startDateTime", start.error());
  GODWIT_TRY(auto policy, policy_in(body));
  return service::DeploymentWish{.group = std::move(group),
                                 .id = std::move(id),
                                 .update = std::move(update),
                                 .start = *start,
                                 .rollback = std::move(policy)};
}

}  // namespace godwit::api
