#include "device/agent/provisioner.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "core/trust/sas.hpp"

namespace godwit::agent {
namespace {

constexpr ByteCount kFileLimit = 16 * 1024;
constexpr std::size_t kReadAtOnce = 64 * 1024;

Result<Bytes> read_key(const Path& file) {
  GODWIT_TRY(const auto text, read_file(file, kFileLimit));
  auto key = base64_decode(trimmed(text));
  if (!key || key->empty()) return fail(Code::invalid_argument, file.string() + " does not hold a key in base64");
  return key;
}

std::string kept_text(const Assignment& assignment, const RegistrationRequest& request) {
  return json::print(json::Object{{"version", 1},
                                  {"idScope", request.id_scope},
                                  {"registrationId", request.registration_id},
                                  {"assignedHub", assignment.hub},
                                  {"deviceId", assignment.device_id}}) +
         "\n";
}

}  // namespace

std::optional<Assignment> kept_assignment(const Path& file, const RegistrationRequest& request) {
  const auto text = read_file(file, kFileLimit);
  const auto document = text ? json::parse_object(*text, {.bytes = kFileLimit, .depth = 4})
                             : Result<json::Object>{tl::unexpected<Error>{text.error()}};
  if (!document) return std::nullopt;
  const auto word = [&](std::string_view name) { return json::text_or_nothing(*document, name).value_or(""); };
  if (word("idScope") != request.id_scope || word("registrationId") != request.registration_id) return std::nullopt;
  Assignment kept{.hub = word("assignedHub"), .device_id = word("deviceId")};
  if (kept.hub.empty() || kept.device_id.empty()) return std::nullopt;
  return kept;
}

Provisioner::Provisioner(ProvisioningSettings settings, Dialer& dialer, const Clock& clock, const Wakeable& waiter,
                         Log& log)
    : settings_(std::move(settings)), dialer_(dialer), clock_(clock), waiter_(waiter), log_(log) {}

Path Provisioner::key_file() const {
  return settings_.group_key_file.empty() ? settings_.key_file : settings_.derived_key_file;
}

/// The group's key opens every device of the group: once the own key is there, nobody needs the other one any more.
Result<void> Provisioner::derive_key() const {
  if (settings_.group_key_file.empty()) return {};
  const auto group_key = read_key(settings_.group_key_file);
  if (!group_key) {
    const auto derived = read_key(settings_.derived_key_file);
    if (derived) return {};
    return with_context("derive this device's key", group_key.error());
  }
  const std::string text =
      base64_encode(trust::derive_device_key(*group_key, settings_.request.registration_id)) + "\n";
  if (const auto there = read_file(settings_.derived_key_file, kFileLimit); there && *there == text) return {};
  return write_file_durably(settings_.derived_key_file, text, 0600);
}

Result<Secret> Provisioner::make_token() const {
  if (settings_.target.certificate.is_set()) return Secret{};
  GODWIT_TRY_VOID(derive_key());
  GODWIT_TRY(const auto key, read_key(key_file()));
  return Secret(trust::make_sas(ProvisioningSession::scope(settings_.request), key,
                                dialer_.token_expiry(settings_.token_lifetime), "registration"));
}

Result<Assignment> Provisioner::find(const std::stop_token& stop) {
  if (const auto kept = kept_assignment(settings_.file, settings_.request); kept && !is_in_doubt_) return *kept;
  GODWIT_TRY_VOID(make_token());  // a key that is missing costs no connection
  auto found = dialer_.reach([&](Way way) { return ask(way, stop); });
  if (!found) {
    if (found.error().code == Code::refused && !settings_.target.certificate.is_set())
      dialer_.ask_time(settings_.target, stop);
    return found;
  }
  GODWIT_TRY_VOID(write_file_durably(settings_.file, kept_text(*found, settings_.request), 0600));
  is_in_doubt_ = false;
  log_.info("link.provisioned", {{"hub", found->hub}, {"device", found->device_id}});
  return found;
}

Result<Assignment> Provisioner::ask(Way way, const std::stop_token& stop) {
  GODWIT_TRY(const auto connection, dialer_.dial(settings_.target, way, stop));
  GODWIT_TRY(const auto token, make_token());  // dialling may have told the time
  ProvisioningSession session(settings_.request);
  session.start(token, clock_.monotonic());
  std::string pending;
  for (;;) {
    GODWIT_TRY_VOID(connection->flush());
    std::string input;
    auto got = connection->read(input, kReadAtOnce);
    const Duration now = clock_.monotonic();
    auto heard = session.receive(input, now);
    if (session.was_answered()) dialer_.answered(way);
    GODWIT_TRY_VOID(std::move(heard));
    if (!session.assignment()) GODWIT_TRY_VOID(std::move(got));
    GODWIT_TRY_VOID(session.tick(now));
    pending += session.take_output();
    while (!pending.empty()) {
      GODWIT_TRY(const auto sent, connection->write(pending));
      if (sent == 0) break;
      pending.erase(0, sent);
    }
    if (session.assignment()) break;
    if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
    if (!connection->has_buffered()) (void)waiter_.wait(connection->fd(), connection->wanted(), session.deadline());
  }
  connection->close();
  return *session.assignment();
}

}  // namespace godwit::agent
