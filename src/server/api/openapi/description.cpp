#include "server/api/openapi/description.hpp"

#include <algorithm>
#include <array>

#include "core/base/text.hpp"
#include "server/api/permissions.hpp"
#include "server/api/target.hpp"

namespace godwit::api {
namespace {

struct FamilyWords {
  Family family;
  std::string_view tag;
  std::string_view summary;
  std::string_view version;  // of api-version, "" = none
  std::string_view error;    // schema
};
constexpr std::array<FamilyWords, 6> kFamilies{{
    {Family::device_update, "Device Update", "Updates, devices, groups and deployments, in the shapes of the original.",
     "2022-10-01", "Error"},
    {Family::iothub, "Hub", "Identities, twins, methods, messages and jobs, in the shapes of an IoT hub.", "2021-04-12",
     "HubError"},
    {Family::provisioning, "Provisioning", "Enrollments and registrations, in the shapes of the original.",
     "2021-10-01", "ProvisioningError"},
    {Family::godwit, "Godwit", "What this service adds.", "", "Error"},
    {Family::storage, "Storage", "Where devices put their logs.", "", ""},
    {Family::plain, "Files and health", "Payloads, health, figures and this description.", "", "Error"},
}};

[[nodiscard]] const FamilyWords& words_of(std::string_view pattern) {
  const auto target = parse_target(pattern);
  const Family family = target ? family_of(*target) : Family::plain;
  return *std::find_if(kFamilies.begin(), kFamilies.end(),
                       [&](const FamilyWords& row) { return row.family == family; });
}

[[nodiscard]] json::Value reference(std::string_view schema) {
  return json::Object{{"$ref", "#/components/schemas/" + std::string(schema)}};
}

/// A body by its name in a RouteText.
[[nodiscard]] json::Object content_of(std::string_view body) {
  const auto of = [](std::string_view type, json::Value schema) {
    json::Object media;
    media["schema"] = std::move(schema);
    return json::Object{{type, std::move(media)}};
  };
  const auto text_schema = [](std::string_view format) {
    json::Object schema{{"type", "string"}};
    if (!format.empty()) schema["format"] = format;
    return json::Value(std::move(schema));
  };
  if (body == "bytes") return of("application/octet-stream", text_schema("binary"));
  if (body == "text") return of("text/plain", text_schema(""));
  if (body == "xml") return of("application/xml", text_schema(""));
  if (body == "html") return of("text/html", text_schema(""));
  if (body == "events") return of("text/event-stream", text_schema(""));
  const std::size_t colon = body.find(':');
  const std::string_view name = colon == std::string_view::npos ? body : body.substr(colon + 1);
  json::Value item = name == "string" ? text_schema("") : reference(name);
  if (colon == std::string_view::npos) return of("application/json", std::move(item));
  json::Object list{{"type", "array"}, {"items", std::move(item)}};
  if (body.starts_with("list:")) return of("application/json", std::move(list));
  json::Object page{{"type", "object"}, {"required", json::Array{"value"}}};
  page["properties"] = json::Object{{"value", std::move(list)}, {"nextLink", json::Object{{"type", "string"}}}};
  return of("application/json", std::move(page));
}

/// "{blob...}" is "{blob}" here.
[[nodiscard]] std::string path_of(std::string_view pattern) {
  std::string path(pattern);
  if (const auto dots = path.find("...}"); dots != std::string::npos) path.erase(dots, 3);
  return path;
}

[[nodiscard]] json::Object parameter(std::string_view name, std::string_view place, bool is_needed,
                                     std::string_view summary, std::string_view type) {
  json::Object made{{"name", name}, {"in", place}, {"required", is_needed}};
  if (!summary.empty()) made["description"] = summary;
  made["schema"] = json::Object{{"type", type}};
  return made;
}

[[nodiscard]] json::Array parameters_of(const RouteText& text, const FamilyWords& family) {
  json::Array list;
  std::string_view rest = text.pattern;
  for (auto open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
    rest.remove_prefix(open + 1);
    std::string_view name = rest.substr(0, rest.find('}'));
    if (name.ends_with("...")) name.remove_suffix(3);
    list.emplace_back(parameter(name, "path", true, "", "string"));
  }
  if (!family.version.empty()) {
    json::Object version = parameter("api-version", "query", true, "The version that is spoken.", "string");
    version["schema"].as_object()["example"] = family.version;
    list.emplace_back(std::move(version));
  }
  std::string_view names = text.query;
  while (!names.empty()) {
    std::string_view name = names.substr(0, names.find(' '));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
    const bool is_needed = name.ends_with('*');
    if (is_needed) name.remove_suffix(1);
    const auto texts = query_texts();
    const auto found = std::find_if(texts.begin(), texts.end(), [&](const QueryText& row) { return row.name == name; });
    GODWIT_CHECK(found != texts.end());
    list.emplace_back(parameter(name, "query", is_needed, found->summary, found->type));
  }
  return list;
}

[[nodiscard]] json::Object responses_of(const RouteInfo& route, const RouteText& text, const FamilyWords& family) {
  json::Object good{{"description", text.gives.empty() ? "Done" : "The answer"}};
  if (!text.gives.empty()) good["content"] = content_of(text.gives);
  json::Object bad{{"description", "What was wrong, where, and what to do"}};
  bad["content"] = family.error.empty() ? content_of("xml") : content_of(family.error);
  json::Object responses;
  responses[std::to_string(text.status)] = std::move(good);
  if (route.permission != Permission::none) {
    json::Object unknown = bad;
    unknown["description"] = "The caller is not known";
    responses["401"] = std::move(unknown);
    json::Object forbidden = bad;
    forbidden["description"] = "The caller has not the permission " + std::string(permission_name(route.permission));
    responses["403"] = std::move(forbidden);
  }
  responses["default"] = std::move(bad);
  return responses;
}

[[nodiscard]] json::Object operation_of(const RouteInfo& route, const RouteText& text) {
  const FamilyWords& family = words_of(route.pattern);
  json::Object operation{{"operationId", operation_id(route)},
                         {"summary", text.summary},
                         {"tags", json::Array{family.tag}},
                         {"x-godwit-permission", permission_name(route.permission)}};
  if (json::Array list = parameters_of(text, family); !list.empty()) operation["parameters"] = std::move(list);
  if (!text.takes.empty())
    operation["requestBody"] = json::Object{{"required", true}, {"content", content_of(text.takes)}};
  operation["responses"] = responses_of(route, text, family);
  json::Array security;
  if (route.permission != Permission::none) security.emplace_back(json::Object{{"bearer", json::Array{}}});
  if (family.family == Family::iothub) security.emplace_back(json::Object{{"sharedAccessSignature", json::Array{}}});
  operation["security"] = std::move(security);
  return operation;
}

[[nodiscard]] json::Object security_schemes() {
  json::Object signature{{"type", "apiKey"},
                         {"in", "header"},
                         {"name", "Authorization"},
                         {"description", "SharedAccessSignature sr=...&sig=...&se=...&skn=POLICY"}};
  json::Object bearer{{"type", "http"}, {"scheme", "bearer"}};
  return json::Object{{"bearer", std::move(bearer)}, {"sharedAccessSignature", std::move(signature)}};
}

[[nodiscard]] std::string_view lower_method(Method method) {
  switch (method) {
    case Method::get: return "get";
    case Method::head: return "head";
    case Method::put: return "put";
    case Method::post: return "post";
    case Method::patch: return "patch";
    case Method::delete_: return "delete";
  }
  return "get";
}

}  // namespace

std::string operation_id(const RouteInfo& route) {
  std::string id(lower_method(route.method));
  bool is_start = true;
  for (const char c : route.pattern) {
    const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '{') id += "By";
    if (is_word) id.push_back(is_start && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    is_start = !is_word;
  }
  return id;
}

json::Object describe_surface(const std::vector<RouteInfo>& routes, std::string_view version) {
  const auto texts = route_texts();
  json::Object paths;
  for (const RouteInfo& route : routes) {
    const auto text = std::find_if(texts.begin(), texts.end(), [&](const RouteText& row) {
      return row.method == route.method && row.pattern == route.pattern;
    });
    if (text == texts.end()) continue;
    json::Value& path = paths[path_of(route.pattern)];
    if (!path.is_object()) path = json::Object{};
    path.as_object()[lower_method(route.method)] = operation_of(route, *text);
  }
  json::Array tags;
  for (const FamilyWords& family : kFamilies)
    tags.emplace_back(json::Object{{"name", family.tag}, {"description", family.summary}});
  json::Object info{
      {"title", "Godwit"},
      {"version", version},
      {"description", "An open, self-hosted over-the-air update service."},
      {"license", json::Object{{"name", "Apache-2.0"}, {"url", "https://www.apache.org/licenses/LICENSE-2.0"}}}};
  auto schemas = json::parse_object(schemas_text());
  GODWIT_CHECK(schemas.has_value());
  json::Object components;
  components["schemas"] = *std::move(schemas);
  components["securitySchemes"] = security_schemes();
  json::Object root{{"openapi", "3.0.3"}, {"info", std::move(info)}};
  root["servers"] = json::Array{json::Object{{"url", "/"}}};
  root["tags"] = std::move(tags);
  root["paths"] = std::move(paths);
  root["components"] = std::move(components);
  return root;
}

}  // namespace godwit::api
