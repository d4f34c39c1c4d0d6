#include "tools/fleet/watch.hpp"

#include <fmt/format.h>

#include <charconv>

#include "core/base/json.hpp"
#include "tools/fleet/requests.hpp"

namespace godwit::fleet {
namespace {

constexpr std::string_view kDesired = "$iothub/twin/PATCH/properties/desired/";
constexpr std::string_view kVersion = "$version=";
constexpr std::size_t kBrokenShown = 100;

std::int64_t unix_microseconds() {
  return std::chrono::duration_cast<Microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::optional<std::uint64_t> read_desired_version(std::string_view topic) {
  if (!topic.starts_with(kDesired)) return std::nullopt;
  const auto at = topic.find(kVersion);
  if (at == std::string_view::npos) return 0;
  const std::string_view text = topic.substr(at + kVersion.size());
  std::uint64_t version = 0;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

Watch::Watch(Fleet& fleet, std::uint64_t expected) : seen_(fleet.devices().size()), expected_(expected) {}

void Watch::start() {
  is_started_ = true;
  started_ = Steady::now();
}

void Watch::on_ready(Device& /*device*/) {}
void Watch::on_lost(Device& /*device*/) {}
void Watch::on_turn(Steady::time_point /*now*/) {}

void Watch::on_publish(Device& device, const mqtt::Publish& publish) {
  const auto version = read_desired_version(publish.topic);
  if (!version) return;
  Seen& seen = seen_[device.index];
  // The same version may come again after a reconnect; it must never be an older one.
  if (*version < seen.version) ++out_of_order_;
  const bool is_new = *version > seen.version;
  seen.version = std::max(seen.version, *version);
  if (!is_started_ || !is_new) return;
  ++arrived_;
  last_ = unix_microseconds();
  if (first_ == 0) first_ = last_;
  times_.add(std::chrono::duration_cast<Microseconds>(Steady::now() - started_));
  if (++seen.count == expected_) ++done_;
}

// ---- verify
// ----------------------------------------------------------------------------------------------------------

Result<Seen> read_seen(std::string_view twin) {
  GODWIT_TRY(const auto document, json::parse_object(twin));
  Seen seen;
  const json::Object* reported = json::object_or_null(document, "reported");
  if (reported == nullptr) return fail(Code::bad_json, "the twin has no reported section");
  seen.version = static_cast<std::uint64_t>(json::integer_or_nothing(*reported, "$version").value_or(0));
  if (const json::Object* fleet = json::object_or_null(*reported, "fleet"))
    if (const auto sequence = json::integer_or_nothing(*fleet, "sequence"))
      seen.sequence = static_cast<std::uint64_t>(*sequence);
  return seen;
}

void Verify::on_ready(Device& device) { fleet_.send(device, mqtt::Publish{.topic = "$iothub/twin/GET/?$rid=1"}); }

void Verify::on_publish(Device& device, const mqtt::Publish& publish) {
  const auto answer = read_twin_answer(publish.topic);
  const auto promise = ledger_.find(device.identity.id.str());
  if (!answer || promise == ledger_.end()) return;
  const auto seen = answer->status == 200
                        ? read_seen(publish.payload)
                        : Result<Seen>(fail(Code::bad_json, fmt::format("status {}", answer->status)));
  const std::string problem = seen ? broken_promise(promise->second, *seen) : seen.error().message;
  if (!problem.empty() && broken_.size() < kBrokenShown) broken_.push_back(device.identity.id.str() + ": " + problem);
  ++checked_;
  ledger_.erase(promise);
}

void Verify::on_lost(Device& /*device*/) {}
void Verify::on_turn(Steady::time_point /*now*/) {}

}  // namespace godwit::fleet
