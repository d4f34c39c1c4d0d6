// Waiting for desired patches: when each device saw its last one, by the wall clock, so that another program on this
// machine can tell how long a push took. Also `verify`: each device reads its twin and compares it with the ledger.
// One thread.
#pragma once

#include "tools/fleet/fleet.hpp"
#include "tools/fleet/ledger.hpp"

namespace godwit::fleet {

/// nullopt when `topic` announces no desired patch. The version is 0 when the topic has none.
[[nodiscard]] std::optional<std::uint64_t> read_desired_version(std::string_view topic);

class Watch final : public Workload {
 public:
  /// A device is done when it saw `expected` patches since start().
  Watch(Fleet& fleet, std::uint64_t expected);
  void start();
  [[nodiscard]] std::size_t done() const { return done_; }
  [[nodiscard]] std::uint64_t arrived() const { return arrived_; }
  [[nodiscard]] std::uint64_t out_of_order() const { return out_of_order_; }
  /// Unix time in microseconds; 0 before the first.
  [[nodiscard]] std::int64_t first_arrival() const { return first_; }
  [[nodiscard]] std::int64_t last_arrival() const { return last_; }
  /// Of each patch after start().
  [[nodiscard]] const Histogram& times() const { return times_; }

  void on_ready(Device& device) override;
  void on_publish(Device& device, const mqtt::Publish& publish) override;
  void on_lost(Device& device) override;
  void on_turn(Steady::time_point now) override;

 private:
  struct Seen {
    std::uint64_t count = 0;
    std::uint64_t version = 0;
  };
  std::vector<Seen> seen_;
  std::uint64_t expected_;
  bool is_started_ = false;
  Steady::time_point started_{};
  std::size_t done_ = 0;
  std::uint64_t arrived_ = 0;
  std::uint64_t out_of_order_ = 0;
  std::int64_t first_ = 0;
  std::int64_t last_ = 0;
  Histogram times_;
};

class Verify final : public Workload {
 public:
  Verify(Fleet& fleet, Ledger ledger) : fleet_(fleet), ledger_(std::move(ledger)) {}
  [[nodiscard]] std::size_t checked() const { return checked_; }
  /// The first hundred, one sentence each.
  [[nodiscard]] const std::vector<std::string>& broken() const { return broken_; }

  void on_ready(Device& device) override;
  void on_publish(Device& device, const mqtt::Publish& publish) override;
  void on_lost(Device& device) override;
  void on_turn(Steady::time_point now) override;

 private:
  Fleet& fleet_;
  Ledger ledger_;
  std::size_t checked_ = 0;
  std::vector<std::string> broken_;
};

/// What the twin document that a device gets says of the fleet's patches. Errors: bad_json.
[[nodiscard]] Result<Seen> read_seen(std::string_view twin);

}  // namespace godwit::fleet
