#include "server/hub/query/document.hpp"

namespace godwit::hub::query {

const json::Value* descend(const json::Value* value, std::span<const std::string> names) {
  for (const std::string& name : names) {
    if (value == nullptr || !value->is_object()) return nullptr;
    value = value->get_object().if_contains(name);
  }
  return value;
}

const json::Value* JsonDocument::find(const Path& path) {
  const json::Value* first = object_->if_contains(path.names[0]);
  return descend(first, std::span(path.names).subspan(1));
}

}  // namespace godwit::hub::query
