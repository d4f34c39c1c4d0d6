#include "planner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/manifest/update_manifest.hpp"

namespace godwit::manifest_steps {
namespace {

constexpr std::size_t kStepsLimit = 100;       // manifest_handler.h
constexpr std::size_t kComponentsLimit = 100;  // component_enumerator.h
constexpr ByteCount kTextLimit = 4 * manifest::kUpdateManifestLimit;

struct Refusal {
  ExtendedCode code = 0;
  std::string details{};
};
template <class T>
using Checked = tl::expected<T, Refusal>;

tl::unexpected<Refusal> refuse(ExtendedCode code, std::string details) {
  return tl::unexpected<Refusal>{Refusal{code, std::move(details)}};
}

Checked<manifest::UpdateManifest> read_manifest(std::string_view text, std::string_view what) {
  auto parsed = manifest::parse_update_manifest(text);
  if (parsed) return *std::move(parsed);
  const bool is_version = parsed.error().code == Code::unsupported;
  return refuse(is_version ? erc::manifest_version : erc::bad_manifest,
                fmt::format("{}: {}", what, parsed.error().message));
}

Checked<json::Object> read_object(std::string_view text, std::string_view what) {
  if (text.empty()) return json::Object{};
  auto object = json::parse_object(text, {.bytes = kTextLimit, .depth = 16});
  if (object) return *std::move(object);
  return refuse(erc::components_unknown, fmt::format("{}: {}", what, object.error().message));
}

json::Object to_json(const manifest::UpdateStep& step, std::string path) {
  json::Array files;
  for (const std::string& id : step.files) files.emplace_back(id);
  return {{"path", std::move(path)},
          {"handler", step.handler},
          {"files", std::move(files)},
          {"handlerProperties", step.handler_properties}};
}

/// A pair matches id, name, group, manufacturer, model or a property (component_enumerator.h).
bool matches(const json::Object& component, const CompatibilitySet& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&component](const auto& pair) {
    if (json::text_or_nothing(component, pair.first) == pair.second) return true;
    const auto* properties = json::object_or_null(component, "properties");
    return properties != nullptr && json::text_or_nothing(*properties, pair.first) == pair.second;
  });
}

std::string in_words(const CompatibilitySet& wanted) {
  std::string text;
  for (const auto& [name, value] : wanted) text += (text.empty() ? "" : ", ") + name + "=" + value;
  return text.empty() ? "anything" : text;
}

class Planner {
 public:
  explicit Planner(bool has_enumerator, json::Object components, json::Object children)
      : has_enumerator_(has_enumerator), components_(std::move(components)), children_(std::move(children)) {}

  Checked<json::Array> plan(const manifest::UpdateManifest& manifest) {
    for (std::size_t i = 0; i < manifest.steps.size(); ++i) {
      const manifest::UpdateStep& step = manifest.steps[i];
      const std::string path = fmt::format("step_{}", i);
      if (step.detached_manifest_file_id.empty()) {
        steps_.emplace_back(to_json(step, path));
      } else if (const auto added = add_child(step.detached_manifest_file_id, path); !added) {
        return tl::unexpected<Refusal>{added.error()};
      }
      if (steps_.size() > kStepsLimit)
        return refuse(erc::too_many_steps, fmt::format("the update has more than {} steps with its components ({} up "
                                                       "to step {} of {})",
                                                       kStepsLimit, steps_.size(), i + 1, manifest.steps.size()));
    }
    return std::move(steps_);
  }

