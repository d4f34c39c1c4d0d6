#include "server/hub/query/binding.hpp"

#include <algorithm>
#include <array>

#include "core/base/text.hpp"
#include "server/hub/query/lexer.hpp"

namespace godwit::hub::query {
namespace {

struct Member {
  std::string_view name;
  Root root;
};
// The members of a twin as operators see it. Some are never there in this hub: a query that asks for them is a query
// that finds nothing, not a mistake.
constexpr std::array<Member, 23> kMembers{{{"deviceId", Root::device_id},
                                           {"moduleId", Root::module_id},
                                           {"tags", Root::tags},
                                           {"properties", Root::properties},
                                           {"modelId", Root::head},
                                           {"etag", Root::head},
                                           {"deviceEtag", Root::head},
                                           {"version", Root::head},
                                           {"status", Root::head},
                                           {"statusReason", Root::head},
                                           {"statusUpdateTime", Root::head},
                                           {"statusUpdatedTime", Root::head},
                                           {"connectionState", Root::head},
                                           {"connectionStateUpdatedTime", Root::head},
                                           {"lastActivityTime", Root::head},
                                           {"cloudToDeviceMessageCount", Root::head},
                                           {"authenticationType", Root::head},
                                           {"x509Thumbprint", Root::head},
                                           {"capabilities", Root::head},
                                           {"deviceScope", Root::head},
                                           {"parentScopes", Root::head},
                                           {"configurations", Root::head},
                                           {"generationId", Root::head}}};

void drop_collection(std::vector<std::string>& names, Collection collection) {
  const auto drop = [&](std::string_view word) {
    if (names.size() > 1 && equal_in_any_case(names[0], word)) {
      names.erase(names.begin());
      return true;
    }
    return false;
  };
  if (!drop("devices")) return;
  if (collection == Collection::modules) drop("modules");
  if (collection == Collection::jobs) drop("jobs");
}

}  // namespace

std::string path_text(const Path& path) {
  std::string text;
  for (const std::string& name : path.names) {
    const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
      return (to_lower(c) >= 'a' && to_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
    });
    if (!text.empty()) text += '.';
    text += is_plain ? name : "[[" + name + "]]";
  }
  return text;
}

Result<void> bind_path(Path& path, Collection collection) {
  drop_collection(path.names, collection);
  if (collection == Collection::jobs) {
    path.root = Root::free;
    return {};
  }
  const auto* const member = std::find_if(kMembers.begin(), kMembers.end(), [&](const Member& candidate) {
    return equal_in_any_case(candidate.name, path.names[0]);
  });
  if (member == kMembers.end())
    return refuse_at(path.position, "twins have no member '" + path.names[0].substr(0, 80) +
                                        "'; paths begin with deviceId, tags, properties.desired, properties.reported, "
                                        "connectionState, status or another member of a twin");
  path.names[0] = member->name;
  path.root = member->root;
  if (path.root == Root::properties && path.names.size() > 1 && path.names[1] != "desired" &&
      path.names[1] != "reported")
    return refuse_at(path.position,
                     "properties has only the members desired and reported, not '" + path.names[1].substr(0, 80) + "'");
  return {};
}

Result<void> bind_expression(Expression& expression, Collection collection) {
  if (expression.kind == Kind::path) return bind_path(expression.path, collection);
  for (Expression& operand : expression.operands) GODWIT_TRY_VOID(bind_expression(operand, collection));
  return {};
}

}  // namespace godwit::hub::query
