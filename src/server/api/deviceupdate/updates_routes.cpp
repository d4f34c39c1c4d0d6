// The content family of the Device Update API, 2022-10-01: updates, their files, and the operations that import and
// delete them.
#include "server/api/deviceupdate/updates_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "server/api/errors.hpp"
#include "server/api/paging.hpp"
#include "server/api/text.hpp"
#include "server/service/catalog/catalog.hpp"
#include "server/service/import/importer.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kSearchLimit = 512;

/// A page of a list of names that is whole in memory; the token is the last name of the page before.
Result<Reply> page_of_names(const Request& request, const std::vector<std::string>& names) {
  GODWIT_TRY(const auto token, page_token(request));
  auto next = names.begin();
  if (!token.empty()) {
    next = std::find(names.begin(), names.end(), token);
    if (next == names.end())
      return fail(Code::invalid_argument, "skiptoken names something that is gone; read the list from its start");
    ++next;
  }
  json::Array values;
  for (; next != names.end() && values.size() < kPageSize; ++next) values.emplace_back(*next);
  return page(request, std::move(values), next == names.end() ? "" : *std::prev(next));
}

/// 200 with the ETag of the body, or 304 when the client has that one.
Reply with_etag(const Request& request, const json::Object& object) {
  const std::string etag = json::text_or_nothing(object, "etag").value_or("");
  Reply reply = Reply::json(object);
  const auto known = request.header("if-none-match");
  if (known && !etag.empty() && (*known == "*" || known->find(etag) != std::string::npos)) reply = Reply{.status = 304};
  reply.headers.emplace_back("ETag", etag);
  return reply;
}

Result<std::optional<bool>> deployable_filter(const Request& request) {
  const auto text = request.query_value("filter");
  if (!text) return std::nullopt;
  GODWIT_TRY(const auto filter, parse_filter(*text));
  if (filter.terms.size() == 1 && filter.terms[0].path == "isdeployable")
    if (const bool* wanted = std::get_if<bool>(&filter.terms[0].literal)) return *wanted;
  return fail(Code::invalid_argument, "this list takes the filter: isDeployable eq true, or: isDeployable eq false");
}

Result<bool> unfinished_filter(const Request& request) {
  const auto text = request.query_value("filter");
  if (!text) return false;
  GODWIT_TRY(const auto filter, parse_filter(*text));
  bool is_not_started = false;
  bool is_running = false;
  bool is_other = filter.terms.size() != 2 || !filter.is_or;
  for (const FilterTerm& term : filter.terms) {
    const auto* state = std::get_if<std::string>(&term.literal);
    const std::string word = state != nullptr && term.path == "status" ? lower_case(*state) : "";
    if (word == "notstarted")
      is_not_started = true;
    else if (word == "running")
      is_running = true;
    else
      is_other = true;
  }
  if (is_other || !is_not_started || !is_running)
    return fail(Code::invalid_argument, "this list takes the filter: status eq 'NotStarted' or status eq 'Running'");
  return true;
}

Result<std::size_t> read_top(const Request& request) {
  const auto text = request.query_value("top");
  if (!text) return kPageSize;
  const std::size_t top = to_number<std::size_t>(*text).value_or(0);
  if (top == 0) return fail(Code::invalid_argument, "top must be a number of at least 1");
  return top;
}

Reply accepted(const Services& services, const std::string& operation_id) {
  Reply reply{.status = 202};
  reply.headers.emplace_back(
      "Operation-Location",
      fmt::format("/deviceUpdate/{}/updates/operations/{}?api-version=2022-10-01", services.instance_id, operation_id));
  reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Reply refused(const Request& request, const service::ImportFailure& failure) {
  const Error error{failure.code, failure.message};
  Reply reply = error_reply(Family::device_update, error, make_trace_id(request.header("traceparent").value_or("")));
  if (auto body = json::parse_object(reply.body)) {
    (*body)["error"] = service::to_json(failure);
    reply.body = json::print(*body);
  }
  return reply;
}

// ---- handlers ----------------------------------------------------------------------------------------------------

Result<Reply> list_updates(const Request& request, Services& services) {
  store::UpdateQuery query{.search = request.query_value("search").value_or(""), .limit = kPageSize};
  if (query.search.size() > kSearchLimit)
    return fail(Code::invalid_argument, fmt::format("search has more than {} bytes", kSearchLimit));
  GODWIT_TRY(query.is_deployable, deployable_filter(request));
  GODWIT_TRY(const auto token, page_token(request));
  GODWIT_TRY(auto found, services.catalog.list(std::move(query), token));
  return page(request, std::move(found.values), found.next_token);
}

Result<Reply> get_update(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, update_of(request));
  GODWIT_TRY(const auto update, services.catalog.describe(id));
  return with_etag(request, update);
}

