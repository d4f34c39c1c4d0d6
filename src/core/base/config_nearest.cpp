// What somebody may have meant by a word that is none.
#include <algorithm>
#include <utility>

#include "core/base/config.hpp"

namespace godwit::config {

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const auto distance = [&](std::string_view other) {
    std::vector<std::size_t> row(other.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      auto diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j < row.size(); ++j) {
        const auto substituted = diagonal + (word[i - 1] == other[j - 1] ? 0 : 1);
        diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, substituted}));
      }
    }
    return row.back();
  };
  std::string best;
  std::size_t best_distance = std::size_t(-1);
  if (word.size() > 200) return best;  // nobody mistypes that much
  for (const auto& candidate : candidates) {
    const auto d = distance(candidate);
    if (d < best_distance && d <= candidate.size() / 2) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace godwit::config
