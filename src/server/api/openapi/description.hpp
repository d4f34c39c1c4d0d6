// The whole surface described for programs (OpenAPI 3.0) and for people (one page of HTML without scripts). Made from
// the router's rows, the sentences of route_texts.cpp and the schemas of schemas.cpp; a test fails for a row without a
// sentence and for a sentence without a row. Pure; safe from any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.hpp"
#include "server/api/router.hpp"

namespace godwit::api {

/// What a row's table does not say. A body is named "Schema", "list:Schema" (an array), "page:Schema" (a page with
/// nextLink), "bytes", "text", "xml", "html" or "events"; "" is none.
struct RouteText {
  Method method;
  std::string_view pattern;
  std::string_view summary;
  std::string_view query = "";  // names from query_texts(), separated by spaces; '*' behind one that is needed
  std::string_view takes = "";
  std::string_view gives = "";
  int status = 200;
};
[[nodiscard]] std::span<const RouteText> route_texts();

struct QueryText {
  std::string_view name;
  std::string_view summary;
  std::string_view type = "string";
};
[[nodiscard]] std::span<const QueryText> query_texts();

/// components.schemas, as JSON text.
[[nodiscard]] std::string_view schemas_text();

/// Rows without a text are left out.
[[nodiscard]] json::Object describe_surface(const std::vector<RouteInfo>& routes, std::string_view version);
/// The same as a page; `description` is what describe_surface() made.
[[nodiscard]] std::string describe_page(const json::Object& description);

/// "getDevicesByDeviceId": unique as long as patterns are.
[[nodiscard]] std::string operation_id(const RouteInfo& route);

/// GET /openapi.json, /docs/api and its style sheet.
[[nodiscard]] const std::vector<Route>& openapi_routes();

}  // namespace godwit::api
