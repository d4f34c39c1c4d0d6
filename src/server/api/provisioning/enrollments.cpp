// Enrollments of devices and of groups: /enrollments and /enrollmentGroups.
#include "core/base/text.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/api/provisioning/shapes.hpp"
#include "server/api/services.hpp"
#include "server/hub/provisioning/answers.hpp"

namespace godwit::api::provisioning {
namespace {

using store::EnrollmentKind;
using store::EnrollmentRecord;

constexpr std::uint64_t kMostGroups = 100;  // each is tried for every device that has no enrollment of its own
constexpr std::uint64_t kMostIndividuals = 100'000;
constexpr std::size_t kDefaultPage = 100;
constexpr std::size_t kLargestPage = 1000;
constexpr std::size_t kMostInBulk = 100;

std::string path_id(EnrollmentKind kind, const Request& request) {
  return request.parameter(kind == EnrollmentKind::group ? "enrollmentGroupId" : "registrationId");
}

tl::unexpected<Error> no_such(EnrollmentKind kind, const std::string& id) {
  return fail(Code::not_found,
              std::string("there is no enrollment ") + (kind == EnrollmentKind::group ? "group '" : "'") + id + "'");
}

Result<void> check_etag(const std::optional<std::uint64_t>& wanted, std::uint64_t present) {
  if (!wanted || *wanted == present) return {};
  return fail(Code::precondition_failed, "the enrollment was changed since its etag was read");
}

Result<EnrollmentRecord> find(store::Records& records, EnrollmentKind kind, const std::string& id) {
  GODWIT_TRY(auto found, records.provisioning().find_enrollment(kind, id));
  if (!found) return no_such(kind, id);
  return *std::move(found);
}

Result<void> audit(store::Records& records, const Request& request, Services& services, const char* action,
                   const std::string& id) {
  return records.access().append_audit(
      store::AuditEvent{.at = services.clock.now(), .actor = request.caller, .action = action, .subject = id});
}

/// The authorities that it names are there, and no other group goes by the same certificate.
Result<void> check_certificates(store::Records& records, const EnrollmentRecord& wanted) {
  if (wanted.attestation == store::Attestation::authority_reference)
    for (const std::string* name : {&wanted.primary_certificate, &wanted.secondary_certificate}) {
      if (name->empty()) continue;
      GODWIT_TRY(const auto authority, records.provisioning().find_authority(*name));
      if (!authority)
        return fail(Code::invalid_argument, "attestation.x509.caReferences names '" + name->substr(0, 128) +
                                                "', which is no authority of this hub");
    }
  if (wanted.kind != EnrollmentKind::group || wanted.attestation == store::Attestation::symmetric_key) return {};
  GODWIT_TRY(const auto groups, records.provisioning().list_enrollments(EnrollmentKind::group, "", kMostGroups));
  for (const EnrollmentRecord& other : groups) {
    if (other.id == wanted.id || other.attestation != wanted.attestation) continue;
    for (const std::string* mine : {&wanted.primary_certificate, &wanted.secondary_certificate})
      if (!mine->empty() && (*mine == other.primary_certificate || *mine == other.secondary_certificate))
        return fail(Code::conflict, "enrollment group '" + other.id +
                                        "' attests by the same certificate: devices could not be told apart");
  }
  return {};
}

Result<EnrollmentRecord> create(store::Records& records, Services& services, EnrollmentRecord wanted) {
  const bool is_group = wanted.kind == EnrollmentKind::group;
  GODWIT_TRY(const std::uint64_t count, records.provisioning().count_enrollments(wanted.kind));
  if (count >= (is_group ? kMostGroups : kMostIndividuals))
    return fail(Code::too_many, std::to_string(count) + (is_group ? " enrollment groups" : " enrollments") +
                                    " are there already, which is the limit");
  GODWIT_TRY_VOID(check_certificates(records, wanted));
  wanted.created = wanted.updated = services.clock.now();
  GODWIT_TRY_VOID(records.provisioning().insert_enrollment(wanted));
  return wanted;
}

Result<EnrollmentRecord> update(store::Records& records, Services& services, EnrollmentRecord wanted,
                                const EnrollmentRecord& before) {
  GODWIT_TRY_VOID(check_certificates(records, wanted));
  wanted.etag = before.etag + 1;
  wanted.created = before.created;
  wanted.updated = services.clock.now();
  GODWIT_TRY_VOID(records.provisioning().update_enrollment(wanted));
  return wanted;
}

Reply enrollment_reply(const EnrollmentRecord& enrollment, Services& services, bool with_keys) {
  Reply reply = Reply::json(enrollment_json(enrollment, services.assigned_hub, with_keys));
  reply.headers.emplace_back("ETag", "\"" + hub::provisioning_etag(enrollment.etag) + "\"");
  return reply;
}

// ---- bulk --------------------------------------------------------------------------------------------------------

enum class BulkMode : std::uint8_t { create, update, update_if_match, remove };

Result<BulkMode> read_mode(const json::Object& body) {
  const std::string mode = json::text_or_nothing(body, "mode").value_or("");
  if (mode == "create") return BulkMode::create;
  if (mode == "update") return BulkMode::update;
  if (mode == "updateIfMatchETag" || mode == "updateIfMatchEtag") return BulkMode::update_if_match;
  if (mode == "delete") return BulkMode::remove;
  return fail(Code::invalid_argument, "mode is none of 'create', 'update', 'updateIfMatchETag' and 'delete'");
}

Result<void> run_one(store::Records& records, const Request& request, Services& services, BulkMode mode,
                     const std::string& id, const json::Object& body) {
  constexpr EnrollmentKind kKind = EnrollmentKind::individual;
  if (mode == BulkMode::create) {
    GODWIT_TRY(auto wanted, read_enrollment(body, kKind, id, nullptr, services.assigned_hub));
    GODWIT_TRY([[maybe_unused]] const auto made, create(records, services, std::move(wanted)));
    return audit(records, request, services, "enrollment.created", id);
  }
  GODWIT_TRY(const EnrollmentRecord before, find(records, kKind, id));
  const std::string etag = json::text_or_nothing(body, "etag").value_or("");
  if ((mode == BulkMode::update_if_match || (mode == BulkMode::remove && !etag.empty())) &&
      etag != hub::provisioning_etag(before.etag))
    return fail(Code::precondition_failed, "the enrollment was changed since its etag was read");
  if (mode == BulkMode::remove) {
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.provisioning().remove_enrollment(kKind, id));
    return audit(records, request, services, "enrollment.removed", id);
  }
  GODWIT_TRY(auto wanted, read_enrollment(body, kKind, id, &before, services.assigned_hub));
  GODWIT_TRY([[maybe_unused]] const auto changed, update(records, services, std::move(wanted), before));
  return audit(records, request, services, "enrollment.changed", id);
}

Result<std::size_t> page_size(const Request& request) {
  const auto text = request.header("x-ms-max-item-count");
  if (!text) return kDefaultPage;
  const auto size = to_number<std::size_t>(*text);
  if (!size || *size == 0 || *size > kLargestPage)
    return fail(Code::invalid_argument, "x-ms-max-item-count is a number from 1 to 1000");
  return *size;
}

/// Only "everything" can be asked for: filters are the client's business.
Result<void> check_query(const Request& request) {
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  GODWIT_TRY(const std::string query, json::text(body, "query", "query"));
  std::string words;
  for (const char c : lower_case(trimmed(query)))
    if (c != ' ' || (!words.empty() && words.back() != ' ')) words.push_back(c);
  for (const char* known : {"*", "select * from enrollments", "select * from enrollmentgroups", "select * from devices",
                            "select * from registrations"})
    if (words == known) return {};
  return fail(Code::invalid_argument, "the query is not served here; the one there is: SELECT * FROM enrollments");
}

/// One page of records that have an id: `read` gets where to begin and how many, `print` makes JSON of one.
template <class Read, class Print>
Result<Reply> answer_page(const Request& request, Services& services, const char* item_type, Read read, Print print) {
  GODWIT_TRY_VOID(check_query(request));
  GODWIT_TRY(const std::size_t size, page_size(request));
  GODWIT_TRY(const std::string after, iothub::continuation(request));
  json::Array list;
  std::string last;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto page, read(records, after, size + 1));
    const bool has_more = page.size() > size;
    if (has_more) page.pop_back();
    for (const auto& one : page) list.emplace_back(print(one));
    if (has_more) last = page.back().id;
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  Reply reply = Reply::json(std::move(list));
  reply.headers.emplace_back("x-ms-item-type", item_type);
  iothub::add_continuation(reply, last);
  return reply;
}

