// Randomness as a port, for jitter and sampling; keys and tokens come from random_bytes().
#pragma once

#include <cstdint>
#include <random>

namespace godwit {

class Random {
 public:
  virtual ~Random() = default;
  [[nodiscard]] virtual std::uint64_t below(std::uint64_t bound) = 0;  // 0 <= result < bound; bound > 0
};

/// Same seed, same sequence. One thread.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) override {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(engine_);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace godwit
