// Twins as operators see them: /twins.
#include "server/api/iothub/shapes.hpp"

#include "server/api/services.hpp"
#include "server/hub/registry.hpp"

namespace godwit::api::iothub {
namespace {

[[nodiscard]] Result<std::optional<json::Object>> read_section(const json::Object& parent, std::string_view name,
                                                               std::string_view where) {
  const json::Value* section = json::find(parent, name);
  if (section == nullptr) return std::optional<json::Object>{};
  if (!section->is_object()) return fail(Code::invalid_argument, std::string(where) + " is not an object");
  return std::optional<json::Object>(section->get_object());
}

[[nodiscard]] Reply twin_reply(const Device& device) {
  Reply reply = Reply::json(twin_json(device.identity, device.session, device.twin));
  reply.headers.emplace_back("ETag", "\"" + etag_text(device.twin.version) + "\"");
  return reply;
}

[[nodiscard]] Result<Reply> change_twin(const Request& request, Services& services, bool is_replace) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  GODWIT_TRY(hub::TwinChange change, read_twin_change(body, is_replace));
  if (!change.tags && !change.desired)
    return fail(Code::invalid_argument, "the body has neither tags nor properties.desired");
  GODWIT_TRY(change.if_version, if_match(request));
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY_VOID(services.registry.change_twin(records, id, change));
    GODWIT_TRY_VOID(records.access().append_audit(store::AuditEvent{
        .at = services.clock.now(), .actor = request.caller, .action = "twin.changed", .subject = id.str()}));
    GODWIT_TRY(const Device device, find_device(records, id));
    reply = twin_reply(device);
    return {};
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return reply;
}

}  // namespace

Result<hub::TwinChange> read_twin_change(const json::Object& body, bool is_replace) {
  hub::TwinChange change{.is_replace = is_replace};
  GODWIT_TRY(change.tags, read_section(body, "tags", "tags"));
  GODWIT_TRY(const auto properties, read_section(body, "properties", "properties"));
  if (properties) {
    GODWIT_TRY(change.desired, read_section(*properties, "desired", "properties.desired"));
    // A client that replaces sends back the whole twin it once read; in a patch the member can only be a mistake.
    if (!is_replace && properties->contains("reported"))
      return fail(Code::invalid_argument, "properties.reported belongs to the device and cannot be written here");
  }
  return change;
}

Result<Reply> get_twin(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const Device device, find_device(records, id));
    reply = twin_reply(device);
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return reply;
}

Result<Reply> patch_twin(const Request& request, Services& services) { return change_twin(request, services, false); }
Result<Reply> put_twin(const Request& request, Services& services) { return change_twin(request, services, true); }

}  // namespace godwit::api::iothub