Result<store::RegistrationRecord> find_registration(store::Records& records, const std::string& id) {
  GODWIT_TRY(auto found, records.provisioning().find_registration(id));
  if (!found) return fail(Code::not_found, "there is no registration '" + id + "'");
  return *std::move(found);
}

}  // namespace

// ---- enrollments -------------------------------------------------------------------------------------------------

template <EnrollmentKind kind>
Result<Reply> Enrollments<kind>::get(const Request& request, Services& services) {
  GODWIT_TRY(const std::string id, enrollment_id(kind, path_id(kind, request)));
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const EnrollmentRecord enrollment, find(records, kind, id));
    reply = enrollment_reply(enrollment, services, false);
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return reply;
}

/// Creates without If-Match; with it changes what is there.
template <EnrollmentKind kind>
Result<Reply> Enrollments<kind>::put(const Request& request, Services& services) {
  GODWIT_TRY(const std::string id, enrollment_id(kind, path_id(kind, request)));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  GODWIT_TRY(const auto etag, iothub::if_match(request));
  const bool is_update = request.header("if-match").has_value();
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    std::optional<EnrollmentRecord> before;
    if (is_update) {
      GODWIT_TRY(before, find(records, kind, id));
      GODWIT_TRY_VOID(check_etag(etag, before->etag));
    }
    GODWIT_TRY(auto wanted, read_enrollment(body, kind, id, before ? &*before : nullptr, services.assigned_hub));
    GODWIT_TRY(const EnrollmentRecord stored, before ? update(records, services, std::move(wanted), *before)
                                                     : create(records, services, std::move(wanted)));
    GODWIT_TRY_VOID(audit(records, request, services, before ? "enrollment.changed" : "enrollment.created", id));
    reply = enrollment_reply(stored, services, true);
    return {};
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return reply;
}

