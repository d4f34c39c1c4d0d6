// Twin requests of a fleet, in a closed loop: a number of them is always unanswered, spread over all ready devices in a
// shuffled order, so that neighbours in a database are not asked one after the other; or at a given rate. Answers are
// matched by their request id. One thread; lives as long as its Fleet's run.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/fleet/fleet.hpp"
#include "tools/fleet/ledger.hpp"

namespace godwit::fleet {

struct RequestOptions {
  std::size_t in_flight = 256;  // unanswered requests of the whole fleet
  double per_second = 0;        // 0: as fast as answers come
  Steady::duration answer_time = std::chrono::seconds(60);
};

/// "$iothub/twin/res/204/?$rid=7&$version=3" taken apart.
struct TwinAnswer {
  unsigned status = 0;
  std::uint64_t request = 0;
  std::uint64_t version = 0;  // 0 without one
};
/// nullopt for any other topic and for a request id that is no number.
[[nodiscard]] std::optional<TwinAnswer> read_twin_answer(std::string_view topic);

class RequestLoad : public Workload {
 public:
  RequestLoad(Fleet& fleet, RequestOptions options, Random& random);
  /// Requests are sent from now on, and answers counted.
  void start();
  /// Nothing new is sent; answers still come in and are counted.
  void stop() { is_started_ = false; }

  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  [[nodiscard]] const Histogram& times() const { return times_; }
  /// Failures by reason: status numbers, "no answer", "lost with the connection".
  [[nodiscard]] const std::map<std::string, std::uint64_t>& errors() const { return errors_; }

  void on_ready(Device& device) override;
  void on_publish(Device& device, const mqtt::Publish& publish) override;
  void on_lost(Device& device) override;
  void on_turn(Steady::time_point now) override;

 protected:
  [[nodiscard]] virtual mqtt::Publish make(Device& device, std::uint64_t request) = 0;
  /// A success. Returns "" or why it is none after all.
  [[nodiscard]] virtual std::string take(Device& device, const TwinAnswer& answer, const mqtt::Publish& publish) = 0;

 private:
  struct Pending {
    std::uint64_t request = 0;
    Steady::time_point sent{};
  };
  struct Desk {  // of one device
    std::uint64_t next_request = 1;
    std::vector<Pending> pending{};
  };
  void send_some();
  [[nodiscard]] Device* next_device();
  void drop_overdue(Steady::time_point now);

  Fleet& fleet_;
  RequestOptions options_;
  std::vector<Desk> desks_;
  std::vector<std::uint32_t> order_;  // of devices
  std::size_t in_flight_ = 0;
  std::size_t cursor_ = 0;
  double allowance_ = 0;
  Steady::time_point last_turn_{};
  Steady::time_point next_overdue_look_{};
  bool is_started_ = false;
  std::uint64_t answered_ = 0;
  Histogram times_;
  std::map<std::string, std::uint64_t> errors_;
};

/// Twin GETs.
class TwinReads final : public RequestLoad {
 public:
  using RequestLoad::RequestLoad;

 private:
  mqtt::Publish make(Device& device, std::uint64_t request) override;
  std::string take(Device& device, const TwinAnswer& answer, const mqtt::Publish& publish) override;
};

/// Reported patches with a rising sequence; each acknowledged version must be above the one before.
class Reports final : public RequestLoad {
 public:
  /// `filler` bytes are added to each patch. `ledger` may be null.
  Reports(Fleet& fleet, RequestOptions options, Random& random, std::size_t filler, std::uint64_t first_sequence,
          LedgerWriter* ledger);

 private:
  mqtt::Publish make(Device& device, std::uint64_t request) override;
  std::string take(Device& device, const TwinAnswer& answer, const mqtt::Publish& publish) override;

  std::string filler_;
  std::uint64_t first_sequence_;
  std::vector<std::uint64_t> versions_;  // last acknowledged, by device
  LedgerWriter* ledger_;
};

}  // namespace godwit::fleet
