// For tests of the hub's routes: a real rim and a real store with the hub's own registry, and one client.
#pragma once

#include "server/api/test_rig.hpp"
#include "server/hub/registry.hpp"

namespace godwit::api {

class NobodyWatches final : public hub::TwinObserver {
 public:
  Result<void> on_created(store::Records&, const IdentityId&) override { return {}; }
  Result<void> on_removed(store::Records&, const IdentityId&) override { return {}; }
  Result<void> on_reported(store::Records&, const IdentityId&, const twin::Twin&, const json::Object&) override {
    return {};
  }
  Result<void> on_tags(store::Records&, const IdentityId&, const twin::Twin&) override { return {}; }
  Result<void> on_model(store::Records&, const IdentityId&, const std::string&) override { return {}; }
};

inline Router hub_router() {
  Router router;
  router.add(iothub_routes());
  router.add(iothub_message_routes());
  router.add(godwit_hub_routes());
  router.add(godwit_tag_routes());
  return router;
}

class HubApiTest : public ::testing::Test {
 protected:
  Answer call(std::string_view method, const std::string& path, std::string_view body = {},
              std::string_view fields = {}) {
    const std::string separator = path.find('?') == std::string::npos ? "?" : "&";
    return client_.send(request_text(method, path + separator + "api-version=2021-04-12", token_, body, fields));
  }
  static json::Object object(const Answer& answer) { return json::parse_object(answer.body).value_or(json::Object{}); }
  static std::string error_word(const Answer& answer) {
    const std::string message = json::text_or_nothing(object(answer), "Message").value_or("");
    return message.substr(0, message.find(';'));
  }

  /// Newest first.
  std::vector<store::AuditEvent> audit_trail() {
    std::vector<store::AuditEvent> events;
    const auto job = [&](store::Records& records) -> Result<void> {
      GODWIT_TRY(events, records.access().list_audit(0, 10));
      return {};
    };
    EXPECT_TRUE(rig_.store->read(job));
    return events;
  }

  SystemClock clock_;
  NobodyWatches observer_;
  std::vector<std::string> pushed_;
  hub::Registry registry_{
      clock_,
      observer_,
      {.push = [this](const IdentityId&, std::string payload, std::uint64_t) { pushed_.push_back(std::move(payload)); },
       .drop = [](const IdentityId&, const std::string&) {},
       .changed = [](const IdentityId&) {}}};
  std::vector<std::string> nudged_;
  hub::CloudMessages messages_{clock_, [this](const IdentityId& id) { nudged_.push_back(id.str()); }};
  TestRig rig_{hub_router(), {}, registry_};
  std::string token_ = rig_.token(Role::hub_administrator);
  TestClient client_{rig_};

  HubApiTest() { rig_.services->hub.messages = &messages_; }
};

}  // namespace godwit::api
