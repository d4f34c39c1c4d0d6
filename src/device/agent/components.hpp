// Which parts hang on this device: the registered component enumerator, asked for all of them and, for each update that
// a reference step names, for those that it is for. Blocking; belongs to the worker thread.
#pragma once

#include <map>
#include <stop_token>
#include <string>

#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/model/compatibility.hpp"
#include "device/agent/trouble.hpp"
#include "device/extension/process.hpp"

namespace godwit::agent {

inline constexpr std::size_t kComponentsLimit = 100;  // component_enumerator.h

/// Child manifest's file id -> its first compatibility set: what its components must be like.
using Selectors = std::map<std::string, CompatibilitySet>;

/// A port, so that tests need no extension.
class Components {
 public:
  virtual ~Components() = default;
  /// {"components":[...],"selected":{"<file id>":["<component id>",...]}} as manifest_handler.h has it; empty: this
  /// device has no enumerator. Trouble: components_unknown.
  [[nodiscard]] virtual Attempt<json::Object> ask(const Selectors& selectors, const std::stop_token& stop) = 0;
};

class ExtensionComponents final : public Components {
 public:
  ExtensionComponents(Path extensions_file, extension::Limits limits, Log& log)
      : extensions_file_(std::move(extensions_file)), limits_(limits), log_(log) {}
  [[nodiscard]] Attempt<json::Object> ask(const Selectors& selectors, const std::stop_token& stop) override;

 private:
  Path extensions_file_;
  extension::Limits limits_;
  Log& log_;
};

/// The list in an enumerator's answer, checked: at most kComponentsLimit objects, each with an id of its own. Errors:
/// invalid_argument with the place.
[[nodiscard]] Result<const json::Array*> components_of(const json::Object& answer);

}  // namespace godwit::agent
