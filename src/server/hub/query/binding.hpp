// What the names of a path mean in a collection: "devices.deviceid" and "DeviceId" are deviceId, "tags.site" leads into
// the tags, "colour.x" is refused because no twin has it. Pure; safe from any thread.
#pragma once

#include "core/base/error.hpp"
#include "server/hub/query/syntax.hpp"

namespace godwit::hub::query {

/// Takes a leading "devices.", "devices.modules." or "devices.jobs." away, spells the first name as twins do and sets
/// the root. Errors: invalid_argument with the position.
[[nodiscard]] Result<void> bind_path(Path& path, Collection collection);

/// bind_path() for every path of an expression.
[[nodiscard]] Result<void> bind_expression(Expression& expression, Collection collection);

/// As people write it: "tags.location.[[a b]]".
[[nodiscard]] std::string path_text(const Path& path);

}  // namespace godwit::hub::query
