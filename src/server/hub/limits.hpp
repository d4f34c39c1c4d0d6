// Every bound the hub puts on strangers and devices, with its default. A value set, copied once at start.
#pragma once

#include <cstddef>

#include "core/base/clock.hpp"
#include "server/hub/cloud_messages.hpp"
#include "server/hub/methods.hpp"

namespace godwit::hub {

struct Limits {
  // Sizes.
  std::size_t connect_packet_bytes = 32 * 1024;           // before a device is known, memory is dearer
  std::size_t packet_bytes = 256 * 1024 + 4 * 1024;       // telemetry of 256 KiB, its topic and header
  std::size_t payload_bytes = 256 * 1024;                 // of one PUBLISH
  std::size_t property_bytes = 16 * 1024;                 // of one message, as written
  std::size_t outgoing_bytes = 1024 * 1024;               // unsent bytes at which a slow reader is dropped
  std::size_t outgoing_high_water = 64 * 1024;            // unsent bytes at which no more requests are read
  std::size_t websocket_frame_bytes = 1024 * 1024;        // what one frame may announce; it is never held whole
  std::size_t websocket_message_bytes = 4 * 1024 * 1024;  // all fragments of one message

  std::size_t twin_cache_bytes = 8 * 1024 * 1024;  // twins kept ready for devices that ask often

  // Times.
  Duration handshake_time{10'000};           // from accept to the end of the TLS handshake
  Duration connect_time{10'000};             // from there to a whole CONNECT
  Duration authentication_time{30'000};      // from CONNECT to CONNACK; longer means the store is in trouble
  Duration flush_time{5'000};                // for the last bytes of a connection that is being ended
  Duration write_stall_time{60'000};         // a peer that takes no byte for so long is dropped
  Duration largest_keep_alive{1'767'000};    // silence allowed at most, also when keep-alive is 0 or larger
  Duration clock_slack{300'000};             // how late an expired token is still taken: device clocks are off
  Duration activity_save_interval{300'000};  // how often the last activity of live devices is written down
  Duration connection_news_delay{200};       // how long beginnings and ends of connections are gathered for one write
  Duration subscription_delay{5};            // the same for subscriptions, which are durable before their SUBACK
  Duration sweep_interval{1'000};            // how often times are looked at
  Duration visit_time{600'000};              // a device without an identity has so long to register

  // Counts.
  std::size_t connections = 100'000;
  std::size_t connections_per_address = 20'000;  // whole sites stand behind one address
  std::size_t handshakes_in_flight = 256;        // TLS handshakes at a time; then newcomers wait in the kernel's queue
  std::size_t connects_per_second = 5'000;       // overall, after a burst of one second's worth; more wait as well
  std::size_t connects_per_address = 500;        // a second, from one address; more are closed before TLS
  std::size_t connects_burst_of_address = 4'000;
  std::size_t connects_in_flight = 4'000;        // authentications at a time; more are answered "unavailable"
  std::size_t in_flight_per_device = 16;         // unanswered requests of one device; then its socket is left unread
  std::size_t bad_credentials_per_address = 50;  // within bad_credentials_window; then the address is shut out
  Duration bad_credentials_window{60'000};
  Duration bad_credentials_pause{30'000};
  std::size_t takeovers_per_device = 10;  // within takeover_window; two devices with one identity evict each other
  Duration takeover_window{60'000};
  std::size_t tracked_addresses = 65'536;  // addresses with failures that are remembered
  std::size_t visit_requests = 100;        // of one device without an identity, until it connects again
  std::size_t visit_payload_bytes = 64 * 1024;

  MethodLimits methods{};
  CloudMessageLimits messages{};
};

}  // namespace godwit::hub
