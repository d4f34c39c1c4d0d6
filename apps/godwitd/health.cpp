#include "apps/godwitd/health.hpp"

#include "apps/godwitd/curl_handle.hpp"
#include "core/base/json.hpp"
#include "core/trust/certificates.hpp"

namespace godwit::daemon {
namespace {

constexpr long kWholeSeconds = 5;  // less than the pause between two checks of a container
constexpr ByteCount kSmallFile = 64 * 1024;
constexpr std::size_t kAnswerLimit = 64 * 1024;

std::size_t keep_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& body = *static_cast<std::string*>(user);
  if (body.size() + size * count > kAnswerLimit) return 0;
  body.append(data, size * count);
  return size * count;
}

struct Answer {
  long status = 0;
  std::string body{};
};

struct Place {
  std::string host{};     // a name that the certificate covers
  std::string address{};  // where the service listens, as seen from here
  std::uint16_t port = 0;
  Path certificate{};
};

/// The certificate's own name and no other authority: right with any certificate that the service can have.
[[nodiscard]] Result<Answer> get(const Place& place, const std::string& path) {
  const EasyHandle handle(curl_easy_init());
  GODWIT_CHECK(handle != nullptr);
  const std::string port = std::to_string(place.port);
  const std::string url = "https://" + place.host + ":" + port + path;
  const HeaderList there(curl_slist_append(nullptr, ("::" + place.address + ":" + port).c_str()));
  Answer answer;
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(handle.get(), CURLOPT_CONNECT_TO, there.get());
  curl_easy_setopt(handle.get(), CURLOPT_CAINFO, place.certificate.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT, kWholeSeconds);
  curl_easy_setopt(handle.get(), CURLOPT_USERAGENT, "godwitd-health/" GODWIT_VERSION);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, keep_body);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &answer.body);
  const CURLcode outcome = curl_easy_perform(handle.get());
  if (outcome != CURLE_OK)
    return fail(outcome == CURLE_PEER_FAILED_VERIFICATION ? Code::tls_failed
                : outcome == CURLE_OPERATION_TIMEDOUT     ? Code::timed_out
                                                          : Code::network_failed,
                "the service at port " + port +
                    " of this machine does not answer: " + (reason[0] != '\0' ? reason : curl_easy_strerror(outcome)));
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

[[nodiscard]] std::uint16_t port_in(std::string_view ports_file) {
  const auto ports = json::parse_object(ports_file);
  if (!ports) return 0;
  const auto* port = ports->if_contains("api");
  const auto* number = port == nullptr ? nullptr : port->if_int64();
  return number != nullptr && *number > 0 && *number <= 65535 ? static_cast<std::uint16_t>(*number) : 0;
}

/// Where to connect to a service that listens at `address`, as curl writes it.
[[nodiscard]] std::string as_seen_from_here(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  if (address == "::") return "[::1]";
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

/// What the service says about itself in an answer that is not 200.
[[nodiscard]] std::string words_of(const Answer& answer) {
  if (const auto body = json::parse_object(answer.body))
    if (const auto* error = body->if_contains("error"); error != nullptr && error->is_object())
      if (const auto* message = error->as_object().if_contains("message"); message != nullptr && message->is_string())
        return std::string(message->as_string());
  return "the service answers with " + std::to_string(answer.status);
}

}  // namespace

Result<void> check_health(const Config& config, const Layout& layout, HealthQuestion question) {
  const auto ports = read_file(layout.ports(), kSmallFile);
  const std::uint16_t port = ports ? port_in(*ports) : std::uint16_t{0};
  if (port == 0)
    return fail(Code::unavailable,
                "no service runs in '" + layout.data.string() + "', or it has not finished starting");
  GODWIT_TRY(const std::string pem, read_file(layout.server_certificate(), kSmallFile));
  auto name = trust::certificate_name(pem);
  if (!name) return with_context(layout.server_certificate().string(), name.error());
  if (name->starts_with("*.")) name->replace(0, 1, "health");
  const Place place{.host = *name,
                    .address = as_seen_from_here(config.api_address),
                    .port = port,
                    .certificate = layout.server_certificate()};
  GODWIT_TRY(const Answer answer, get(place, question == HealthQuestion::alive ? "/healthz" : "/readyz"));
  if (answer.status != 200) return fail(Code::unavailable, words_of(answer));
  return {};
}

}  // namespace godwit::daemon
