// `extension register|list|remove`, the same for agent and installer. Blocking; prints to `out`.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "device/extension/registry.hpp"

namespace godwit::extension {

/// One line per extension: type, id, contract, network, path; aligned columns under a heading.
void print_list(const Registry& registry, std::ostream& out);

struct RegisterRequest {
  std::string type;
  std::string id;
  Path library;
  bool network = false;
  std::vector<std::string> options{};  // "name=value"
};
/// `allowed`: the types that this half runs. Errors: as Registry::add(); invalid_argument for a type of the other half,
/// naming it.
[[nodiscard]] Result<void> register_extension(const Path& file, const std::vector<Type>& allowed,
                                              const RegisterRequest& request, std::ostream& out);
[[nodiscard]] Result<void> list_extensions(const Path& file, std::ostream& out);
[[nodiscard]] Result<void> remove_extension(const Path& file, std::string_view type, std::string_view id,
                                            std::ostream& out);

}  // namespace godwit::extension
