#include "device/extension/command.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::extension {

namespace {

Result<std::map<std::string, std::string>> split_options(const std::vector<std::string>& words) {
  std::map<std::string, std::string> options;
  for (const std::string& word : words) {
    const auto sign = word.find('=');
    if (sign == std::string::npos)
      return fail(Code::invalid_argument,
                  fmt::format("--option {} is not written like name=value", word.substr(0, 80)));
    if (!options.emplace(word.substr(0, sign), word.substr(sign + 1)).second)
      return fail(Code::invalid_argument, fmt::format("--option {} is given twice", word.substr(0, sign)));
  }
  return options;
}

}  // namespace

void print_list(const Registry& registry, std::ostream& out) {
  out << fmt::format("{:<21} {:<32} {:<9} {:<8} {}\n", "TYPE", "ID", "CONTRACT", "NETWORK", "PATH");
  for (const Registration& entry : registry.list()) {
    const bool is_confined = entry.type == Type::step_handler || entry.type == Type::manifest_handler;
    const char* network = entry.network || entry.type == Type::content_downloader ? "yes" : is_confined ? "no" : "-";
    out << fmt::format("{:<21} {:<32} {:<9} {:<8} {}\n", type_name(entry.type), entry.id, entry.contract, network,
                       entry.path.string());
    for (const auto& [name, value] : entry.options) out << fmt::format("{:<21} option {}={}\n", "", name, value);
  }
}

Result<void> register_extension(const Path& file, const std::vector<Type>& allowed, const RegisterRequest& request,
                                std::ostream& out) {
  GODWIT_TRY(const Type type, parse_type(request.type));
  if (std::find(allowed.begin(), allowed.end(), type) == allowed.end()) {
    const bool belongs_to_installer = type == Type::step_handler || type == Type::manifest_handler;
    return fail(Code::invalid_argument, fmt::format("a {} runs in the other half: register it with {}", request.type,
                                                    belongs_to_installer ? "godwit-installer" : "godwit-agent"));
  }
  GODWIT_TRY(Registry registry, Registry::load(file));
  GODWIT_TRY(auto options, split_options(request.options));
  GODWIT_TRY(const Registration entry,
             registry.add(type, request.id, request.library, request.network, std::move(options)));
  out << fmt::format("registered {} {} (contract {}, sha256 {}) from {}\n", type_name(type), entry.id, entry.contract,
                     entry.sha256, entry.path.string());
  return {};
}

Result<void> list_extensions(const Path& file, std::ostream& out) {
  GODWIT_TRY(const Registry registry, Registry::load(file));
  print_list(registry, out);
  return {};
}

Result<void> remove_extension(const Path& file, std::string_view type, std::string_view id, std::ostream& out) {
  GODWIT_TRY(const Type parsed, parse_type(type));
  GODWIT_TRY(Registry registry, Registry::load(file));
  GODWIT_TRY_VOID(registry.remove(parsed, id));
  out << fmt::format("removed {} {}\n", type, id);
  return {};
}

}  // namespace godwit::extension
