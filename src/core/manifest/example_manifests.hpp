// Example manifests for the tests of this room: one of everything that the format knows.
#pragma once

#include <fmt/format.h>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"

namespace godwit::manifest {

inline std::string hash_of(std::string_view content) { return base64_encode(godwit::sha256(content)); }

inline json::Object example_import_manifest() {
  const std::string text = fmt::format(R"({{
    "$schema": "https://json.schemastore.org/azure-deviceupdate-import-manifest-5.0.json",
    "updateId": {{"provider": "Contoso", "name": "Toaster", "version": "1.02.0"}},
    "description": "Warmer toast",
    "isDeployable": true,
    "compatibility": [{{"manufacturer": "Contoso", "model": "Toaster"}}],
    "instructions": {{"steps": [
      {{"type": "inline", "description": "image", "handler": "microsoft/swupdate:2", "files": ["toaster.swu", "ab.sh"],
        "handlerProperties": {{"scriptFileName": "ab.sh", "installedCriteria": "1.2.0"}}}},
      {{"type": "reference", "description": "motor", "updateId": {{"provider": "Contoso", "name": "Motor", "version": "2.0"}}}}]}},
    "files": [
      {{"filename": "toaster.swu", "sizeInBytes": 73400320, "hashes": {{"sha256": "{0}"}}, "properties": {{"colour": "red"}},
        "relatedFiles": [{{"filename": "toaster.diff", "sizeInBytes": 1290240, "hashes": {{"sha256": "{1}"}},
          "properties": {{"microsoft.sourceFileHashAlgorithm": "sha256", "microsoft.sourceFileHash": "{2}"}}}}],
        "downloadHandler": {{"id": "microsoft/delta:1"}}}},
      {{"filename": "ab.sh", "sizeInBytes": 5120, "hashes": {{"sha256": "{3}"}}}}],
    "manifestVersion": "5.0",
    "createdDateTime": "2026-11-22T10:00:00.0000000Z"}})",
                                       hash_of("swu"), hash_of("diff"), hash_of("source"), hash_of("sh"));
  return json::parse_object(text).value();
}

/// The member at `path`, e.g. at(manifest, "/files/0/hashes").
inline json::Value& at(json::Object& object, std::string_view path) {
  json::Value* value = nullptr;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string key(path.substr(0, path.find('/')));
    path.remove_prefix(key.size());
    if (value == nullptr)
      value = &object[key];
    else if (value->is_array())
      value = &value->as_array().at(std::stoul(key));
    else
      value = &value->as_object()[key];
  }
  return *value;
}

inline void remove(json::Object& object, std::string_view path) {
  const auto slash = path.rfind('/');
  json::Object& parent = slash == 0 ? object : at(object, path.substr(0, slash)).as_object();
  parent.erase(path.substr(slash + 1));
}

}  // namespace godwit::manifest
