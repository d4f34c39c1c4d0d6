#include "script_call.hpp"

#include <fmt/format.h>

#include <array>

#include "core/base/file.hpp"
#include "core/model/outcome.hpp"

namespace godwit::step_script {
namespace {

constexpr std::size_t kArgumentsLimit = 8 * 1024;
constexpr std::size_t kCountLimit = 256;
constexpr std::string_view kNotKnown = "n/a";

std::vector<std::string> split_at_spaces(std::string_view text) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find(' ', at), text.size());
    if (end > at) parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string member_or_not_known(const json::Object& object, std::string_view key) {
  return json::text_or_nothing(object, key).value_or(std::string(kNotKnown));
}

struct Substitution {
  std::string_view word;
  std::string_view member;
};
constexpr auto kSubstitutions = std::to_array<Substitution>({
    {"--component-id-val", "id"},
    {"--component-name-val", "name"},
    {"--component-manufacturer-val", "manufacturer"},
    {"--component-model-val", "model"},
    {"--component-version-val", "version"},
    {"--component-group-val", "group"},
});

/// "--component-id-val" becomes the component's id; "--component-prop-val bus" becomes its property "bus".
std::vector<std::string> substitute(const std::vector<std::string>& words, const json::Object& component) {
  static const json::Object kNoProperties;
  const json::Object* properties = json::object_or_null(component, "properties");
  std::vector<std::string> out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--component-prop-val") {
      const bool has_key = i + 1 < words.size();
      out.push_back(has_key ? member_or_not_known(properties == nullptr ? kNoProperties : *properties, words[++i])
                            : std::string(kNotKnown));
      continue;
    }
    std::string value = words[i];
    for (const Substitution& s : kSubstitutions)
      if (words[i] == s.word) value = member_or_not_known(component, s.member);
    out.push_back(std::move(value));
  }
  return out;
}

CallOrRefusal refuse(std::uint32_t code, std::string details) {
  return {.call = {}, .refusal = {code, std::move(details)}};
}

/// A member that is a string or absent; nothing: it is something else.
std::optional<std::string> text_or_default(const json::Object& object, std::string_view key,
                                           std::string_view otherwise) {
  const json::Value* value = json::find(object, key);
  if (value == nullptr || value->is_null()) return std::string(otherwise);
  return json::text_or_nothing(object, key);
}

}  // namespace

std::string_view action_name(Action action) {
  switch (action) {
    case Action::is_installed: return "is-installed";
    case Action::download: return "download";
    case Action::install: return "install";
    case Action::apply: return "apply";
    case Action::cancel: return "cancel";
  }
  return "?";
}

CallOrRefusal make_call(Action action, std::string_view properties, const Surroundings& surroundings) {
  const auto object = json::parse_object(properties);
  if (!object) return refuse(erc::handler_refused, "handlerProperties: " + object.error().message);
  ScriptCall call;
  call.script_file_name = json::text_or_nothing(*object, "scriptFileName").value_or("");
  if (call.script_file_name.empty())
    return refuse(erc::script_no_file_name, "handlerProperties.scriptFileName is missing or no text");
  if (!is_plain_file_name(call.script_file_name))
    return refuse(erc::script_no_file_name, "handlerProperties.scriptFileName is not a plain file name");

  const auto api = text_or_default(*object, "apiVersion", "1.0");
  if (!api || (*api != "1.0" && *api != "1.1"))
    return refuse(erc::handler_refused, "handlerProperties.apiVersion is neither \"1.0\" nor \"1.1\"");
  const auto arguments = text_or_default(*object, "arguments", "");
  if (!arguments) return refuse(erc::handler_refused, "handlerProperties.arguments is no text");
  if (arguments->size() > kArgumentsLimit)
    return refuse(erc::handler_refused,
                  fmt::format("handlerProperties.arguments has more than {} bytes", kArgumentsLimit));
  const auto words = substitute(split_at_spaces(*arguments), surroundings.component);
  if (words.size() > kCountLimit)
    return refuse(erc::handler_refused, fmt::format("handlerProperties.arguments has more than {} words", kCountLimit));

  if (*api == "1.0")
    call.arguments = {fmt::format("--action-{}", action_name(action))};
  else
    call.arguments = {"--action", std::string(action_name(action))};
  const ExtraArguments& extra = surroundings.extra;
  call.arguments.insert(call.arguments.end(), extra.before.begin(), extra.before.end());
  call.arguments.insert(call.arguments.end(), words.begin(), words.end());
  call.arguments.insert(call.arguments.end(),
                        {"--work-folder", surroundings.work_folder, "--result-file", surroundings.result_file});
  if (surroundings.installed_criteria)
    call.arguments.insert(call.arguments.end(), {"--installed-criteria", *surroundings.installed_criteria});
  call.arguments.insert(call.arguments.end(), extra.after.begin(), extra.after.end());
  return {.call = std::move(call)};
}

}  // namespace godwit::step_script
