#include "tools/fleet/requests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

namespace godwit::fleet {
namespace {

constexpr std::string_view kAnswers = "$iothub/twin/res/";
constexpr std::size_t kLargestPerDevice = 16;  // a hub reads no more before it has answered some
constexpr std::chrono::seconds kOverdueLook{1};

/// The number after `name` in "?$rid=7&$version=3".
std::optional<std::uint64_t> parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (!part.starts_with(name) || part.size() <= name.size() || part[name.size()] != '=') continue;
    const std::string_view text = part.substr(name.size() + 1);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
  }
  return std::nullopt;
}

}  // namespace

std::optional<TwinAnswer> read_twin_answer(std::string_view topic) {
  if (!topic.starts_with(kAnswers)) return std::nullopt;
  topic.remove_prefix(kAnswers.size());
  TwinAnswer answer;
  const auto [end, error] = std::from_chars(topic.data(), topic.data() + topic.size(), answer.status);
  if (error != std::errc{}) return std::nullopt;
  topic.remove_prefix(static_cast<std::size_t>(end - topic.data()));
  if (!topic.starts_with("/?")) return std::nullopt;
  topic.remove_prefix(2);
  const auto request = parameter(topic, "$rid");
  if (!request) return std::nullopt;
  answer.request = *request;
  answer.version = parameter(topic, "$version").value_or(0);
  return answer;
}

RequestLoad::RequestLoad(Fleet& fleet, RequestOptions options, Random& random)
    : fleet_(fleet), options_(options), desks_(fleet.devices().size()), order_(fleet.devices().size()) {
  std::iota(order_.begin(), order_.end(), 0U);
  for (std::size_t left = order_.size(); left > 1; --left) std::swap(order_[left - 1], order_[random.below(left)]);
}

void RequestLoad::start() {
  is_started_ = true;
  allowance_ = 0;  // a rate begins now, not with what the time of connecting saved up
  last_turn_ = Steady::now();
}

void RequestLoad::on_ready(Device& /*device*/) {}

void RequestLoad::on_lost(Device& device) {
  Desk& desk = desks_[device.index];
  if (desk.pending.empty()) return;
  errors_["lost with the connection"] += desk.pending.size();
  in_flight_ -= desk.pending.size();
  desk.pending.clear();
}

void RequestLoad::on_turn(Steady::time_point now) {
  allowance_ += std::chrono::duration<double>(now - last_turn_).count() * options_.per_second;
  allowance_ = std::min(allowance_, static_cast<double>(options_.in_flight));
  last_turn_ = now;
  if (now >= next_overdue_look_) {
    next_overdue_look_ = now + kOverdueLook;
    drop_overdue(now);
  }
  send_some();
}

void RequestLoad::drop_overdue(Steady::time_point now) {
  for (Desk& desk : desks_) {
    const auto gone =
        std::erase_if(desk.pending, [&](const Pending& pending) { return now - pending.sent > options_.answer_time; });
    if (gone == 0) continue;
    errors_["no answer"] += gone;
    in_flight_ -= gone;
  }
}

void RequestLoad::send_some() {
  while (is_started_ && in_flight_ < options_.in_flight && (options_.per_second <= 0 || allowance_ >= 1)) {
    Device* device = next_device();
    if (device == nullptr) return;
    Desk& desk = desks_[device->index];
    fleet_.send(*device, make(*device, desk.next_request));
    desk.pending.push_back({.request = desk.next_request++, .sent = Steady::now()});
    ++in_flight_;
    allowance_ -= 1;
  }
}

Device* RequestLoad::next_device() {
  auto& devices = fleet_.devices();
  for (std::size_t tried = 0; tried < order_.size(); ++tried) {
    cursor_ = cursor_ + 1 < order_.size() ? cursor_ + 1 : 0;
    const std::uint32_t index = order_[cursor_];
    if (devices[index].state == State::ready && desks_[index].pending.size() < kLargestPerDevice)
      return &devices[index];
  }
  return nullptr;
}

void RequestLoad::on_publish(Device& device, const mqtt::Publish& publish) {
  const auto answer = read_twin_answer(publish.topic);
  if (!answer) return;
  auto& pending = desks_[device.index].pending;
  const auto found = std::find_if(pending.begin(), pending.end(),
                                  [&](const Pending& entry) { return entry.request == answer->request; });
  if (found == pending.end()) {
    ++errors_["an answer nobody asked for"];
    return;
  }
  times_.add(std::chrono::duration_cast<Microseconds>(Steady::now() - found->sent));
  pending.erase(found);
  --in_flight_;
  std::string problem =
      answer->status >= 300 ? fmt::format("status {}", answer->status) : take(device, *answer, publish);
  if (problem.empty())
    ++answered_;
  else
    ++errors_[problem];
}

// ---- twin GETs
// -------------------------------------------------------------------------------------------------------

mqtt::Publish TwinReads::make(Device& /*device*/, std::uint64_t request) {
  return {.topic = fmt::format("$iothub/twin/GET/?$rid={}", request)};
}

std::string TwinReads::take(Device& /*device*/, const TwinAnswer& answer, const mqtt::Publish& publish) {
  if (answer.status != 200) return fmt::format("status {}", answer.status);
  return publish.payload.starts_with('{') ? "" : "a twin that is no object";
}

// ---- reported patches
// ------------------------------------------------------------------------------------------------

Reports::Reports(Fleet& fleet, RequestOptions options, Random& random, std::size_t filler, std::uint64_t first_sequence,
                 LedgerWriter* ledger)
    : RequestLoad(fleet, options, random),
      filler_(filler, 'x'),
      first_sequence_(first_sequence),
      versions_(fleet.devices().size()),
      ledger_(ledger) {}

mqtt::Publish Reports::make(Device& /*device*/, std::uint64_t request) {
  return {.topic = fmt::format("$iothub/twin/PATCH/properties/reported/?$rid={}", request),
          .payload = fmt::format(R"({{"fleet":{{"sequence":{},"filler":"{}"}}}})", first_sequence_ + request, filler_)};
}

std::string Reports::take(Device& device, const TwinAnswer& answer, const mqtt::Publish& /*publish*/) {
  if (answer.status != 204) return fmt::format("status {}", answer.status);
  std::uint64_t& version = versions_[device.index];
  if (answer.version <= version) return "a version that did not rise";
  version = answer.version;
  if (ledger_ != nullptr)
    ledger_->note(device.identity.id.str(), {.sequence = first_sequence_ + answer.request, .version = answer.version});
  return {};
}

}  // namespace godwit::fleet
