#include "server/api/router.hpp"

#include <algorithm>
#include <array>

#include "core/base/bytes.hpp"
#include "server/api/text.hpp"

namespace godwit::api {
namespace {

constexpr std::array<std::string_view, 1> kDeviceUpdateVersions{"2022-10-01"};

// Every version whose registry and twin calls have the shapes that iothub/routes.cpp speaks.
constexpr std::array<std::string_view, 9> kHubVersions{"2018-06-30", "2019-03-30", "2019-07-01-preview",
                                                       "2019-10-01", "2020-03-13", "2020-05-31-preview",
                                                       "2020-09-30", "2021-04-12", "2021-11-30"};

// As kHubVersions, for the enrollments and registrations of provisioning/routes.cpp.
constexpr std::array<std::string_view, 4> kProvisioningVersions{"2018-11-01", "2019-03-31", "2021-06-01", "2021-10-01"};

template <std::size_t N>
[[nodiscard]] Result<void> check_version(const Target& target, const std::array<std::string_view, N>& accepted) {
  const auto given = target.query.find("api-version");
  if (given != target.query.end() && std::find(accepted.begin(), accepted.end(), given->second) != accepted.end())
    return {};
  std::string list;
  for (const auto version : accepted) list += (list.empty() ? "" : ", ") + std::string(version);
  if (given == target.query.end())
    return fail(Code::invalid_argument, "the query parameter api-version is missing; accepted: " + list);
  return fail(Code::invalid_argument,
              "api-version '" + given->second.substr(0, 64) + "' is not served here; accepted: " + list);
}

/// The segments from `first` on, decoded and joined again.
[[nodiscard]] bool read_tail(const Target& target, std::size_t first, std::string& into) {
  for (std::size_t i = first; i < target.segments.size(); ++i) {
    const auto decoded = percent_decode(target.segments[i]);
    if (!decoded || decoded->empty()) return false;
    into += (i == first ? "" : "/") + *decoded;
  }
  return true;
}

[[nodiscard]] Match with_values(Match match, std::map<std::string, std::string> values) {
  match.parameters = std::move(values);
  return match;
}

}  // namespace

std::string_view method_name(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::put: return "PUT";
    case Method::post: return "POST";
    case Method::patch: return "PATCH";
    case Method::delete_: return "DELETE";
  }
  return "?";
}

Family family_of(const Target& target) {
  if (target.segments.empty()) return Family::plain;
  std::string first = lower_case(target.segments.front());
  if (first == "i" && target.segments.size() > 2) first = lower_case(target.segments[2]);  // /i/{instanceId}/...
  if (first == "deviceupdate") return Family::device_update;
  if (first == "devices" || first == "twins" || first == "statistics" || first == "messages" || first == "jobs")
    return Family::iothub;
  if (first == "enrollments" || first == "enrollmentgroups" || first == "registrations") return Family::provisioning;
  if (first == "godwit") return Family::godwit;
  if (first == "device-logs") return Family::storage;
  return Family::plain;
}

Router::Row Router::compile(Method method, std::string_view pattern, Match match) {
  GODWIT_CHECK(pattern.starts_with('/'));
  Row row{.method = method, .segments = {}, .match = std::move(match)};
  pattern.remove_prefix(1);
  while (!pattern.empty()) {
    const std::size_t slash = std::min(pattern.find('/'), pattern.size());
    std::string_view text = pattern.substr(0, slash);
    pattern.remove_prefix(std::min(slash + 1, pattern.size()));
    Segment segment;
    if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
      segment.verb = lower_case(text.substr(colon + 1));
      text = text.substr(0, colon);
    }
    segment.is_value = text.size() > 2 && text.front() == '{' && text.back() == '}';
    segment.text = segment.is_value ? std::string(text.substr(1, text.size() - 2)) : lower_case(text);
    if (segment.is_value && segment.text.ends_with("...")) {
      GODWIT_CHECK(pattern.empty());
      segment.is_tail = true;
      segment.text.resize(segment.text.size() - 3);
    }
    row.segments.push_back(std::move(segment));
  }
  return row;
}

