// What the sr of a shared access signature covers: a hub, or a path below it. Apart from signature and expiry, which
// sas.hpp checks. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace godwit::trust {

struct SasScope {
  std::string hub;                // as written; hub names compare without case
  std::vector<std::string> path;  // segments; empty: all of the hub
};

/// "hub.example/devices/dev1" -> hub.example, {devices, dev1}. `scope` is decoded, as SasToken::scope is; one '/' at
/// the end adds nothing.
[[nodiscard]] SasScope split_scope(std::string_view scope);

/// True if the path of decoded segments is what the scope names or lies below it. Borders are segments: {devices, dev1}
/// covers {devices, dev1, modules} and not {devices, dev10}. A segment may be encoded once more than needed, as some
/// clients do with ids.
[[nodiscard]] bool covers(const SasScope& scope, const std::vector<std::string>& path);

}  // namespace godwit::trust
