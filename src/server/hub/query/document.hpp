// What a query is evaluated over: something that can be asked for the value at a path. The rows of a scan answer from
// columns and parse a section only when a path leads into it; a list of whole JSON documents is the simple case.
#pragma once

#include <span>
#include <string>

#include "core/base/json.hpp"
#include "server/hub/query/syntax.hpp"

namespace godwit::hub::query {

class Document {
 public:
  virtual ~Document() = default;
  /// The value at `path`, null when there is none. Valid until the document is changed or gone.
  [[nodiscard]] virtual const json::Value* find(const Path& path) = 0;
};

/// The member below `value` that `names` lead to, null when one of them is missing.
[[nodiscard]] const json::Value* descend(const json::Value* value, std::span<const std::string> names);

/// One whole JSON object, borrowed.
class JsonDocument final : public Document {
 public:
  explicit JsonDocument(const json::Object& object) : object_(&object) {}
  [[nodiscard]] const json::Value* find(const Path& path) override;

 private:
  const json::Object* object_;
};

}  // namespace godwit::hub::query
