#include "service_description.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "core/base/file.hpp"
#include "core/base/json.hpp"

namespace godwit::step_container {
namespace {

constexpr std::size_t kPropertiesLimit = 48 * 1024;
constexpr std::size_t kWordsLimit = 64;
constexpr std::size_t kTextLimit = 4096;
constexpr std::size_t kListLimit = 32;
constexpr std::int64_t kSecondsLimit = 3600;
constexpr std::int64_t kStopSecondsLimit = 600;
constexpr std::int64_t kMemoryLeast = std::int64_t{4} << 20;
constexpr std::int64_t kMemoryMost = std::int64_t{1} << 44;
constexpr std::int64_t kProcessesMost = 1'000'000;

// clang-format off
constexpr auto kKnown = std::to_array<std::string_view>({
    "name", "image", "arguments", "environment", "ports", "volumes", "devices", "network", "restart", "user",
    "memoryLimitBytes", "processLimit", "readOnlyRoot", "stopSeconds", "healthCommand", "deviceHealthCommand",
    "healthTimeoutSeconds", "healthTrySeconds", "steadySeconds", "installedCriteria", "restoreScope"});
// What the kernel and the system keep there is no data of a service.
constexpr auto kNeverShared = std::to_array<std::string_view>({"/proc", "/sys", "/dev", "/boot"});
// clang-format on

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool consists_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_letter(c) || is_digit(c) || others.find(c) != others.npos; });
}

tl::unexpected<Error> wrong(std::string_view what, std::string_view why) {
  return fail(Code::invalid_argument, fmt::format("{} {}", what, why));
}

/// A path as it stands in a word "source:target": absolute, plain, without what podman would split at.
bool is_mount_path(std::string_view path) {
  if (path.size() < 2 || path.size() > 1024 || path.front() != '/' || path.back() == '/') return false;
  if (path.find_first_of(":,") != path.npos) return false;
  for (std::size_t begin = 1; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (!is_plain_file_name(path.substr(begin, end - begin))) return false;  // ".." and "" neither
    begin = end + 1;
  }
  return true;
}

