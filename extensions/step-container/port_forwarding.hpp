// The rules that forward the device's ports to containers, as podman 4 makes them (netavark with iptables). A podman
// that was killed while it started a container leaves them for good, and they lead connections astray.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace godwit::step_container {

/// A port of the device that a container publishes: "tcp" or "udp", and its number.
struct PublishedPort {
  std::string protocol{};
  int number = 0;
};

/// A container that runs keeps its rules.
struct RunningContainer {
  std::string id{};
  std::vector<std::string> addresses{};
};

/// Of `listing`, what "iptables -t nat -S" prints: does netavark forward one of these ports?
[[nodiscard]] bool has_forwarding(std::string_view listing, const std::vector<PublishedPort>& ports);

/// Of the same, the rules that forward one of these ports to none of the running containers: for each the arguments of
/// iptables that delete it.
[[nodiscard]] std::vector<std::vector<std::string>> deletions_of_stale_rules(
    std::string_view listing, const std::vector<PublishedPort>& ports, const std::vector<RunningContainer>& running);

}  // namespace godwit::step_container
