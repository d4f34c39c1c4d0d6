#include "core/trust/sas_scope.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"

namespace godwit::trust {

SasScope split_scope(std::string_view scope) {
  const std::size_t slash = std::min(scope.find('/'), scope.size());
  SasScope split{.hub = std::string(scope.substr(0, slash)), .path = {}};
  scope.remove_prefix(std::min(slash + 1, scope.size()));
  while (!scope.empty()) {
    const std::string_view segment = scope.substr(0, scope.find('/'));
    split.path.emplace_back(segment);  // an empty one equals no segment of a path, so it covers nothing
    scope.remove_prefix(std::min(segment.size() + 1, scope.size()));
  }
  return split;
}

bool covers(const SasScope& scope, const std::vector<std::string>& path) {
  if (scope.path.size() > path.size()) return false;
  for (std::size_t i = 0; i < scope.path.size(); ++i) {
    if (scope.path[i].empty()) return false;
    if (scope.path[i] != path[i] && percent_decode(scope.path[i]).value_or("") != path[i]) return false;
  }
  return true;
}

}  // namespace godwit::trust
