// Keys for the tests of this room: made once per test binary, because making RSA keys is slow.
#pragma once

#include <vector>

#include "core/trust/keys.hpp"

namespace godwit::trust {

/// The same three 2048-bit keys at every call: 0 and 1 play root keys, 2 the signing key.
inline const PrivateKey& test_key(std::size_t index) {
  static const std::vector<PrivateKey> keys = [] {
    std::vector<PrivateKey> made;
    for (int i = 0; i < 3; ++i) made.push_back(PrivateKey::generate(2048).value());
    return made;
  }();
  return keys.at(index);
}

}  // namespace godwit::trust
