#include "server/hub/twin_cache.hpp"

#include <utility>

namespace godwit::hub {
namespace {

constexpr std::size_t kBookkeeping = 200;  // list node, index entry, control block

}  // namespace

std::string with_version(std::string_view section, std::uint64_t version) {
  GODWIT_CHECK(section.size() >= 2 && section.front() == '{' && section.back() == '}');
  std::string out(section.substr(0, section.size() - 1));
  if (out.size() > 1) out += ',';
  out += "\"$version\":";
  out += std::to_string(version);
  out += '}';
  return out;
}

TwinAnswer make_twin_answer(const store::TwinText& text) {
  std::string payload = "{\"desired\":";
  payload += with_version(text.desired, text.desired_version);
  payload += ",\"reported\":";
  payload += with_version(text.reported, text.reported_version);
  payload += '}';
  return {.payload = std::move(payload), .desired_version = text.desired_version};
}

std::size_t TwinCache::cost(const Slot& slot) {
  return slot.id.capacity() + slot.answer->payload.capacity() + kBookkeeping;
}

void TwinCache::erase(Slots::iterator slot) {
  bytes_ -= cost(*slot);
  index_.erase(slot->id);
  slots_.erase(slot);
}

std::shared_ptr<const TwinAnswer> TwinCache::find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(id);
  if (found == index_.end()) return nullptr;
  slots_.splice(slots_.begin(), slots_, found->second);
  return found->second->answer;
}

std::uint64_t TwinCache::ticket(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return changes_[bucket(id)];
}

void TwinCache::put(const std::string& id, std::shared_ptr<const TwinAnswer> answer, std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  if (changes_[bucket(id)] != ticket) return;
  if (const auto found = index_.find(id); found != index_.end()) erase(found->second);
  slots_.push_front(Slot{.id = id, .answer = std::move(answer)});
  bytes_ += cost(slots_.front());
  index_.emplace(slots_.front().id, slots_.begin());
  while (bytes_ > limit_) erase(std::prev(slots_.end()));
}

void TwinCache::forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  ++changes_[bucket(id)];
  if (const auto found = index_.find(id); found != index_.end()) erase(found->second);
}

std::size_t TwinCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace godwit::hub
