// The service that a step describes: read strictly from the handler's properties, turned into words for podman. Pure;
// safe from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::step_container {

/// Extended codes of this handler; the sentences are in the table of core/model.
namespace code {
inline constexpr std::uint32_t no_podman = 0x35000001, bad_properties = 0x35000002, bad_archive = 0x35000003,
                               other_platform = 0x35000004, cannot_make = 0x35000005, not_ours = 0x35000006,
                               cannot_start = 0x35000007, unhealthy = 0x35000008, restore_failed = 0x35000009;
}

/// Labels of each container that this handler makes.
inline constexpr std::string_view kCriteriaLabel = "org.godwit.installed-criteria";
inline constexpr std::string_view kTokenLabel = "org.godwit.token";   // of the step that made it
inline constexpr std::string_view kWordsLabel = "org.godwit.create";  // how to make it again: a JSON array of words

struct Port {
  std::string address{};  // of the device; empty: all
  std::int64_t host = 0;
  std::int64_t container = 0;
  bool is_udp = false;
};

struct Volume {
  std::string source{};  // an absolute path of the device, or the name of a volume
  std::string target{};
  bool is_read_only = false;
};

struct Health {
  std::vector<std::string> in_container{};  // words; empty: none
  std::vector<std::string> on_device{};
  std::chrono::seconds time{60};     // from the start until it must have become healthy
  std::chrono::seconds one_try{10};  // for one run of a command
  std::chrono::seconds steady{5};    // it stays healthy, and does not restart, for so long
};

struct ServiceDescription {
  std::string name{};
  std::string image{};  // name of the step's file; empty: its only one
  std::vector<std::string> arguments{};
  std::vector<std::pair<std::string, std::string>> environment{};
  std::vector<Port> ports{};
  std::vector<Volume> volumes{};
  std::vector<std::string> devices{};
  std::string network = "bridge";
  std::string restart = "always";
  std::string user{};
  std::int64_t memory = 0;     // bytes; 0: no limit
  std::int64_t processes = 0;  // 0: podman's own limit
  bool is_root_read_only = false;
  std::chrono::seconds stop_time{10};
  Health health{};
};

/// `properties` is the text of handlerProperties, at most 48 KiB. A member that is not known is refused.
/// Errors: bad_json, too_large, invalid_argument; the sentence names the member.
[[nodiscard]] Result<ServiceDescription> parse_description(std::string_view properties);

/// Lower case letters, digits and "_.-", beginning with a letter or digit, at most 63.
[[nodiscard]] bool is_service_name(std::string_view name);

/// The words after "podman" that make, and do not start, the service's container from the image of this id: without its
/// name, so that they are the same under every name.
[[nodiscard]] std::vector<std::string> create_words(const ServiceDescription& service, std::string_view image_id,
                                                    std::string_view criteria, std::string_view token);

/// The words as the value of kWordsLabel, and back. Errors of the way back: bad_json, invalid_argument.
[[nodiscard]] std::string print_words(const std::vector<std::string>& words);
[[nodiscard]] Result<std::vector<std::string>> parse_words(std::string_view text);

}  // namespace godwit::step_container
