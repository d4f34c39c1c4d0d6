// Who signed an update, and whether devices believe it. Works inside a transaction of the store; safe from any thread.
#pragma once

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/model/update_id.hpp"
#include "core/trust/root_keys.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

/// One object for each version of the manifest that devices are offered, the newest first: the keys that the signature
/// names, and whether a device believes it that holds `roots` now. Errors: not_found.
[[nodiscard]] Result<json::Array> describe_signatures(store::Store& store, const UpdateId& id,
                                                      const trust::RootKeyPackage& roots, WallTime now);

}  // namespace godwit::service