bool lies_in(std::string_view path, std::string_view folder) {
  return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

class Reader {
 public:
  explicit Reader(const json::Object& object, std::string where) : object_(object), where_(std::move(where)) {}

  [[nodiscard]] const json::Value* find(std::string_view key) const {
    const json::Value* value = json::find(object_, key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  [[nodiscard]] std::string place(std::string_view key) const {
    return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
  }
  [[nodiscard]] Result<std::string> text(std::string_view key, std::string otherwise) const {
    const json::Value* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_string() || value->get_string().empty() || value->get_string().size() > kTextLimit)
      return wrong(place(key), fmt::format("is no text of 1 to {} bytes", kTextLimit));
    return std::string(value->get_string());
  }
  [[nodiscard]] Result<std::int64_t> number(std::string_view key, std::int64_t least, std::int64_t most,
                                            std::int64_t otherwise) const {
    const json::Value* value = find(key);
    if (value == nullptr) return otherwise;
    const auto found = json::integer_or_nothing(object_, key);
    if (!found || *found < least || *found > most)
      return wrong(place(key), fmt::format("is not a whole number of {} to {}", least, most));
    return *found;
  }
  [[nodiscard]] Result<bool> yes_or_no(std::string_view key) const {
    const json::Value* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_bool()) return wrong(place(key), "is neither true nor false");
    return value->get_bool();
  }
  /// Null: it is not there.
  [[nodiscard]] Result<const json::Array*> list(std::string_view key, std::size_t most) const {
    const json::Value* value = find(key);
    if (value == nullptr) return nullptr;
    if (!value->is_array() || value->get_array().size() > most)
      return wrong(place(key), fmt::format("is no array of at most {}", most));
    return &value->get_array();
  }
  [[nodiscard]] Result<std::vector<std::string>> words(std::string_view key, std::size_t most) const {
    GODWIT_TRY(const json::Array* list, this->list(key, most));
    std::vector<std::string> words;
    if (list == nullptr) return words;
    for (const json::Value& word : *list) {
      if (!word.is_string() || word.get_string().size() > kTextLimit)
        return wrong(place(key), fmt::format("holds something that is no text of at most {} bytes", kTextLimit));
      words.emplace_back(word.get_string());
    }
    return words;
  }
  [[nodiscard]] Result<void> refuse_others(const auto& known) const {
    for (const auto& member : object_)
      if (std::find(known.begin(), known.end(), std::string_view(member.key())) == known.end())
        return wrong(place(std::string_view(member.key()).substr(0, 100)), "is no property of this handler");
    return {};
  }

 private:
  const json::Object& object_;
  std::string where_;
};

Result<std::string> one_of(const Reader& reader, std::string_view key, std::initializer_list<std::string_view> choices,
                           std::string otherwise) {
  GODWIT_TRY(std::string chosen, reader.text(key, std::move(otherwise)));
  if (std::find(choices.begin(), choices.end(), chosen) == choices.end())
    return wrong(reader.place(key), fmt::format("is none of {}", fmt::join(choices, ", ")));
  return chosen;
}

Result<std::vector<std::pair<std::string, std::string>>> environment_of(const Reader& reader) {
  std::vector<std::pair<std::string, std::string>> out;
  const json::Value* value = reader.find("environment");
  if (value == nullptr) return out;
  if (!value->is_object() || value->get_object().size() > kWordsLimit)
    return wrong("environment", fmt::format("is no object of at most {} members", kWordsLimit));
  for (const auto& member : value->get_object()) {
    const std::string_view name = member.key();
    if (name.empty() || name.size() > 128 || is_digit(name.front()) || !consists_of(name, "_"))
      return wrong("environment", fmt::format("has a member '{}' that is no name of a variable", name.substr(0, 100)));
    if (!member.value().is_string() || member.value().get_string().size() > kTextLimit)
      return wrong(fmt::format("environment.{}", name), fmt::format("is no text of at most {} bytes", kTextLimit));
    out.emplace_back(name, member.value().get_string());
  }
  return out;
}

Result<Port> port_of(const json::Value& value, const std::string& where) {
  constexpr auto kMembers = std::to_array<std::string_view>({"host", "container", "protocol", "address"});
  if (!value.is_object()) return wrong(where, "is no object");
  const Reader reader(value.get_object(), where);
  GODWIT_TRY_VOID(reader.refuse_others(kMembers));
  Port port;
  GODWIT_TRY(port.host, reader.number("host", 1, 65535, 0));
  GODWIT_TRY(port.container, reader.number("container", 1, 65535, port.host));
  if (port.host == 0) return wrong(where + ".host", "is missing");
  GODWIT_TRY(const std::string protocol, one_of(reader, "protocol", {"tcp", "udp"}, "tcp"));
  port.is_udp = protocol == "udp";
  GODWIT_TRY(port.address, reader.text("address", ""));
  if (port.address.size() > 45 || !consists_of(port.address, ".:"))
    return wrong(where + ".address", "is no address of an interface, such as 127.0.0.1");
  return port;
}

Result<Volume> volume_of(const json::Value& value, const std::string& where) {
  constexpr auto kMembers = std::to_array<std::string_view>({"source", "target", "readOnly"});
  if (!value.is_object()) return wrong(where, "is no object");
  const Reader reader(value.get_object(), where);
  GODWIT_TRY_VOID(reader.refuse_others(kMembers));
  Volume volume;
  GODWIT_TRY(volume.source, reader.text("source", ""));
  GODWIT_TRY(volume.target, reader.text("target", ""));
  GODWIT_TRY(volume.is_read_only, reader.yes_or_no("readOnly"));
  if (!is_service_name(volume.source) && !is_mount_path(volume.source))
    return wrong(where + ".source", "is neither a plain absolute path nor the name of a volume");
  for (const std::string_view folder : kNeverShared)
    if (lies_in(volume.source, folder))
      return wrong(where + ".source", fmt::format("lies in {}, which no container gets", folder));
  if (!is_mount_path(volume.target)) return wrong(where + ".target", "is no plain absolute path");
  return volume;
}

Result<void> read_lists(const Reader& reader, ServiceDescription& service) {
  GODWIT_TRY(const json::Array* ports, reader.list("ports", kListLimit));
  for (std::size_t i = 0; ports != nullptr && i < ports->size(); ++i) {
    GODWIT_TRY(Port port, port_of((*ports)[i], fmt::format("ports[{}]", i)));
    service.ports.push_back(std::move(port));
  }
  GODWIT_TRY(const json::Array* volumes, reader.list("volumes", kListLimit));
  std::set<std::string> targets;
  for (std::size_t i = 0; volumes != nullptr && i < volumes->size(); ++i) {
    GODWIT_TRY(Volume volume, volume_of((*volumes)[i], fmt::format("volumes[{}]", i)));
    if (!targets.insert(volume.target).second) return wrong(fmt::format("volumes[{}].target", i), "is there twice");
    service.volumes.push_back(std::move(volume));
  }
  GODWIT_TRY(service.devices, reader.words("devices", kListLimit));
  for (const std::string& device : service.devices)
    if (!is_mount_path(device) || !lies_in(device, "/dev") || device == "/dev")
      return wrong("devices",
                   fmt::format("holds '{}', which is no device such as /dev/ttyUSB0", device.substr(0, 100)));
  return {};
}

Result<Health> health_of(const Reader& reader) {
  Health health;
  GODWIT_TRY(health.in_container, reader.words("healthCommand", kWordsLimit));
  GODWIT_TRY(health.on_device, reader.words("deviceHealthCommand", kWordsLimit));
  if (!health.on_device.empty() && !health.on_device.front().starts_with('/'))
    return wrong("deviceHealthCommand", "does not begin with an absolute path");
  if (!health.in_container.empty() && (health.in_container.front().empty() || health.in_container.front()[0] == '-'))
    return wrong("healthCommand", "does not begin with a program");
  const auto seconds = [&](std::string_view key, std::int64_t least, std::int64_t most, std::chrono::seconds& value) {
    auto found = reader.number(key, least, most, value.count());
    if (found) value = std::chrono::seconds(*found);
    return found;
  };
  GODWIT_TRY_VOID(seconds("healthTimeoutSeconds", 1, kSecondsLimit, health.time));
  GODWIT_TRY_VOID(seconds("healthTrySeconds", 1, kSecondsLimit, health.one_try));
  GODWIT_TRY_VOID(seconds("steadySeconds", 0, kSecondsLimit, health.steady));
  return health;
}

Result<void> read_rest(const Reader& reader, ServiceDescription& service) {
  GODWIT_TRY(service.arguments, reader.words("arguments", kWordsLimit));
  GODWIT_TRY(service.environment, environment_of(reader));
  GODWIT_TRY(service.network, one_of(reader, "network", {"bridge", "host", "none"}, service.network));
  if (service.network != "bridge" && !service.ports.empty())
    return wrong("ports", "are published by the network 'bridge' only");
  GODWIT_TRY(service.restart, one_of(reader, "restart", {"always", "on-failure", "no"}, service.restart));
  GODWIT_TRY(service.user, reader.text("user", ""));
  if (service.user.size() > 64 || !consists_of(service.user, "_.:-") || service.user.starts_with('-'))
    return wrong("user", "is no user of the image, such as app or 1000:1000");
  GODWIT_TRY(service.memory, reader.number("memoryLimitBytes", kMemoryLeast, kMemoryMost, 0));
  GODWIT_TRY(service.processes, reader.number("processLimit", 1, kProcessesMost, 0));
  GODWIT_TRY(service.is_root_read_only, reader.yes_or_no("readOnlyRoot"));
  GODWIT_TRY(const std::int64_t stop, reader.number("stopSeconds", 1, kStopSecondsLimit, service.stop_time.count()));
  service.stop_time = std::chrono::seconds(stop);
  GODWIT_TRY(service.health, health_of(reader));
  return {};
}

}  // namespace

