// Many identities in one call: POST /devices, an array of what to do with whom. Each element succeeds or fails alone;
// they run in the order of the array, some hundred in each transaction.
#include <algorithm>
#include <array>

#include "server/api/iothub/shapes.hpp"
#include "server/api/services.hpp"
#include "server/api/text.hpp"

namespace godwit::api::iothub {
namespace {

constexpr std::size_t kMostElements = 1000;
constexpr std::size_t kPerTransaction = 200;  // others wait for the writer that long at most
constexpr std::size_t kBodyLimit = 4 * 1024 * 1024;

enum class Act : std::uint8_t { create, create_or_update, update, remove, update_twin };

struct Mode {
  std::string_view name;  // in any case
  Act act;
  bool wants_etag;  // the element's own etag must be the present one
};
constexpr std::array kModes{
    Mode{"create", Act::create, false},
    Mode{"createOrUpdate", Act::create_or_update, false},
    Mode{"createOrUpdateIfMatchETag", Act::create_or_update, true},
    Mode{"update", Act::update, false},
    Mode{"updateIfMatchETag", Act::update, true},
    Mode{"delete", Act::remove, false},
    Mode{"deleteIfMatchETag", Act::remove, true},
    Mode{"updateTwin", Act::update_twin, false},
    Mode{"updateTwinIfMatchETag", Act::update_twin, true},
};

/// One element that is well formed.
struct Wish {
  IdentityId id;
  Mode mode;
  std::optional<std::uint64_t> if_etag{};  // of the identity; of the twin when only that is changed
  hub::TwinChange twin{};
  const json::Object* element = nullptr;
};

/// What an element says of itself, for the answer, also when it is not well formed.
struct Named {
  std::string device{}, module{};
};

[[nodiscard]] std::string first_text(const json::Object& element, std::string_view name, std::string_view other) {
  return json::text_or_nothing(element, name).value_or(json::text_or_nothing(element, other).value_or(""));
}

[[nodiscard]] Result<Mode> read_mode(const json::Object& element) {
  const std::string text = json::text_or_nothing(element, "importMode").value_or("");
  const auto* const found =
      std::find_if(kModes.begin(), kModes.end(), [&](const Mode& mode) { return equal_in_any_case(mode.name, text); });
  if (found != kModes.end()) return *found;
  std::string names;
  for (const Mode& mode : kModes) names += (names.empty() ? "" : ", ") + std::string(mode.name);
  return fail(Code::invalid_argument, "importMode '" + text.substr(0, 40) + "' is none of " + names);
}

[[nodiscard]] Result<Wish> read_wish(const json::Object& element, const Named& named) {
  GODWIT_TRY(const DeviceId device, DeviceId::parse(named.device, "device id"));
  IdentityId id(device);
  if (!named.module.empty()) {
    GODWIT_TRY(const ModuleId module, ModuleId::parse(named.module, "module id"));
    id = IdentityId(device, module);
  }
  GODWIT_TRY(const Mode mode, read_mode(element));
  Wish wish{.id = id, .mode = mode, .element = &element};
  if (mode.act != Act::remove) {
    GODWIT_TRY(wish.twin, read_twin_change(element, false));
  }
  if (mode.act == Act::update_twin && !wish.twin.tags && !wish.twin.desired)
    return fail(Code::invalid_argument, "the element has neither tags nor properties.desired");
  if (!mode.wants_etag) return wish;
  std::string etag = mode.act == Act::update_twin ? json::text_or_nothing(element, "twinETag").value_or("") : "";
  if (etag.empty()) etag = first_text(element, "eTag", "etag");
  if (etag.empty()) return fail(Code::precondition_failed, std::string(mode.name) + " needs the etag to match");
  GODWIT_TRY(wish.if_etag, parse_etag(etag));
  return wish;
}

[[nodiscard]] Result<void> fulfil(store::Records& records, const Wish& wish, const hub::Registry& registry) {
  const auto change_twin = [&](std::optional<std::uint64_t> if_version) -> Result<void> {
    if (!wish.twin.tags && !wish.twin.desired) return {};
    hub::TwinChange change = wish.twin;
    change.if_version = if_version;
    GODWIT_TRY_VOID(registry.change_twin(records, wish.id, change));
    return {};
  };
  switch (wish.mode.act) {
    case Act::remove: return registry.remove(records, wish.id, wish.if_etag);
    case Act::update_twin: return change_twin(wish.if_etag);
    case Act::create:
    case Act::create_or_update:
    case Act::update: break;
  }
  GODWIT_TRY(const auto before, records.devices().find_identity(wish.id));
  const bool creates = wish.mode.act == Act::create || (wish.mode.act == Act::create_or_update && !before);
  if (wish.twin.tags || wish.twin.desired) {
    // Asked before anything is written: an element is taken whole or not at all.
    GODWIT_TRY(auto twin, records.devices().find_twin(wish.id));
    GODWIT_TRY_VOID(registry.check_change(twin ? *std::move(twin) : store::TwinRecord{}, wish.twin));
  }
  GODWIT_TRY(const hub::NewIdentity wanted,
             read_identity(*wish.element, wish.id, creates || !before ? nullptr : &*before));
  if (creates)
    GODWIT_TRY_VOID(registry.create(records, wanted));
  else
    GODWIT_TRY_VOID(registry.update(records, wanted, wish.if_etag));
  return change_twin(std::nullopt);
}

/// What the caller did wrong concerns one element; anything else is our trouble and ends the transaction. The registry
/// finds the caller's faults before it writes.
[[nodiscard]] bool is_callers_fault(Code code) {
  return static_cast<std::uint32_t>(code) < 3000 && code != Code::unavailable && code != Code::cancelled;
}

[[nodiscard]] std::string_view error_word(const Wish* wish, Code code) {
  const bool is_module = wish != nullptr && wish->id.is_module();
  switch (code) {
    case Code::not_found: return is_module ? "ModuleNotFound" : "DeviceNotFound";
    case Code::conflict: return is_module ? "ModuleAlreadyExistsOnDevice" : "DeviceAlreadyExists";
    case Code::precondition_failed: return "PreconditionFailed";
    case Code::too_many: return "TooManyModulesOnDevice";
    default: return "ArgumentInvalid";
  }
}

[[nodiscard]] json::Object describe(const Named& named, const Wish* wish, const Error& error) {
  json::Object line{{"deviceId", named.device.substr(0, 128)}};
  if (!named.module.empty()) line["moduleId"] = named.module.substr(0, 128);
  line["errorCode"] = error_word(wish, error.code);
  line["errorStatus"] = error.message;
  return line;
}

[[nodiscard]] Result<void> audit(store::Records& records, const Request& request, Services& services,
                                 const json::Object& done) {
  std::size_t count = 0;
  for (const auto& mode : done) count += mode.value().get_array().size();
  return records.access().append_audit(store::AuditEvent{.at = services.clock.now(),
                                                         .actor = request.caller,
                                                         .action = "devices.changed",
                                                         .subject = std::to_string(count) + " identities",
                                                         .details = json::print(done)});
}

class Run {
 public:
  Run(const Request& request, Services& services, const json::Array& elements)
      : request_(request), services_(services), elements_(elements), problems_(elements.size()) {}

