// One virtual device: a socket, its TLS and the little that MQTT needs to remember. Idle it holds no buffer. It has no
// behaviour of its own; the Fleet moves it and a Workload tells it what to say. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/base/file.hpp"
#include "tools/fleet/keys.hpp"
#include "tools/fleet/tls_client.hpp"

namespace godwit::fleet {

using Steady = std::chrono::steady_clock;

enum class State : std::uint8_t {
  idle,         // not asked to connect
  waiting,      // lost or refused; dials again at retry_at
  dialling,     // TCP
  handshaking,  // TLS
  logging_in,   // CONNECT is sent
  subscribing,
  ready
};

struct Device {
  Device(std::uint32_t number, Identity who) : index(number), identity(std::move(who)) {}

  std::uint32_t index;
  Identity identity;
  State state = State::idle;
  bool waits_to_write = false;
  bool has_subscribed = false;  // in this run: a session that was kept from another may have other filters
  bool has_unsent = false;      // listed for the flush at the end of the turn
  std::uint16_t failures = 0;   // since it was last ready; sets the backoff
  UniqueFd socket;
  TlsHandle tls;
  std::string incoming;  // the beginning of a packet
  std::string outgoing;
  Steady::time_point since{};      // of `state`
  Steady::time_point begun{};      // of this connection
  Steady::time_point retry_at{};   // while waiting
  Steady::time_point last_sent{};  // for keep-alive
};

}  // namespace godwit::fleet
