#include "server/hub/methods.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/json.hpp"

namespace godwit::hub {
namespace {

/// Printable ASCII without the separators that the original refuses, and without what no topic name may hold.
bool is_name_character(char c) {
  return c > ' ' && c < 0x7F && std::string_view("$()<>@,;:\\\"/[]?={}+#").find(c) == std::string_view::npos;
}

std::string seconds(Duration time) { return std::to_string(time.count() / 1000); }

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  // One text for one number: "007" is not ours.
  if (problem != std::errc{} || end != text.data() + text.size() || std::to_string(number) != text) return std::nullopt;
  return number;
}

Result<void> check_payload(std::string_view payload, const MethodLimits& limits) {
  if (payload.empty()) return {};
  if (payload.size() > limits.payload_bytes)
    return fail(Code::too_large, "the payload has " + std::to_string(payload.size()) + " bytes; " +
                                     std::to_string(limits.payload_bytes) + " are allowed");
  if (auto parsed = json::parse(payload, {.bytes = limits.payload_bytes, .depth = limits.payload_depth}); !parsed)
    return with_context("the payload", parsed.error());
  return {};
}

}  // namespace

Result<void> check_call(const MethodCall& call, const MethodLimits& limits) {
  if (call.method.empty() || call.method.size() > limits.name_bytes ||
      !std::all_of(call.method.begin(), call.method.end(), is_name_character))
    return fail(Code::invalid_argument, "a method name has 1 to " + std::to_string(limits.name_bytes) +
                                            " printable ASCII characters, without blanks and any of "
                                            "$ ( ) < > @ , ; : \\ \" / [ ] ? = { } + #");
  if (call.response_time < limits.shortest_response || call.response_time > limits.longest_response)
    return fail(Code::invalid_argument, "the response timeout is " + seconds(limits.shortest_response) + " to " +
                                            seconds(limits.longest_response) + " seconds");
  if (call.connect_time < Duration{0} || call.connect_time > limits.longest_connect)
    return fail(Code::invalid_argument, "the connect timeout is 0 to " + seconds(limits.longest_connect) + " seconds");
  return check_payload(call.payload, limits);
}

std::string method_topic(std::string_view method, std::string_view request_id) {
  return "$iothub/methods/POST/" + std::string(method) + "/?$rid=" + std::string(request_id);
}

MethodCalls::Message MethodCalls::begin(std::uint64_t number, Pending& pending, Duration now) {
  pending.is_sent = true;
  pending.deadline = now + pending.call.response_time;
  waiting_bytes_ -= pending.call.payload.size();
  return {.topic = method_topic(pending.call.method, std::to_string(number)),
          .payload = std::exchange(pending.call.payload, {})};
}

std::vector<MethodCalls::Message> MethodCalls::add(MethodCall call, MethodDone done, bool is_reachable, Duration now) {
  const auto refuse = [&](Code code, const std::string& why) {
    done(fail(code, why));
    return std::vector<Message>{};
  };
  if (!is_reachable && call.connect_time <= Duration{0})
    return refuse(Code::unavailable, "device '" + call.id.str() + "' is not connected or takes no methods");
  const auto known = by_device_.find(call.id.str());
  if (known != by_device_.end() && known->second.size() >= limits_.per_device)
    return refuse(Code::too_many, "device '" + call.id.str() + "' has " + std::to_string(limits_.per_device) +
                                      " calls open already; wait for one to end");
  if (calls_.size() >= limits_.overall ||
      (!is_reachable && waiting_bytes_ + call.payload.size() > limits_.waiting_bytes))
    return refuse(Code::too_many, "too many calls are open at this moment; try again soon");
  const std::uint64_t number = next_++;
  by_device_[call.id.str()].push_back(number);
  waiting_bytes_ += call.payload.size();
  Pending& pending = calls_.emplace(number, Pending{.call = std::move(call), .done = std::move(done)}).first->second;
  if (is_reachable) return {begin(number, pending, now)};
  pending.deadline = now + pending.call.connect_time;
  return {};
}

std::vector<MethodCalls::Message> MethodCalls::came(const IdentityId& id, Duration now) {
  std::vector<Message> messages;
  const auto known = by_device_.find(id.str());
  if (known == by_device_.end()) return messages;
  for (const std::uint64_t number : known->second) {
    Pending& pending = calls_.at(number);
    pending.lost = Duration{-1};
    if (!pending.is_sent) messages.push_back(begin(number, pending, now));
  }
  return messages;
}

void MethodCalls::went(const IdentityId& id, Duration now) {
  const auto known = by_device_.find(id.str());
  if (known == by_device_.end()) return;
  for (const std::uint64_t number : known->second)
    if (Pending& pending = calls_.at(number); pending.is_sent && pending.lost < Duration{0}) pending.lost = now;
}

bool MethodCalls::answer(const IdentityId& id, std::string_view request_id, std::int64_t status,
                         std::string_view payload) {
  const auto number = parse_number(request_id);
  const auto found = number ? calls_.find(*number) : calls_.end();
  if (found == calls_.end() || !found->second.is_sent || found->second.call.id != id) return false;
  if (auto checked = check_payload(payload, limits_); !checked)
    finish(found, fail(Code::bad_packet, "the device answered, but not as it should: " + checked.error().message));
  else
    finish(found, MethodAnswer{.status = status, .payload = std::string(payload)});
  return true;
}

void MethodCalls::sweep(Duration now) {
  const Error not_connected{Code::unavailable, "the device did not connect within the connect timeout"};
  const Error no_answer{Code::timed_out, "the device got the call and did not answer within the response timeout"};
  const Error gone{Code::timed_out, "the connection of the device ended before it answered"};
  end_those([&](const Pending& pending) -> const Error* {
    if (now >= pending.deadline) return pending.is_sent ? &no_answer : &not_connected;
    const bool is_gone = pending.lost >= Duration{0} && now - pending.lost >= limits_.absence;
    return is_gone ? &gone : nullptr;
  });
}

void MethodCalls::end_all(const Error& error) {
  end_those([&](const Pending&) { return &error; });
}

void MethodCalls::end_those(const std::function<const Error*(const Pending&)>& verdict) {
  // `done` may come back with a new call: those have larger numbers and are not looked at, but the map may change.
  const std::uint64_t end = next_;
  for (auto at = calls_.begin(); at != calls_.end() && at->first < end;) {
    const Error* const error = verdict(at->second);
    const std::uint64_t number = at->first;
    if (error != nullptr) finish(at, tl::unexpected<Error>{*error});
    at = calls_.upper_bound(number);
  }
}

void MethodCalls::finish(Calls::iterator at, Result<MethodAnswer> outcome) {
  Pending pending = std::move(at->second);
  waiting_bytes_ -= pending.call.payload.size();
  const auto known = by_device_.find(pending.call.id.str());
  std::erase(known->second, at->first);
  if (known->second.empty()) by_device_.erase(known);
  calls_.erase(at);
  pending.done(std::move(outcome));
}

}  // namespace godwit::hub
