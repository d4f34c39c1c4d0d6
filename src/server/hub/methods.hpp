// Direct methods that wait for a device or for its answer: a table of calls, and what the next event makes of each.
// It sends nothing and reads no clock; the hub's loop asks it and acts. Bounded in calls and bytes.
// Belongs to the hub's loop; the values and check_call() are safe from any thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/model/ids.hpp"

namespace godwit::hub {

struct MethodLimits {
  std::size_t name_bytes = 128;
  std::size_t payload_bytes = 128 * 1024;  // each way
  std::size_t payload_depth = 32;
  std::size_t per_device = 16;
  std::size_t overall = 10'000;
  std::size_t waiting_bytes = 64 * 1024 * 1024;  // payloads of calls that wait for their device
  Duration shortest_response{5'000};
  Duration longest_response{300'000};
  Duration longest_connect{300'000};
  /// A device that renews its token is away for a moment and may still answer; after this long it will not.
  Duration absence{10'000};
};

struct MethodCall {
  IdentityId id;
  std::string method{};
  std::string payload{};  // JSON text, or empty
  Duration response_time{30'000};
  Duration connect_time{0};  // how long to wait for a device that is not there
};
struct MethodAnswer {
  std::int64_t status = 0;  // whatever the device says
  std::string payload{};    // JSON text, or empty
};
/// Called exactly once, on the hub's loop; must not block. Errors: invalid_argument and too_large (the call), too_many,
/// unavailable (the device is not connected or does not take methods), timed_out (it got the call and did not answer),
/// bad_packet (its answer is no JSON), cancelled (the hub stops).
using MethodDone = std::function<void(Result<MethodAnswer>)>;

/// Errors: invalid_argument, too_large, bad_json.
[[nodiscard]] Result<void> check_call(const MethodCall& call, const MethodLimits& limits);

/// `$iothub/methods/POST/{method}/?$rid={rid}`.
[[nodiscard]] std::string method_topic(std::string_view method, std::string_view request_id);

class MethodCalls {
 public:
  /// `first`: where request ids begin; another one after each start, so that late answers do not fit by accident.
  MethodCalls(const MethodLimits& limits, std::uint64_t first) : limits_(limits), next_(first) {}
  MethodCalls(const MethodCalls&) = delete;
  MethodCalls& operator=(const MethodCalls&) = delete;

  struct Message {
    std::string topic;
    std::string payload;
  };
  /// Takes a checked call. What is returned is to be sent now: nothing when the call was refused (`done` knows) or its
  /// device is not reachable and there is time to wait for it.
  [[nodiscard]] std::vector<Message> add(MethodCall call, MethodDone done, bool is_reachable, Duration now);
  /// The device is connected and takes methods: what waited for it is to be sent now.
  [[nodiscard]] std::vector<Message> came(const IdentityId& id, Duration now);
  /// Its connection has ended. A call it already got may still be answered by the next connection, for a while.
  void went(const IdentityId& id, Duration now);
  /// False: nobody waits for this answer (any more), or it is another device's.
  [[nodiscard]] bool answer(const IdentityId& id, std::string_view request_id, std::int64_t status,
                            std::string_view payload);
  /// Ends what has waited long enough.
  void sweep(Duration now);
  void end_all(const Error& error);

  [[nodiscard]] std::size_t pending() const { return calls_.size(); }
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_bytes_; }

 private:
  struct Pending {
    MethodCall call;  // its payload only until it is sent
    MethodDone done;
    bool is_sent = false;
    Duration deadline{};  // of the present wait
    Duration lost{-1};    // since when the device that got it is away; -1: it is there
  };
  using Calls = std::map<std::uint64_t, Pending>;

  [[nodiscard]] Message begin(std::uint64_t number, Pending& pending, Duration now);
  void finish(Calls::iterator at, Result<MethodAnswer> outcome);
  void end_those(const std::function<const Error*(const Pending&)>& verdict);

  const MethodLimits limits_;
  std::uint64_t next_;
  Calls calls_;  // by number, so in order of arrival
  std::unordered_map<std::string, std::vector<std::uint64_t>> by_device_;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace godwit::hub
