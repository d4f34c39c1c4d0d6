#include "planner.hpp"

#include <fmt/format.h>

#include "core/manifest/update_manifest.hpp"
#include "core/model/outcome.hpp"

namespace godwit::manifest_steps {
namespace {

constexpr ExtendedCode kReferenceNotSupported = make_extended_code(3, 4, 0xA);

Planned refuse(ExtendedCode code, std::string details) {
  return {.answer = {}, .extended_code = code, .details = std::move(details)};
}

json::Object step_to_json(const manifest::UpdateStep& step, std::size_t index) {
  json::Array files;
  for (const std::string& id : step.files) files.emplace_back(id);
  return {{"path", fmt::format("step_{}", index)},
          {"handler", step.handler},
          {"files", std::move(files)},
          {"handlerProperties", step.handler_properties}};
}

}  // namespace

Planned plan(std::string_view manifest, std::string_view) {
  const auto parsed = manifest::parse_update_manifest(manifest);
  if (!parsed) {
    const bool is_version = parsed.error().code == Code::unsupported;
    return refuse(is_version ? erc::manifest_version : erc::bad_manifest, "update manifest: " + parsed.error().message);
  }
  if (!parsed->detached_manifest_file_id.empty())
    return refuse(erc::detached_manifest,
                  "the update manifest is detached (it names a file that holds the whole manifest); this version plans "
                  "whole manifests only");
  json::Array steps;
  for (std::size_t i = 0; i < parsed->steps.size(); ++i) {
    const manifest::UpdateStep& step = parsed->steps[i];
    if (!step.detached_manifest_file_id.empty())
      return refuse(kReferenceNotSupported, fmt::format("step {} refers to another update; this version plans inline "
                                                        "steps only: deploy the referenced update by itself",
                                                        i));
    steps.push_back(step_to_json(step, i));
  }
  return {.answer = json::Object{{"steps", std::move(steps)}}};
}

}  // namespace godwit::manifest_steps
