// Direct methods: POST /twins/{deviceId}[/modules/{moduleId}]/methods. No thread waits for the device.
#include "server/api/iothub/problems.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/api/responder.hpp"
#include "server/api/services.hpp"
#include "server/hub/method_form.hpp"

namespace godwit::api::iothub {
namespace {

[[nodiscard]] Result<Reply> answer_of(const Result<hub::MethodAnswer>& outcome, WallTime now) {
  if (outcome) {
    // It was checked when it came.
    json::Value payload = outcome->payload.empty() ? json::Value(nullptr) : json::parse(outcome->payload).value();
    return Reply::json(json::Object{{"status", outcome->status}, {"payload", std::move(payload)}});
  }
  const std::string& message = outcome.error().message;
  switch (outcome.error().code) {
    case Code::unavailable: return refuse(kDeviceNotOnline, message, now);
    case Code::timed_out: return refuse(kDeviceTimeout, message, now);
    case Code::too_many: return refuse(kTooManyCalls, message, now);
    case Code::bad_packet: return refuse(kBadDeviceResponse, message, now);
    case Code::cancelled: return refuse(kServiceUnavailable, message, now);
    default: return tl::unexpected<Error>{outcome.error()};
  }
}

}  // namespace

void invoke_method(const Request& request, Services& services, Responder responder) {
  const auto begin = [&]() -> Result<hub::MethodCall> {
    GODWIT_TRY(const IdentityId id, identity_id(request));
    GODWIT_TRY(const json::Object body, json::parse_object(request.body));
    GODWIT_TRY(hub::MethodCall call, hub::read_method_call(body, id));
    GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto identity, records.devices().find_identity(id));
      if (!identity) return fail(Code::not_found, "there is no device or module '" + id.str() + "'");
      return {};
    }));
    return call;
  };
  auto call = begin();
  if (!call) {
    responder.answer(tl::unexpected<Error>{call.error()});
    return;
  }
  const WallTime now = services.clock.now();
  services.hub.invoke(*std::move(call), [responder, now](const Result<hub::MethodAnswer>& outcome) {
    responder.answer(answer_of(outcome, now));
  });
}

}  // namespace godwit::api::iothub
