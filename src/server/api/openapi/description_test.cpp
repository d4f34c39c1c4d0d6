#include "server/api/openapi/description.hpp"

#include <gtest/gtest.h>

#include <set>

#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

[[nodiscard]] std::string key(Method method, std::string_view pattern) {
  return std::string(method_name(method)) + " " + std::string(pattern);
}

TEST(OpenApi, every_route_has_a_description_and_every_description_a_route) {
  std::set<std::string> rows;
  for (const RouteInfo& route : make_router().routes())
    EXPECT_TRUE(rows.insert(key(route.method, route.pattern)).second) << key(route.method, route.pattern);
  std::set<std::string> texts;
  for (const RouteText& text : route_texts()) {
    EXPECT_TRUE(texts.insert(key(text.method, text.pattern)).second) << "twice: " << key(text.method, text.pattern);
    EXPECT_FALSE(text.summary.empty()) << key(text.method, text.pattern);
  }
  for (const std::string& row : rows)
    EXPECT_TRUE(texts.contains(row)) << row << " has no line in openapi/route_texts.cpp";
  for (const std::string& text : texts)
    EXPECT_TRUE(rows.contains(text)) << text << " describes a route that is not there";
}

/// Every "$ref" below `value`.
void collect_references(const json::Value& value, std::set<std::string>& into) {
  if (value.is_object())
    for (const auto& member : value.get_object()) {
      if (member.key() == "$ref") into.insert(std::string(member.value().as_string()));
      collect_references(member.value(), into);
    }
  if (value.is_array())
    for (const auto& one : value.get_array()) collect_references(one, into);
}

TEST(OpenApi, schemas_are_all_there_and_all_used_and_operations_have_names_of_their_own) {
  const json::Object description = describe_surface(make_router().routes(), "1");
  const json::Object& schemas = description.at("components").as_object().at("schemas").as_object();
  std::set<std::string> references;
  collect_references(json::Value(description), references);
  for (const std::string& reference : references)
    EXPECT_TRUE(schemas.contains(reference.substr(reference.rfind('/') + 1))) << reference;
  for (const auto& schema : schemas)
    EXPECT_TRUE(references.contains("#/components/schemas/" + std::string(schema.key()))) << schema.key();
  std::set<std::string> names;
  std::size_t operations = 0;
  for (const auto& path : description.at("paths").as_object())
    for (const auto& method : path.value().as_object()) {
      ++operations;
      const json::Object& operation = method.value().as_object();
      EXPECT_TRUE(names.insert(std::string(operation.at("operationId").as_string())).second) << path.key();
      // What stands in braces is a parameter, and nothing else is.
      std::set<std::string> in_path;
      std::string_view rest = path.key();
      for (auto open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
        rest.remove_prefix(open + 1);
        in_path.insert(std::string(rest.substr(0, rest.find('}'))));
      }
      std::set<std::string> told;
      if (const json::Value* parameters = json::find(operation, "parameters"))
        for (const auto& one : parameters->as_array())
          if (one.as_object().at("in") == "path") told.insert(std::string(one.as_object().at("name").as_string()));
      EXPECT_EQ(in_path, told) << path.key();
    }
  EXPECT_EQ(operations, make_router().routes().size());
}

TEST(OpenApi, the_page_shows_every_route_and_has_neither_scripts_nor_anything_from_elsewhere) {
  TestRig rig(make_router());
  TestClient client(rig);
  const Answer page = client.send(request_text("GET", "/docs/api"));
  ASSERT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_NE(page.headers.at("content-security-policy").find("default-src 'none'; style-src 'self'"), std::string::npos);
  for (const RouteInfo& route : make_router().routes())
    EXPECT_NE(page.body.find("id=\"" + operation_id(route) + "\""), std::string::npos) << route.pattern;
  for (const char* forbidden : {"<script", "style=", " on", "http://", "https://", "javascript:"}) {
    if (std::string_view(forbidden) == " on") continue;  // a word; handlers are looked for below
    EXPECT_EQ(page.body.find(forbidden), std::string::npos) << forbidden;
  }
  EXPECT_EQ(page.body.find(" onclick"), std::string::npos);
  // Every link leads to a place that is there.
  std::string_view rest = page.body;
  for (auto at = rest.find("href=\"#"); at != std::string_view::npos; at = rest.find("href=\"#")) {
    rest.remove_prefix(at + 7);
    const std::string target(rest.substr(0, rest.find('"')));
    EXPECT_NE(page.body.find("id=\"" + target + "\""), std::string::npos) << target;
  }
  EXPECT_EQ(client.send(request_text("GET", "/docs/api.css")).headers.at("content-type"), "text/css; charset=utf-8");
  const Answer json_answer = client.send(request_text("GET", "/openapi.json"));
  const auto parsed = json::parse_object(json_answer.body);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->at("openapi"), "3.0.3");
}

}  // namespace
}  // namespace godwit::api
