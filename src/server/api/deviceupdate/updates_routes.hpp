// What other tables of this room share with the content family.
#pragma once

#include "server/api/services.hpp"

namespace godwit::api {

/// POST updates:import. Items may name URLs or hold the manifest's text with its files uploaded before.
[[nodiscard]] Result<Reply> import_updates(const Request& request, Services& services);

}  // namespace godwit::api
