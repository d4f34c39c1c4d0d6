// After a change of the signing key: what was imported before is signed with the new one, so that devices which know
// the old one as disabled take it. To be called before importer and planner start.
#pragma once

#include "core/base/log.hpp"
#include "server/service/import/prepare.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

/// Signs every offer whose signature is not of `identity`, in batches, and lets the planner send the goals of devices
/// in progress again. Nothing is written where all is signed; a call that was cut off is completed by the next. Errors:
/// sign_offer()'s and those of the store.
[[nodiscard]] Result<void> sign_anew(store::Store& store, const SigningIdentity& identity, Log& log);

}  // namespace godwit::service