Result<Reply> delete_update(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, update_of(request));
  GODWIT_TRY(const auto operation_id, services.catalog.remove(id, request.caller));
  return accepted(services, operation_id);
}

Result<Reply> list_providers(const Request& request, Services& services) {
  GODWIT_TRY(const auto names, services.catalog.providers());
  return page_of_names(request, names);
}

Result<Reply> list_names(const Request& request, Services& services) {
  GODWIT_TRY(const auto names, services.catalog.names(request.parameter("provider")));
  return page_of_names(request, names);
}

Result<Reply> list_versions(const Request& request, Services& services) {
  GODWIT_TRY(const auto is_deployable, deployable_filter(request));
  GODWIT_TRY(const auto versions,
             services.catalog.versions(request.parameter("provider"), request.parameter("name"), is_deployable));
  return page_of_names(request, versions);
}

Result<Reply> list_files(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, update_of(request));
  GODWIT_TRY(const auto ids, services.catalog.file_ids(id));
  return page_of_names(request, ids);
}

Result<Reply> get_file(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, update_of(request));
  GODWIT_TRY(const auto file, services.catalog.describe_file(id, request.parameter("fileId")));
  return with_etag(request, file);
}

Result<Reply> list_operations(const Request& request, Services& services) {
  GODWIT_TRY(const bool only_unfinished, unfinished_filter(request));
  GODWIT_TRY(const std::size_t top, read_top(request));
  GODWIT_TRY(const auto token, page_token(request));
  const std::size_t count = std::min(top, kPageSize);
  GODWIT_TRY(auto found, services.catalog.list_imports(only_unfinished, count, token, services.instance_id));
  if (!request.query_value("top")) return page(request, std::move(found.values), found.next_token);
  // `top` asks for that many in all: the next page has what is left of it.
  Request rest = request;
  rest.query["top"] = std::to_string(top - count);
  return page(rest, std::move(found.values), top > count ? found.next_token : "");
}

Result<Reply> get_operation(const Request& request, Services& services) {
  GODWIT_TRY(const auto operation,
             services.catalog.describe_operation(request.parameter("operationId"), services.instance_id));
  Reply reply = with_etag(request, operation);
  const std::string status = json::text_or_nothing(operation, "status").value_or("");
  if (status == "NotStarted" || status == "Running") reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

}  // namespace

Result<UpdateId> update_of(const Request& request) {
  return UpdateId::parse(request.parameter("provider"), request.parameter("name"), request.parameter("version"));
}

Result<Reply> import_updates(const Request& request, Services& services) {
  GODWIT_TRY(const auto items, service::parse_import_request(request.body));
  const auto operation_id = services.importer.start(items, request.caller);
  if (!operation_id) return refused(request, operation_id.error());
  return accepted(services, *operation_id);
}

const std::vector<Route>& deviceupdate_updates_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/deviceUpdate/{instanceId}/updates", Permission::updates_read, list_updates},
      {Method::post, "/deviceUpdate/{instanceId}/updates:import", Permission::updates_write, import_updates},
      {Method::get, "/deviceUpdate/{instanceId}/updates/providers/{provider}/names/{name}/versions/{version}",
       Permission::updates_read, get_update},
      {Method::delete_, "/deviceUpdate/{instanceId}/updates/providers/{provider}/names/{name}/versions/{version}",
       Permission::updates_delete, delete_update},
      {Method::get, "/deviceUpdate/{instanceId}/updates/providers", Permission::updates_read, list_providers},
      {Method::get, "/deviceUpdate/{instanceId}/updates/providers/{provider}/names", Permission::updates_read,
       list_names},
      {Method::get, "/deviceUpdate/{instanceId}/updates/providers/{provider}/names/{name}/versions",
       Permission::updates_read, list_versions},
      {Method::get, "/deviceUpdate/{instanceId}/updates/providers/{provider}/names/{name}/versions/{version}/files",
       Permission::updates_read, list_files},
      {Method::get,
       "/deviceUpdate/{instanceId}/updates/providers/{provider}/names/{name}/versions/{version}/files/{fileId}",
       Permission::updates_read, get_file},
      {Method::get, "/deviceUpdate/{instanceId}/updates/operations", Permission::updates_read, list_operations},
      {Method::get, "/deviceUpdate/{instanceId}/updates/operations/{operationId}", Permission::updates_read,
       get_operation},
  };
  return routes;
}

}  // namespace godwit::api
