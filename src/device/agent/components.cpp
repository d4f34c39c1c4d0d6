#include "device/agent/components.hpp"

#include <set>

#include <fmt/format.h>

namespace godwit::agent {
namespace {

constexpr std::size_t kIdLimit = 128;

tl::unexpected<Trouble> unknown(std::string_view what, const std::string& why) {
  return trouble(erc::components_unknown, fmt::format("{}: {}", what, why));
}

}  // namespace

Result<const json::Array*> components_of(const json::Object& answer) {
  GODWIT_TRY(const json::Array* list, json::array(answer, "components", ""));
  if (list->size() > kComponentsLimit)
    return fail(Code::too_large,
                fmt::format("components has {} entries, allowed are {}", list->size(), kComponentsLimit));
  std::set<std::string> ids;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto* component = (*list)[i].if_object();
    const auto id = component != nullptr ? json::text_or_nothing(*component, "id") : std::nullopt;
    if (!id || id->empty() || id->size() > kIdLimit)
      return fail(Code::invalid_argument,
                  fmt::format("components[{}] is not an object with an id of 1 to {} bytes", i, kIdLimit));
    if (!ids.insert(*id).second)
      return fail(Code::invalid_argument, fmt::format("components[{}]: the id '{}' is there twice", i, *id));
  }
  return list;
}

Attempt<json::Object> ExtensionComponents::ask(const Selectors& selectors, const std::stop_token& stop) {
  const auto registry = extension::Registry::load(extensions_file_);
  if (!registry) return unknown("component enumerator", registry.error().message);
  const auto registration = registry->find_only(extension::Type::component_enumerator);
  if (!registration && registration.error().code == Code::extension_missing) return json::Object{};
  if (!registration) return unknown("component enumerator", registration.error().message);
  extension::Callbacks callbacks;
  callbacks.on_log = [this](LogLevel level, std::string_view line) {
    log_.write(level, "enumerator.says", {{"line", line}});
  };
  const auto call = [&](const json::Object& what, std::string_view doing) -> Attempt<json::Object> {
    const auto outcome = extension::run_extension(*registration, what, limits_, stop, callbacks);
    if (stop.stop_requested()) return stopped();
    if (!outcome) return unknown(doing, outcome.error().message);
    if (!outcome->ok()) return unknown(doing, outcome->details.empty() ? "it failed without a word" : outcome->details);
    return outcome->answer;
  };
  auto listed = call({{"verb", "list"}}, "list the components");
  if (!listed) return tl::unexpected<Trouble>{listed.error()};
  const auto all = components_of(*listed);
  if (!all) return unknown("list the components", all.error().message);
  json::Object selected;
  for (const auto& [file_id, selector] : selectors) {
    const auto answer =
        call({{"verb", "select"}, {"selector", to_json(selector)}}, "select the components for a referenced update");
    if (!answer) return tl::unexpected<Trouble>{answer.error()};
    const auto list = components_of(*answer);
    if (!list) return unknown("select the components for a referenced update", list.error().message);
    json::Array ids;
    for (const json::Value& component : **list) ids.emplace_back(*json::text_or_nothing(component.get_object(), "id"));
    selected[file_id] = std::move(ids);
  }
  return json::Object{{"components", **all}, {"selected", std::move(selected)}};
}

}  // namespace godwit::agent