 private:
  Checked<void> add_child(const std::string& file_id, const std::string& path) {
    const auto text = json::text_or_nothing(children_, file_id);
    if (!text)
      return refuse(erc::detached_manifest,
                    fmt::format("{} refers to another update, whose manifest {} was not handed over", path, file_id));
    const auto child = read_manifest(*text, fmt::format("{}: child manifest", path));
    if (!child) return tl::unexpected<Refusal>{child.error()};
    const bool refers_on = std::any_of(child->steps.begin(), child->steps.end(),
                                       [](const auto& step) { return !step.detached_manifest_file_id.empty(); });
    if (refers_on || !child->detached_manifest_file_id.empty())
      return refuse(erc::nested_reference,
                    fmt::format("{}: the update {} that it refers to refers to another one itself; references go one "
                                "level deep",
                                path, child->update_id.str()));
    if (!has_enumerator_) {
      add_steps(*child, path, nullptr);
      return {};
    }
    const auto selected = select(file_id, *child);
    if (!selected) return tl::unexpected<Refusal>{selected.error()};
    if (selected->empty())
      steps_.emplace_back(json::Object{
          {"path", path},
          {"skip",
           fmt::format("no component matches {}",
                       in_words(child->compatibility.empty() ? CompatibilitySet{} : child->compatibility[0]))}});
    for (std::size_t i = 0; i < selected->size(); ++i)
      add_steps(*child, fmt::format("{}/component_{}", path, i), (*selected)[i]);
    return {};
  }

  void add_steps(const manifest::UpdateManifest& child, const std::string& path, const json::Object* component) {
    for (std::size_t i = 0; i < child.steps.size(); ++i) {
      json::Object step = to_json(child.steps[i], fmt::format("{}/step_{}", path, i));
      if (component != nullptr) step["component"] = *component;
      steps_.emplace_back(std::move(step));
    }
  }

  /// Those that the enumerator selected for this child; else those that match its first compatibility set.
  Checked<std::vector<const json::Object*>> select(const std::string& file_id,
                                                   const manifest::UpdateManifest& child) const {
    const auto* list = json::find(components_, "components");
    if (list == nullptr || !list->is_array() || list->get_array().size() > kComponentsLimit)
      return refuse(erc::components_unknown,
                    fmt::format("the components are not a list of at most {} objects", kComponentsLimit));
    const auto* all = json::object_or_null(components_, "selected");
    const auto* ids = all != nullptr ? json::find(*all, file_id) : nullptr;
    std::vector<const json::Object*> selected;
    for (const json::Value& value : list->get_array()) {
      const auto* component = value.if_object();
      if (component == nullptr) return refuse(erc::components_unknown, "a component is not an object");
      const auto id = json::text_or_nothing(*component, "id");
      if (!id) return refuse(erc::components_unknown, "a component has no id");
      const bool is_selected =
          ids == nullptr || !ids->is_array()
              ? !child.compatibility.empty() && matches(*component, child.compatibility.front())
              : std::any_of(ids->get_array().begin(), ids->get_array().end(), [&id](const json::Value& one) {
                  return one.is_string() && std::string_view(one.get_string()) == *id;
                });
      if (is_selected) selected.push_back(component);
    }
    return selected;
  }

  bool has_enumerator_;
  json::Object components_;
  json::Object children_;
  json::Array steps_;
};

Checked<json::Array> make_plan(const Request& request) {
  const auto parsed = read_manifest(request.manifest, "update manifest");
  if (!parsed) return tl::unexpected<Refusal>{parsed.error()};
  if (!parsed->detached_manifest_file_id.empty())
    return refuse(erc::detached_manifest,
                  "the update manifest is detached (it names a file that holds the whole manifest); the whole one is "
                  "planned, not this");
  auto components = read_object(request.components, "components");
  if (!components) return tl::unexpected<Refusal>{components.error()};
  auto children = read_object(request.children, "child manifests");
  if (!children) return refuse(erc::detached_manifest, children.error().details);
  return Planner(!request.components.empty(), *std::move(components), *std::move(children)).plan(*parsed);
}

}  // namespace

Planned plan(const Request& request) {
  auto steps = make_plan(request);
  if (!steps) return {.answer = {}, .extended_code = steps.error().code, .details = steps.error().details};
  return {.answer = json::Object{{"steps", *std::move(steps)}}};
}

}  // namespace godwit::manifest_steps