  Result<Reply> whole() {
    for (std::size_t from = 0; from < elements_.size(); from += kPerTransaction)
      GODWIT_TRY_VOID(services_.store.write([&](store::Records& records) {
        return some(records, from, std::min(from + kPerTransaction, elements_.size()));
      }));
    json::Array errors;
    for (std::optional<json::Object>& problem : problems_)
      if (problem) errors.emplace_back(*std::move(problem));
    const bool is_successful = errors.empty();
    // The original answers 400 with this body when any element failed.
    return Reply::json(
        json::Object{{"isSuccessful", is_successful}, {"errors", std::move(errors)}, {"warnings", json::Array{}}},
        is_successful ? 200 : 400);
  }

 private:
  /// May run again from its start: whatever it notes it overwrites.
  Result<void> some(store::Records& records, std::size_t from, std::size_t to) {
    json::Object done;
    for (std::size_t i = from; i < to; ++i) {
      problems_[i].reset();
      GODWIT_TRY_VOID(one(records, i, done));
    }
    return done.empty() ? Result<void>{} : audit(records, request_, services_, done);
  }

  Result<void> one(store::Records& records, std::size_t i, json::Object& done) {
    if (!elements_[i].is_object()) {
      problems_[i] = describe({}, nullptr, {Code::invalid_argument, "the element is no object"});
      return {};
    }
    const json::Object& element = elements_[i].get_object();
    const Named named{.device = first_text(element, "id", "deviceId"),
                      .module = json::text_or_nothing(element, "moduleId").value_or("")};
    const auto wish = read_wish(element, named);
    if (!wish) {
      problems_[i] = describe(named, nullptr, wish.error());
      return {};
    }
    if (const auto outcome = fulfil(records, *wish, services_.registry); !outcome) {
      if (!is_callers_fault(outcome.error().code)) return outcome;
      problems_[i] = describe(named, &*wish, outcome.error());
      return {};
    }
    json::Value& ids = done[std::string(wish->mode.name)];
    if (!ids.is_array()) ids = json::Array{};
    ids.get_array().emplace_back(wish->id.str());
    return {};
  }

  const Request& request_;
  Services& services_;
  const json::Array& elements_;
  std::vector<std::optional<json::Object>> problems_;
};

}  // namespace

Result<Reply> change_identities(const Request& request, Services& services) {
  GODWIT_TRY(const json::Value body, json::parse(request.body, {.bytes = kBodyLimit, .depth = 32}));
  if (!body.is_array()) return fail(Code::invalid_argument, "the body is not an array of identities with importMode");
  const json::Array& elements = body.get_array();
  if (elements.empty() || elements.size() > kMostElements)
    return fail(Code::invalid_argument,
                "the array has " + std::to_string(elements.size()) + " elements; 1 to 1000 are served in one call");
  return Run(request, services, elements).whole();
}

}  // namespace godwit::api::iothub