bool is_service_name(std::string_view name) {
  if (name.empty() || name.size() > 63 || !(is_letter(name.front()) || is_digit(name.front()))) return false;
  return std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; }) &&
         consists_of(name, "_.-");
}

Result<ServiceDescription> parse_description(std::string_view properties) {
  GODWIT_TRY(const json::Object object, json::parse_object(properties, {.bytes = kPropertiesLimit, .depth = 4}));
  const Reader reader(object, "");
  GODWIT_TRY_VOID(reader.refuse_others(kKnown));
  ServiceDescription service;
  GODWIT_TRY(service.name, reader.text("name", ""));
  if (!is_service_name(service.name))
    return wrong("name", "is no name of a service: lower case letters, digits, '_', '.', '-', at most 63");
  GODWIT_TRY(service.image, reader.text("image", ""));
  GODWIT_TRY_VOID(read_lists(reader, service));
  GODWIT_TRY_VOID(read_rest(reader, service));
  return service;
}

std::vector<std::string> create_words(const ServiceDescription& service, std::string_view image_id,
                                      std::string_view criteria, std::string_view token) {
  // Nothing is fetched, and whatever a value begins with, it is no option of its own. The installer is spared when
  // memory runs out; what it starts is not.
  std::vector<std::string> words{"create", "--pull=never", "--oom-score-adj=0"};
  const auto add = [&](std::string_view option, std::string_view value) {
    words.push_back(fmt::format("--{}={}", option, value));
  };
  add("network", service.network);
  if (service.network != "host") add("hostname", service.name);
  add("restart", service.restart);
  add("stop-timeout", std::to_string(service.stop_time.count()));
  for (const auto& [name, value] : service.environment) add("env", fmt::format("{}={}", name, value));
  for (const Port& port : service.ports) {
    const bool is_v6 = port.address.find(':') != std::string::npos;
    const std::string address = is_v6 ? "[" + port.address + "]" : port.address;
    add("publish", fmt::format("{}{}{}:{}/{}", address, address.empty() ? "" : ":", port.host, port.container,
                               port.is_udp ? "udp" : "tcp"));
  }
  for (const Volume& volume : service.volumes)
    add("volume", fmt::format("{}:{}:{}", volume.source, volume.target, volume.is_read_only ? "ro" : "rw"));
  for (const std::string& device : service.devices) add("device", device);
  if (!service.user.empty()) add("user", service.user);
  if (service.memory != 0) add("memory", fmt::format("{}b", service.memory));
  if (service.processes != 0) add("pids-limit", std::to_string(service.processes));
  if (service.is_root_read_only) words.emplace_back("--read-only");
  add("label", fmt::format("{}={}", kCriteriaLabel, criteria));
  add("label", fmt::format("{}={}", kTokenLabel, token));
  words.emplace_back(image_id);
  words.insert(words.end(), service.arguments.begin(), service.arguments.end());
  return words;
}

std::string print_words(const std::vector<std::string>& words) {
  json::Array list;
  for (const std::string& word : words) list.emplace_back(word);
  return json::print(json::Value(std::move(list)));
}

Result<std::vector<std::string>> parse_words(std::string_view text) {
  GODWIT_TRY(const json::Value value, json::parse(text, {.bytes = 2 * kPropertiesLimit, .depth = 2}));
  std::vector<std::string> words;
  if (value.is_array())
    for (const json::Value& word : value.get_array())
      if (word.is_string()) words.emplace_back(word.get_string());
  if (words.size() < 2 || words.front() != "create" || words.size() != value.get_array().size())
    return wrong(kWordsLabel, "does not tell how a container is made");
  return words;
}

}  // namespace godwit::step_container
