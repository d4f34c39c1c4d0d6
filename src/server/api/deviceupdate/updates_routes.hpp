// What other tables of this room share with the content family.
#pragma once

#include "server/api/services.hpp"

namespace godwit::api {

/// The update that provider, name and version of the path name. Errors: invalid_argument.
[[nodiscard]] Result<UpdateId> update_of(const Request& request);

/// POST updates:import. Items may name URLs or hold the manifest's text with its files uploaded before.
[[nodiscard]] Result<Reply> import_updates(const Request& request, Services& services);

}  // namespace godwit::api
