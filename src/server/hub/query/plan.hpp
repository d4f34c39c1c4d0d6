// What a scan of twins must look at, read off a condition alone: bounds on device ids, a tag that an index knows,
// columns that decide, and which sections of a twin anybody will ask for. A plan only leaves out documents that the
// condition would not select; the condition is still evaluated on every document that is left. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/hub/query/syntax.hpp"

namespace godwit::hub::query {

/// Parts of a stored twin.
struct Parts {
  bool head = false;  // anything of identity and session
  bool tags = false;
  bool desired = false;
  bool desired_metadata = false;
  bool reported = false;
  bool reported_metadata = false;
  bool section_versions = false;

  Parts& operator|=(const Parts& other);
  friend bool operator==(const Parts&, const Parts&) = default;
};

/// `tags.a.b = 'text'`: the name without "tags." and the text.
struct TagEquals {
  std::string name;
  std::string value;
  friend bool operator==(const TagEquals&, const TagEquals&) = default;
};

struct Plan {
  std::optional<std::vector<std::string>> ids{};  // sorted, each once: no other device
  std::string least{};                            // no id below it; "" = no bound
  std::string greatest{};                         // no id above it; "" = no bound
  std::optional<TagEquals> tag{};
  std::optional<bool> is_connected{};
  std::optional<bool> is_enabled{};
  Parts condition_parts{};  // what the condition reads
  Parts answer_parts{};     // what projections, aggregates and groups read; nothing with SELECT *
};

/// What the store's index of tags knows: names of up to this many levels, texts of up to this many bytes.
inline constexpr std::size_t kIndexedTagLevels = 3;
inline constexpr std::size_t kIndexedTagBytes = 256;

[[nodiscard]] Plan plan_of(const Query& query);
[[nodiscard]] Plan plan_of(const Condition& condition);

}  // namespace godwit::hub::query
