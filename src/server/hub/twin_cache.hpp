// Twins as devices ask for them, ready to send, for those that ask often. Bounded; the least recently used goes first.
// Readers fill it from snapshots while the writer forgets what it changed: a ticket taken before the snapshot keeps an
// answer that was overtaken out. Safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "server/store/device_records.hpp"

namespace godwit::hub {

/// `{"desired":{...,"$version":n},"reported":{...,"$version":m}}`
struct TwinAnswer {
  std::string payload{};
  std::uint64_t desired_version = 0;
};
[[nodiscard]] TwinAnswer make_twin_answer(const store::TwinText& text);
/// `section` is a JSON object as the store keeps it, without $version.
[[nodiscard]] std::string with_version(std::string_view section, std::uint64_t version);

class TwinCache {
 public:
  /// `limit` in bytes of payload and bookkeeping; 0 keeps nothing.
  explicit TwinCache(std::size_t limit) : limit_(limit) {}

  /// nullptr: not here.
  [[nodiscard]] std::shared_ptr<const TwinAnswer> find(const std::string& id);
  /// Take it before the snapshot is read.
  [[nodiscard]] std::uint64_t ticket(const std::string& id) const;
  /// Keeps `answer` unless the twin was forgotten since `ticket`.
  void put(const std::string& id, std::shared_ptr<const TwinAnswer> answer, std::uint64_t ticket);
  void forget(const std::string& id);
  [[nodiscard]] std::size_t bytes() const;

 private:
  static constexpr std::size_t kBuckets = 4096;
  struct Slot {
    std::string id;
    std::shared_ptr<const TwinAnswer> answer;
  };
  using Slots = std::list<Slot>;
  [[nodiscard]] static std::size_t bucket(const std::string& id) { return std::hash<std::string>{}(id) % kBuckets; }
  [[nodiscard]] static std::size_t cost(const Slot& slot);
  void erase(Slots::iterator slot);

  const std::size_t limit_;
  mutable std::mutex mutex_;                                     // guards the rest
  Slots slots_;                                                  // most recently used first
  std::unordered_map<std::string_view, Slots::iterator> index_;  // keys live in the slots
  std::array<std::uint64_t, kBuckets> changes_{};
  std::size_t bytes_ = 0;
};

}  // namespace godwit::hub
