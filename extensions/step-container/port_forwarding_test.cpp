#include "port_forwarding.hpp"

#include <gtest/gtest.h>

namespace godwit::step_container {
namespace {

// As podman 4.3.1 with netavark 1.4 leaves them: of "aa", whose start was killed, and of "bb", which runs at 10.88.0.3.
constexpr std::string_view kListing = R"(-P PREROUTING ACCEPT
-N NETAVARK-DN-1D8721804F16F
-A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
-A POSTROUTING -s 10.88.0.0/16 -j NETAVARK-1D8721804F16F
-A NETAVARK-DN-1D8721804F16F -s 10.88.0.0/16 -p tcp -m tcp --dport 8099 -j NETAVARK-HOSTPORT-SETMARK
-A NETAVARK-DN-1D8721804F16F -p tcp -m tcp --dport 8099 -j DNAT --to-destination 10.88.0.2:8080
-A NETAVARK-DN-1D8721804F16F -p tcp -m tcp --dport 8098 -j DNAT --to-destination 10.88.0.3:8080
-A NETAVARK-DN-1D8721804F16F -p udp -m udp --dport 5000:5010 -j DNAT --to-destination 10.88.0.2:6000-6010/5000
-A NETAVARK-HOSTPORT-DNAT -p tcp -m tcp --dport 8099 -m comment --comment "dnat name: podman id: aa" -j NETAVARK-DN-1D8721804F16F
-A NETAVARK-HOSTPORT-DNAT -p tcp -m tcp --dport 8098 -m comment --comment "dnat name: podman id: bb" -j NETAVARK-DN-1D8721804F16F
-A INPUT -p tcp -m tcp --dport 8099 -j DNAT --to-destination 10.88.0.9:1
)";
const std::vector<RunningContainer> kRunning{{.id = "bb", .addresses = {"10.88.0.3"}}};

using Rules = std::vector<std::vector<std::string>>;

TEST(PortForwarding, those_of_a_start_that_was_killed_are_deleted) {
  EXPECT_TRUE(has_forwarding(kListing, {{"tcp", 8099}}));
  EXPECT_EQ(deletions_of_stale_rules(kListing, {{"tcp", 8099}}, kRunning),
            (Rules{{"-t", "nat", "-D", "NETAVARK-DN-1D8721804F16F", "-p", "tcp", "-m", "tcp", "--dport", "8099", "-j",
                    "DNAT", "--to-destination", "10.88.0.2:8080"},
                   {"-t", "nat", "-D", "NETAVARK-HOSTPORT-DNAT", "-p", "tcp", "-m", "tcp", "--dport", "8099", "-m",
                    "comment", "--comment", "dnat name: podman id: aa", "-j", "NETAVARK-DN-1D8721804F16F"}}));
}

TEST(PortForwarding, those_to_a_container_that_runs_stay_and_so_do_other_ports_and_protocols) {
  EXPECT_TRUE(has_forwarding(kListing, {{"tcp", 8098}}));
  EXPECT_TRUE(deletions_of_stale_rules(kListing, {{"tcp", 8098}, {"udp", 8099}, {"tcp", 5001}}, kRunning).empty());
  EXPECT_FALSE(has_forwarding(kListing, {{"tcp", 80}, {"udp", 8099}}));
  EXPECT_FALSE(has_forwarding(kListing, {}));
}

TEST(PortForwarding, a_range_of_ports_is_one_way) {
  EXPECT_EQ(deletions_of_stale_rules(kListing, {{"udp", 5010}}, kRunning).size(), 1U);
  EXPECT_TRUE(deletions_of_stale_rules(kListing, {{"udp", 5011}}, kRunning).empty());
}

TEST(PortForwarding, an_address_of_version_6_is_in_brackets) {
  constexpr std::string_view kSix =
      "-A NETAVARK-DN-A -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::2]:8080\n";
  EXPECT_TRUE(deletions_of_stale_rules(kSix, {{"tcp", 80}}, {{.id = "bb", .addresses = {"fd00::2"}}}).empty());
  EXPECT_EQ(deletions_of_stale_rules(kSix, {{"tcp", 80}}, {{.id = "bb", .addresses = {"fd00::3"}}}).size(), 1U);
}

TEST(PortForwarding, text_that_is_no_listing_has_none) {
  for (const std::string_view text : {"", "-A", "-A \"", "\n\n", "-A NETAVARK-HOSTPORT-DNAT --dport", "nonsense \" -A"})
    EXPECT_FALSE(has_forwarding(text, {{"tcp", 8099}})) << text;
}

}  // namespace
}  // namespace godwit::step_container
