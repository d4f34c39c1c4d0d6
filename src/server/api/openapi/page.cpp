// The description as a page for people: headings, tables and folded parts, no script, nothing from elsewhere.
#include "server/api/openapi/description.hpp"
#include "server/api/server.hpp"

namespace godwit::api {
namespace {

constexpr std::string_view kStyle = R"css(
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; color: #1c2128; background: #fff; }
h1, h2 { line-height: 1.2; } h2 { border-bottom: 1px solid #d0d7de; margin-top: 2.5rem; padding-bottom: .3rem; }
details { border: 1px solid #d0d7de; border-radius: 6px; margin: .4rem 0; } summary { cursor: pointer; padding: .4rem .7rem; }
details > div { border-top: 1px solid #d0d7de; padding: .2rem .9rem .8rem; } code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
b { display: inline-block; min-width: 4.5rem; } table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
nav a { margin-right: 1rem; } .said { color: #57606a; }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117; } h2, details, details > div { border-color: #30363d; } a { color: #6cb6ff; } .said { color: #9198a1; } }
)css";

[[nodiscard]] std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out.push_back(c);
    }
  return out;
}

[[nodiscard]] std::string text_of(const json::Object& object, std::string_view key) {
  return json::text_or_nothing(object, key).value_or("");
}

/// "#/components/schemas/Update" -> a link to the schema further down.
[[nodiscard]] std::string schema_words(const json::Value& value) {
  if (!value.is_object()) return "";
  const json::Object& schema = value.get_object();
  if (const std::string ref = text_of(schema, "$ref"); !ref.empty()) {
    const std::string name = escaped(ref.substr(ref.rfind('/') + 1));
    return "<a href=\"#schema-" + name + "\">" + name + "</a>";
  }
  const std::string type = text_of(schema, "type");
  if (type == "array") return "array of " + schema_words(schema.at("items"));
  const json::Object* properties = json::object_or_null(schema, "properties");
  if (type == "object" && properties != nullptr && properties->contains("nextLink"))
    return "page of " + schema_words(properties->at("value").as_object().at("items"));
  if (type == "object" && schema.contains("additionalProperties") && schema.at("additionalProperties").is_object())
    return "map of " + schema_words(schema.at("additionalProperties"));
  const std::string format = text_of(schema, "format");
  std::string words = escaped(type) + (format.empty() ? "" : " (" + escaped(format) + ")");
  if (const json::Value* values = json::find(schema, "enum"); values != nullptr && values->is_array()) {
    words += ":";
    for (const auto& one : values->get_array())
      if (one.is_string()) words += " <code>" + escaped(std::string_view(one.get_string())) + "</code>";
  }
  return words;
}

[[nodiscard]] std::string content_words(const json::Object& holder) {
  const json::Object* content = json::object_or_null(holder, "content");
  if (content == nullptr || content->empty()) return "";
  const auto& media = *content->begin();
  return "<code>" + escaped(media.key()) + "</code> " + schema_words(media.value().as_object().at("schema"));
}

void write_operation(std::string& out, std::string_view path, std::string_view method, const json::Object& operation) {
  std::string verb(method);
  for (char& c : verb) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  out += "<details id=\"" + escaped(text_of(operation, "operationId")) + "\"><summary><b>" + verb + "</b> <code>" +
         escaped(path) + "</code><br><span class=\"said\">" + escaped(text_of(operation, "summary")) +
         "</span></summary><div><table>";
  out += "<tr><th>permission</th><td>" + escaped(text_of(operation, "x-godwit-permission")) + "</td></tr>";
  if (const json::Value* parameters = json::find(operation, "parameters"))
    for (const auto& one : parameters->as_array()) {
      const json::Object& parameter = one.as_object();
      out += "<tr><th>" + escaped(text_of(parameter, "in")) + " <code>" + escaped(text_of(parameter, "name")) +
             "</code></th><td>" + escaped(text_of(parameter, "description")) +
             (parameter.at("required").as_bool() ? "" : " (optional)") + "</td></tr>";
    }
  if (const json::Object* body = json::object_or_null(operation, "requestBody"))
    out += "<tr><th>body</th><td>" + content_words(*body) + "</td></tr>";
  for (const auto& response : operation.at("responses").as_object()) {
    const json::Object& answer = response.value().as_object();
    out += "<tr><th>" + escaped(response.key()) + "</th><td>" + escaped(text_of(answer, "description")) + " " +
           content_words(answer) + "</td></tr>";
  }
  out += "</table></div></details>\n";
}

void write_schema(std::string& out, std::string_view name, const json::Object& schema) {
  out += "<details id=\"schema-" + escaped(name) + "\"><summary><code>" + escaped(name) +
         "</code> <span class=\"said\">" + escaped(text_of(schema, "description")) + "</span></summary><div><table>";
  std::vector<std::string> needed;
  if (const json::Value* required = json::find(schema, "required"))
    for (const auto& one : required->as_array()) needed.emplace_back(one.as_string());
  if (const json::Object* properties = json::object_or_null(schema, "properties"))
    for (const auto& one : *properties) {
      const bool is_needed = std::find(needed.begin(), needed.end(), std::string(one.key())) != needed.end();
      out += "<tr><th><code>" + escaped(one.key()) + "</code></th><td>" + schema_words(one.value()) +
             (is_needed ? "" : " (optional)") + " " +
             escaped(one.value().is_object() ? text_of(one.value().get_object(), "description") : "") + "</td></tr>";
    }
  out += "</table></div></details>\n";
}

[[nodiscard]] const json::Object& whole_surface() {
  static const json::Object description = describe_surface(make_router().routes(), GODWIT_VERSION);
  return description;
}

Result<Reply> get_openapi(const Request&, Services&) {
  static const std::string text = json::print(whole_surface());
  return Reply{.body = text, .headers = {{"Cache-Control", "max-age=300"}}};
}

Result<Reply> get_page(const Request&, Services&) {
  static const std::string text = describe_page(whole_surface());
  return Reply{.body = text,
               .content_type = "text/html; charset=utf-8",
               .headers = {{"Content-Security-Policy",
                            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
                            "frame-ancestors 'none'"},
                           {"Referrer-Policy", "no-referrer"},
                           {"Cache-Control", "max-age=300"}}};
}

Result<Reply> get_style(const Request&, Services&) {
  return Reply{.body = std::string(kStyle),
               .content_type = "text/css; charset=utf-8",
               .headers = {{"Cache-Control", "max-age=300"}}};
}

}  // namespace

std::string describe_page(const json::Object& description) {
  std::string out =
      "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>Godwit: REST</title><link rel=\"stylesheet\" "
      "href=\"/docs/api.css\"></head><body><h1>Godwit: REST</h1><p>Version " +
      escaped(text_of(description.at("info").as_object(), "version")) +
      ". For programs: <a href=\"/openapi.json\">openapi.json</a>. Tokens: <code>Authorization: Bearer "
      "TOKEN</code>.</p><nav>";
  const auto anchor = [](std::string_view tag) {
    std::string id(tag);
    for (char& c : id) c = c == ' ' ? '-' : c;
    return escaped(id);
  };
  for (const auto& tag : description.at("tags").as_array()) {
    const std::string name = text_of(tag.as_object(), "name");
    out += "<a href=\"#" + anchor(name) + "\">" + escaped(name) + "</a>";
  }
  out += "<a href=\"#schemas\">Schemas</a></nav>\n";
  for (const auto& tag : description.at("tags").as_array()) {
    const std::string name = text_of(tag.as_object(), "name");
    out += "<h2 id=\"" + anchor(name) + "\">" + escaped(name) + "</h2><p>" +
           escaped(text_of(tag.as_object(), "description")) + "</p>\n";
    for (const auto& path : description.at("paths").as_object())
      for (const auto& method : path.value().as_object())
        if (std::string_view(method.value().as_object().at("tags").as_array().at(0).as_string()) == name)
          write_operation(out, path.key(), method.key(), method.value().as_object());
  }
  out += "<h2 id=\"schemas\">Schemas</h2>\n";
  for (const auto& schema : description.at("components").as_object().at("schemas").as_object())
    write_schema(out, schema.key(), schema.value().as_object());
  return out + "</body></html>\n";
}

const std::vector<Route>& openapi_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/openapi.json", Permission::none, get_openapi},
      {Method::get, "/docs/api", Permission::none, get_page},
      {Method::get, "/docs/api.css", Permission::none, get_style},
  };
  return routes;
}

}  // namespace godwit::api
