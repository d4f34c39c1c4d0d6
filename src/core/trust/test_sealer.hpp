// For tests: a sealer with a known key.
#pragma once

#include "core/trust/sealer.hpp"

namespace godwit::trust {

[[nodiscard]] inline Sealer test_sealer() { return Sealer::from_key(Secret(std::string(32, 's'))).value(); }

}  // namespace godwit::trust
