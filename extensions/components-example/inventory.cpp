#include "inventory.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/clock.hpp"

namespace godwit::components_example {
namespace {

constexpr ByteCount kFileLimit = 256 * 1024;
constexpr std::size_t kPartsLimit = 100;  // component_enumerator.h
constexpr std::size_t kAnswerLimit = 256;
constexpr Duration kPatience = std::chrono::seconds(2);

Result<void> look_at(json::Object& part, const std::string& where) {
  const auto id = json::text_or_nothing(part, "id");
  if (!id || id->empty() || id->size() > 128)
    return fail(Code::invalid_argument, fmt::format("{}: id is not a text of 1 to 128 bytes", where));
  auto* properties = part.if_contains("properties");
  if (properties == nullptr) return {};
  if (!properties->is_object()) return fail(Code::invalid_argument, fmt::format("{}: properties is no object", where));
  const auto socket = json::text_or_nothing(properties->get_object(), "socket");
  if (!socket) return {};
  const auto answer = ask_part(*socket, "version");
  properties->get_object()["state"] = answer ? "on-line" : "off-line";
  if (answer) part["version"] = *answer;
  return {};
}

bool matches(const json::Object& part, std::string_view name, std::string_view value) {
  if (json::text_or_nothing(part, name) == value) return true;
  const auto* properties = json::object_or_null(part, "properties");
  return properties != nullptr && json::text_or_nothing(*properties, name) == value;
}

}  // namespace

Result<json::Object> read_inventory(const Path& path) {
  GODWIT_TRY(const std::string text, read_file(path, kFileLimit));
  auto inventory = json::parse_object(text, {.bytes = kFileLimit, .depth = 8});
  if (!inventory) return with_context(path.string(), inventory.error());
  auto* list = inventory->if_contains("components");
  if (list == nullptr || !list->is_array() || list->get_array().size() > kPartsLimit)
    return fail(Code::invalid_argument,
                fmt::format("{}: components is not a list of at most {} parts", path.string(), kPartsLimit));
  for (std::size_t i = 0; i < list->get_array().size(); ++i) {
    json::Value& value = list->get_array()[i];
    const std::string where = fmt::format("{}: components[{}]", path.string(), i);
    if (!value.is_object()) return fail(Code::invalid_argument, where + " is not an object");
    GODWIT_TRY_VOID(look_at(value.get_object(), where));
  }
  return json::Object{{"components", std::move(*list)}};
}

json::Object select(const json::Object& inventory, const json::Object& selector) {
  json::Array selected;
  for (const json::Value& part : inventory.at("components").as_array()) {
    const bool fits = std::all_of(selector.begin(), selector.end(), [&part](const auto& pair) {
      return pair.value().is_string() && matches(part.get_object(), pair.key(), pair.value().get_string());
    });
    if (fits) selected.push_back(part);
  }
  return {{"components", std::move(selected)}};
}

Result<std::string> ask_part(const Path& socket, std::string_view line) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = socket.string();
  if (name.size() >= sizeof address.sun_path) return fail(Code::unavailable, "the socket's path is too long");
  std::memcpy(address.sun_path, name.data(), name.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(Code::unavailable, fmt::format("the part at {} is off-line: {}", name, std::strerror(errno)));
  const std::string request = std::string(line) + "\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return fail(Code::unavailable, fmt::format("the part at {} does not listen: {}", name, std::strerror(errno)));
  const SystemClock clock;
  const Duration end = clock.monotonic() + kPatience;
  std::string answer;
  while (answer.find('\n') == std::string::npos && answer.size() < kAnswerLimit) {
    const auto left = end - clock.monotonic();
    pollfd watched{fd.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) == 0)
      return fail(Code::timed_out, fmt::format("the part at {} does not answer", name));
    std::array<char, 128> bytes{};
    const ssize_t got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) return fail(Code::unavailable, fmt::format("the part at {} hung up", name));
    answer.append(bytes.data(), static_cast<std::size_t>(got));
  }
  return answer.substr(0, answer.find('\n'));
}

}  // namespace godwit::components_example