template <EnrollmentKind kind>
Result<Reply> Enrollments<kind>::remove(const Request& request, Services& services) {
  GODWIT_TRY(const std::string id, enrollment_id(kind, path_id(kind, request)));
  GODWIT_TRY(const auto etag, iothub::if_match(request));
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const EnrollmentRecord before, find(records, kind, id));
    GODWIT_TRY_VOID(check_etag(etag, before.etag));
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.provisioning().remove_enrollment(kind, id));
    return audit(records, request, services, "enrollment.removed", id);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return Reply::no_content();
}

template <EnrollmentKind kind>
Result<Reply> Enrollments<kind>::query(const Request& request, Services& services) {
  return answer_page(
      request, services, kind == EnrollmentKind::group ? "EnrollmentGroup" : "Enrollment",
      [](store::Records& records, const std::string& after, std::size_t limit) {
        return records.provisioning().list_enrollments(kind, after, limit);
      },
      [&](const EnrollmentRecord& one) { return enrollment_json(one, services.assigned_hub, false); });
}

/// The credentials themselves, so it takes the permission to write.
template <EnrollmentKind kind>
Result<Reply> Enrollments<kind>::attestation(const Request& request, Services& services) {
  GODWIT_TRY(const std::string id, enrollment_id(kind, path_id(kind, request)));
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const EnrollmentRecord enrollment, find(records, kind, id));
    reply = Reply::json(attestation_json(enrollment, true));
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return reply;
}