void Router::insert(Row row) {
  const auto less_general = [](const Row& a, const Row& b) {
    return std::lexicographical_compare(a.segments.begin(), a.segments.end(), b.segments.begin(), b.segments.end(),
                                        [](const Segment& x, const Segment& y) {
                                          const int left = (x.is_value ? 2 : 0) + (x.verb.empty() ? 1 : 0);
                                          const int right = (y.is_value ? 2 : 0) + (y.verb.empty() ? 1 : 0);
                                          return left < right;
                                        });
  };
  rows_.insert(std::upper_bound(rows_.begin(), rows_.end(), row, less_general), std::move(row));
}

void Router::add(const std::vector<Route>& table) {
  for (const Route& route : table)
    insert(compile(
        route.method, route.pattern,
        Match{.pattern = route.pattern, .permission = route.permission, .handler = route.handler, .parameters = {}}));
}

void Router::add_stream(Method method, std::string_view pattern, Permission permission, Stream stream) {
  insert(compile(method, pattern,
                 Match{.pattern = pattern, .permission = permission, .stream = stream, .parameters = {}}));
}

std::vector<RouteInfo> Router::routes() const {
  std::vector<RouteInfo> list;
  list.reserve(rows_.size());
  for (const Row& row : rows_) list.push_back({row.method, row.match.pattern, row.match.permission, row.match.stream});
  return list;
}

bool Router::matches(const Row& row, const Target& target, std::map<std::string, std::string>& values) {
  const bool has_tail = !row.segments.empty() && row.segments.back().is_tail;
  if (has_tail ? row.segments.size() > target.segments.size() : row.segments.size() != target.segments.size())
    return false;
  values.clear();
  for (std::size_t i = 0; i < row.segments.size(); ++i) {
    const Segment& wanted = row.segments[i];
    std::string_view given = target.segments[i];
    if (!wanted.verb.empty()) {
      const std::size_t colon = given.rfind(':');
      if (colon == std::string_view::npos || !equal_in_any_case(given.substr(colon + 1), wanted.verb)) return false;
      given = given.substr(0, colon);
    }
    const auto decoded = percent_decode(given);
    if (!decoded || decoded->empty()) return false;
    if (wanted.is_tail) return read_tail(target, i, values[wanted.text]);
    if (wanted.is_value)
      values[wanted.text] = *decoded;
    else if (!equal_in_any_case(*decoded, wanted.text))
      return false;
  }
  return true;
}

tl::expected<Match, Router::Miss> Router::find(Method method, const Target& target) const {
  Miss miss;
  const Row* get_row = nullptr;
  std::map<std::string, std::string> values;
  std::map<std::string, std::string> get_values;
  for (const Row& row : rows_) {
    if (!matches(row, target, values)) continue;
    if (row.method == method) return with_values(row.match, std::move(values));
    if (method == Method::head && row.method == Method::get && get_row == nullptr) {
      get_row = &row;
      get_values = values;
    }
    if (std::find(miss.allowed.begin(), miss.allowed.end(), row.method) == miss.allowed.end())
      miss.allowed.push_back(row.method);
  }
  if (get_row != nullptr) return with_values(get_row->match, std::move(get_values));
  return tl::unexpected<Miss>{std::move(miss)};
}

Result<void> check_manners(const Target& target, const Match& match, std::string_view instance_id) {
  const Family family = family_of(target);
  if (family == Family::device_update) GODWIT_TRY_VOID(check_version(target, kDeviceUpdateVersions));
  if (family == Family::iothub) GODWIT_TRY_VOID(check_version(target, kHubVersions));
  if (family == Family::provisioning) GODWIT_TRY_VOID(check_version(target, kProvisioningVersions));
  if (const auto given = match.parameters.find("instanceId");
      given != match.parameters.end() && given->second != instance_id)
    return fail(Code::not_found, "there is no instance '" + given->second.substr(0, 64) + "' here");
  return {};
}

}  // namespace godwit::api
