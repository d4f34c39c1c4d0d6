// The part of a Schema that reads environment variables.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/config.hpp"

namespace godwit::config {

std::string variable_of(std::string_view prefix, std::string_view key) {
  std::string name(prefix);
  for (const char c : key) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '.' ? '_' : c;
  return name;
}

Result<std::vector<std::string>> Schema::load_environment(std::string_view prefix,
                                                          const std::vector<std::string>& environment) {
  std::vector<std::string> names;
  for (const auto& key : keys_) names.push_back(variable_of(prefix, key.name));
  std::vector<std::string> applied;
  for (const std::string& entry : environment) {
    if (!entry.starts_with(prefix)) continue;
    const std::string name = entry.substr(0, entry.find('='));
    const auto known = std::find(names.begin(), names.end(), name);
    if (known == names.end()) {
      const auto close = nearest(name, names);
      return fail(Code::invalid_argument,
                  fmt::format("the environment variable {} belongs to no key{}", name.substr(0, 80),
                              close.empty() ? "; --print-config lists the keys" : "; did you mean " + close + "?"));
    }
    const auto& key = keys_[static_cast<std::size_t>(known - names.begin())];
    const std::string_view value =
        name.size() == entry.size() ? std::string_view{} : std::string_view(entry).substr(name.size() + 1);
    GODWIT_TRY_VOID(set(key.name, value, name));
    applied.push_back(name);
  }
  return applied;
}

}  // namespace godwit::config
