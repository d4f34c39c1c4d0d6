// Thousands of virtual devices on one epoll loop: dials, logs in with a SAS token, subscribes, keeps alive, dials again
// with backoff and jitter when a connection ends. What the devices say is the Workload's. One thread; owns the sockets.
#pragma once

#include <netinet/in.h>

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/base/random.hpp"
#include "core/mqtt/packets.hpp"
#include "tools/fleet/addresses.hpp"
#include "tools/fleet/device.hpp"
#include "tools/fleet/histogram.hpp"

namespace godwit::fleet {

struct FleetOptions {
  sockaddr_in hub{};
  std::string hub_name;                      // in user names and token scopes
  std::optional<SourceAddresses> sources{};  // nothing: the system chooses
  std::vector<std::string> filters;          // subscribed with QoS 0 unless the hub still has the session
  bool is_clean = false;
  std::chrono::seconds keep_alive{240};
  std::chrono::seconds token_lifetime{3600};
  std::size_t connecting = 128;    // connections between dial and ready at a time
  double connects_per_second = 0;  // 0: as fast as `connecting` allows
  Steady::duration login_time = std::chrono::seconds(30);
  Steady::duration smallest_backoff = std::chrono::milliseconds(500);
  Steady::duration largest_backoff = std::chrono::seconds(30);
};

/// What ready devices do. Called from the loop; may call Fleet::send.
class Workload {
 public:
  virtual ~Workload() = default;
  virtual void on_ready(Device& device) = 0;
  virtual void on_publish(Device& device, const mqtt::Publish& publish) = 0;
  virtual void on_lost(Device& device) = 0;  // it was ready before
  virtual void on_turn(Steady::time_point now) = 0;

  /// True: it speaks MQTT itself. Then the Fleet dials and does TLS, on_open() says CONNECT through send_bytes(), what
  /// comes goes to on_bytes(), and Fleet::become_ready() is for the workload to call. on_publish() is not called.
  [[nodiscard]] virtual bool speaks() const { return false; }
  virtual void on_open(Device& /*device*/) {}
  virtual void on_bytes(Device& /*device*/, std::string_view /*bytes*/) {}
  /// Lost, before it was ready too; on_lost() follows where it was.
  virtual void on_closed(Device& /*device*/) {}
};

struct FleetCounts {
  std::uint64_t connects = 0;                   // that became ready
  std::uint64_t lost = 0;                       // that were ready before
  std::uint64_t packets = 0;                    // taken in
  std::map<std::string, std::uint64_t> errors;  // by reason
};

class Fleet {
 public:
  Fleet(FleetOptions options, std::vector<Identity> identities, TlsClient& tls, Random& random);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  /// Errors: io_failed when the system gives no epoll.
  [[nodiscard]] Result<void> open();
  void set_workload(Workload* workload) { workload_ = workload; }
  /// Devices 0 to `count` - 1 are wanted connected from now on.
  void want(std::size_t count);
  /// Turns the loop until `is_done` says so (asked once a turn, at least every 20 ms).
  void run_until(const std::function<bool()>& is_done);
  /// Sends DISCONNECT where a device is ready and closes everything; nothing dials again.
  void close_all();

  /// Leaves at the end of this turn, together with what else is sent to the device.
  void send(Device& device, const mqtt::Packet& packet);
  void send_bytes(Device& device, std::string_view bytes);
  void disconnect(Device& device);  // says goodbye; the device becomes idle
  /// The session stands.
  void become_ready(Device& device);
  /// Closes the connection for a reason that is counted, and dials again after the backoff.
  void lose(Device& device, std::string reason);
  /// Closes the connection without a word, and dials again after `pause`. Not counted as an error or as lost; the
  /// workload hears nothing.
  void vanish(Device& device, Steady::duration pause);

  [[nodiscard]] std::size_t ready() const { return ready_; }
  [[nodiscard]] std::size_t wanted() const { return wanted_; }
  [[nodiscard]] std::vector<Device>& devices() { return devices_; }
  [[nodiscard]] const FleetCounts& counts() const { return counts_; }
  /// From dial to ready.
  [[nodiscard]] Histogram& connect_times() { return connect_times_; }

 private:
  void dial_some(Steady::time_point now);
  void dial(Device& device, Steady::time_point now);
  void on_event(Device& device, std::uint32_t events);
  void on_dialled(Device& device);
  void handshake(Device& device);
  void log_in(Device& device);
  void read(Device& device);
  void take(Device& device, std::string_view bytes);
  void on_packet(Device& device, const mqtt::Packet& packet);
  void flush(Device& device);
  void flush_all();
  void watch_writing(Device& device, bool on);
  void look_at_times(Steady::time_point now);
  void dial_again(Device& device, Steady::time_point at);
  void release(Device& device);
  void set_state(Device& device, State state);
  /// After a call of OpenSSL that returned <= 0: waits, or loses the device. False when it is lost.
  bool handle_tls(Device& device, int returned, std::string_view doing);

  FleetOptions options_;
  TlsClient& tls_;
  Random& random_;
  std::vector<Device> devices_;
  std::vector<std::uint32_t> unsent_;
  std::vector<char> scratch_;
  Workload* workload_ = nullptr;
  UniqueFd epoll_;
  FleetCounts counts_;
  Histogram connect_times_;
  std::size_t wanted_ = 0;
  std::size_t ready_ = 0;
  std::size_t in_login_ = 0;
  std::size_t next_idle_ = 0;
  double allowance_ = 0;  // dials that the rate still permits
  Steady::time_point last_dial_{};
  Steady::time_point next_look_{};
  std::vector<std::pair<Steady::time_point, std::uint32_t>> retries_;  // a heap, earliest on top
};

/// How long to wait after `failures` failures in a row: up to smallest * 2^(failures-1), never above largest, and at
/// least a quarter of that bound, spread evenly so that a fleet does not come back as one.
[[nodiscard]] Steady::duration backoff(unsigned failures, Steady::duration smallest, Steady::duration largest,
                                       Random& random);

}  // namespace godwit::fleet
