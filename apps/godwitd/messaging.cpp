#include "apps/godwitd/messaging.hpp"

#include "apps/godwitd/curl_post.hpp"
#include "server/api/iothub/query_pages.hpp"
#include "server/hub/query/parser.hpp"

namespace godwit::daemon {
namespace {

constexpr ByteCount kSmallFile = 64 * 1024;

[[nodiscard]] std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  for (const char c : random_bytes(8)) seed = (seed << 8) | static_cast<unsigned char>(c);
  return seed;
}

[[nodiscard]] Result<void> check_condition(const std::string& condition) {
  const auto parsed = hub::query::parse_condition(condition);
  return parsed ? Result<void>{} : with_context("condition", parsed.error());
}

}  // namespace

void Telemetry::start() const {
  if (webhook) webhook->start();
  feed->start();
}

Result<Telemetry> make_telemetry(const Config& config, Clock& clock, Log& log) {
  Telemetry made{.post = nullptr, .webhook = nullptr, .feed = std::make_unique<api::TelemetryFeed>(clock)};
  if (config.telemetry_webhook_url.empty()) return made;
  PostTarget target{.url = config.telemetry_webhook_url, .ca_file = config.telemetry_webhook_ca_file};
  if (!config.telemetry_webhook_token_file.empty()) {
    GODWIT_TRY(std::string token, read_file(config.telemetry_webhook_token_file, kSmallFile));
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
    target.token = Secret(std::move(token));
  }
  made.post = make_curl_post(std::move(target));
  made.webhook = std::make_unique<api::Webhook>(*made.post, log, random_seed());
  made.feed->set_sink([&webhook = *made.webhook](const api::TelemetryFeed::Text& text) { webhook.push(text); });
  return made;
}

api::HubDoors hub_doors(hub::Hub& hub) {
  return {
      .invoke = [&hub](hub::MethodCall call, hub::MethodDone done) { hub.invoke(std::move(call), std::move(done)); },
      .counters = [&hub] { return hub.counters(); },
      .messages = &hub.messages()};
}

hub::jobs::JobPorts job_ports(hub::Hub& hub, Clock& clock) {
  return {
      .check_condition = check_condition,
      .select = [&clock](store::Records& records, const std::string& condition, const std::string& after,
                         std::size_t size) -> Result<hub::jobs::Selection> {
        GODWIT_TRY(const auto parsed, hub::query::parse_condition(condition));
        GODWIT_TRY(const auto page, api::iothub::select_devices(records, parsed, after, size, clock));
        hub::jobs::Selection selection{.after = page.after};
        for (const IdentityId& id : page.ids) selection.ids.push_back(id.str());
        return selection;
      },
      .invoke = [&hub](hub::MethodCall call, hub::MethodDone done) { hub.invoke(std::move(call), std::move(done)); }};
}

}  // namespace godwit::daemon