template struct Enrollments<EnrollmentKind::individual>;
template struct Enrollments<EnrollmentKind::group>;

/// Each enrollment succeeds or fails by itself; the answer names those that failed.
Result<Reply> run_bulk(const Request& request, Services& services) {
  GODWIT_TRY(const json::Object body, json::parse_object(request.body, {.bytes = 4 * 1024 * 1024, .depth = 32}));
  GODWIT_TRY(const BulkMode mode, read_mode(body));
  GODWIT_TRY(const json::Array* list, json::array(body, "enrollments", "enrollments"));
  if (list->empty() || list->size() > kMostInBulk)
    return fail(Code::invalid_argument,
                "enrollments has " + std::to_string(list->size()) + " members; 1 to 100 are allowed");
  json::Array errors;
  const auto job = [&](store::Records& records) -> Result<void> {
    errors.clear();
    for (const json::Value& one : *list) {
      const std::string named =
          one.is_object() ? json::text_or_nothing(one.get_object(), "registrationId").value_or("") : "";
      const auto id = enrollment_id(EnrollmentKind::individual, named);
      Result<void> outcome = id ? run_one(records, request, services, mode, *id, one.get_object())
                                : Result<void>(tl::unexpected<Error>{id.error()});
      if (outcome) continue;
      const int status = http_status(outcome.error().code);
      if (status >= 500) return outcome;  // the store is in trouble: nothing of this call stays
      errors.emplace_back(json::Object{{"registrationId", named.substr(0, 128)},
                                       {"errorCode", status * 1000 + 1},
                                       {"errorStatus", outcome.error().message}});
    }
    return {};
  };
  GODWIT_TRY_VOID(services.store.write(job));
  const bool is_successful = errors.empty();
  return Reply::json(json::Object{{"isSuccessful", is_successful}, {"errors", std::move(errors)}});
}

// ---- registrations -----------------------------------------------------------------------------------------------

Result<Reply> get_registration(const Request& request, Services& services) {
  GODWIT_TRY(const std::string id, enrollment_id(EnrollmentKind::individual, request.parameter("id")));
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto registration, find_registration(records, id));
    reply = Reply::json(hub::registration_state_json(registration, services.assigned_hub));
    reply.headers.emplace_back("ETag", "\"" + hub::provisioning_etag(registration.etag) + "\"");
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return reply;
}

/// The identity in the hub stays: a registration is only the memory of how it came about.
Result<Reply> delete_registration(const Request& request, Services& services) {
  GODWIT_TRY(const std::string id, enrollment_id(EnrollmentKind::individual, request.parameter("id")));
  GODWIT_TRY(const auto etag, iothub::if_match(request));
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto registration, find_registration(records, id));
    if (etag && *etag != registration.etag)
      return fail(Code::precondition_failed, "the registration was changed since its etag was read");
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.provisioning().remove_registration(id));
    return audit(records, request, services, "registration.removed", id);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return Reply::no_content();
}

/// Registrations of one enrollment group.
Result<Reply> query_registrations(const Request& request, Services& services) {
  GODWIT_TRY(const std::string group, enrollment_id(EnrollmentKind::group, request.parameter("id")));
  return answer_page(
      request, services, "DeviceRegistration",
      [&](store::Records& records, const std::string& after,
          std::size_t limit) -> Result<std::vector<store::RegistrationRecord>> {
        GODWIT_TRY([[maybe_unused]] const auto enrollment, find(records, EnrollmentKind::group, group));
        return records.provisioning().list_registrations(EnrollmentKind::group, group, after, limit);
      },
      [&](const store::RegistrationRecord& one) { return hub::registration_state_json(one, services.assigned_hub); });
}

}  // namespace godwit::api::provisioning
