#include "device/installer/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "core/model/outcome.hpp"
#include "device/extension/leftovers.hpp"

namespace godwit::installer {
namespace {

constexpr ByteCount kJournalLimit = 4 * 1024 * 1024;

json::Object key_to_json(const ActKey& act) {
  return {{"attempt", act.attempt}, {"step", act.step}, {"verb", verb_name(act.verb)}};
}

Result<ActKey> key_from_json(const json::Object& object) {
  ActKey act;
  GODWIT_TRY(const std::int64_t attempt, json::integer(object, "attempt", ""));
  GODWIT_TRY(const std::int64_t step, json::integer(object, "step", ""));
  GODWIT_TRY(const std::string verb, json::text(object, "verb", ""));
  GODWIT_TRY(act.verb, parse_verb(verb));
  act.attempt = static_cast<std::uint32_t>(attempt);
  act.step = static_cast<std::uint32_t>(step);
  return act;
}

/// Cuts the file after its last whole line; gives what is left.
Result<std::string> read_whole_lines(const Path& file) {
  GODWIT_TRY(std::string text, read_file(file, kJournalLimit));
  const auto end = text.rfind('\n');
  const std::size_t whole = end == std::string::npos ? 0 : end + 1;
  if (whole == text.size()) return text;
  GODWIT_TRY(const UniqueFd fd, open_file(file, O_WRONLY | O_NOFOLLOW));
  if (::ftruncate(fd.get(), static_cast<off_t>(whole)) != 0)
    return tl::unexpected<Error>{error_from_errno("cut " + file.string(), errno)};
  GODWIT_TRY_VOID(sync_fd(fd.get()));
  text.resize(whole);
  return text;
}

}  // namespace

Result<Journal> Journal::open(const Path& folder, const std::string& workflow, const std::string& manifest_sha256) {
  GODWIT_TRY_VOID(make_folders(folder));
  const Path file = folder / (workflow + ".jsonl");
  auto journal = read(file);
  if (!journal && journal.error().code != Code::not_found) return journal;
  if (journal && journal->manifest_sha256_ == manifest_sha256) return journal;
  if (journal && !journal->manifest_sha256_.empty())
    return fail(
        Code::conflict,
        fmt::format("workflow {} was used for another manifest before; deploy with a new workflow id", workflow));
  Journal fresh;
  fresh.file_ = file;
  fresh.manifest_sha256_ = manifest_sha256;
  GODWIT_TRY_VOID(write_file_durably(
      file,
      json::print(json::Object{{"journal", 1}, {"workflow", workflow}, {"manifest_sha256", manifest_sha256}}) + "\n"));
  return fresh;
}

Result<Journal> Journal::read(const Path& file) {
  Journal journal;
  journal.file_ = file;
  GODWIT_TRY(const std::string text, read_whole_lines(file));
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    ++number;
    auto line = json::parse_object(std::string_view(text).substr(at, end - at));
    at = end + 1;
    auto taken = line ? (number == 1 ? journal.take_header(*line) : journal.take(*line))
                      : Result<void>{tl::unexpected<Error>{line.error()}};
    if (!taken)
      return fail(Code::bad_json,
                  fmt::format("{} line {}: {}; remove the file to forget what was done in this workflow", file.string(),
                              number, taken.error().message));
  }
  return journal;
}

Result<void> Journal::take_header(const json::Object& line) {
  if (json::integer_or_nothing(line, "journal") != 1) return fail(Code::unsupported, "not a journal of this version");
  GODWIT_TRY(manifest_sha256_, json::text(line, "manifest_sha256", ""));
  return {};
}

Result<void> Journal::take(const json::Object& line) {
  if (const json::Object* object = json::object_or_null(line, "started")) {
    GODWIT_TRY(const ActKey act, key_from_json(*object));
    GODWIT_TRY(const std::int64_t session, json::integer(*object, "session", "started"));
    started_[act] = {.session = static_cast<pid_t>(session),
                     .boot = json::text_or_nothing(*object, "boot").value_or("")};
    return {};
  }
  if (const json::Object* object = json::object_or_null(line, "finished")) {
    GODWIT_TRY(const ActKey act, key_from_json(*object));
    GODWIT_TRY(const json::Object* outcome, json::object(*object, "outcome", "finished"));
    GODWIT_TRY(auto reply, parse_reply(*outcome));
    if (!std::holds_alternative<ActOutcome>(reply)) return fail(Code::bad_json, "finished without an outcome");
    finished_[act] = std::get<ActOutcome>(std::move(reply));
    return {};
  }
  if (const auto attempt = json::integer_or_nothing(line, "cancelled")) {
    cancelled_.insert(static_cast<std::uint32_t>(*attempt));
    return {};
  }
  if (json::find(line, "emptied") == nullptr) return fail(Code::bad_json, "a line of unknown kind");
  std::erase_if(finished_, [](const auto& entry) { return entry.first.verb == Verb::download; });
  return {};
}

std::optional<ActOutcome> Journal::finished(const ActKey& act) const {
  const auto entry = finished_.find(act);
  return entry == finished_.end() ? std::nullopt : std::optional(entry->second);
}

std::optional<ActOutcome> Journal::finished(const ActKey& act, std::string_view boot) const {
  auto outcome = finished(act);
  if (outcome && has_had_its_restart(act, boot)) outcome->result_code = without_restart(outcome->result_code);
  return outcome;
}

bool Journal::has_had_its_restart(const ActKey& act, std::string_view boot) const {
  const auto began = started_.find(act);
  const auto ended = finished_.find(act);
  if (began == started_.end() || ended == finished_.end() || boot.empty() || began->second.boot.empty()) return false;
  return restart_request(ended->second.result_code).wish != RestartWish::none && began->second.boot != boot;
}

bool Journal::wants_restart(std::uint32_t attempt) const {
  return std::any_of(finished_.begin(), finished_.end(), [attempt](const auto& act) {
    return act.first.attempt == attempt && restart_request(act.second.result_code).wish == RestartWish::device;
  });
}

std::int32_t Journal::own_work(std::uint32_t attempt, std::uint32_t step, std::string_view boot) const {
  for (const Verb verb : {Verb::apply, Verb::install}) {
    const ActKey key{.attempt = attempt, .step = step, .verb = verb};
    if (const auto ended = finished(key); ended && ended->result_code > 0)
      return has_had_its_restart(key, boot) ? result::apply_ok : ended->result_code;
    if (started_.contains(key)) return result::apply_ok;
  }
  return 0;
}

std::map<ActKey, ActSession> Journal::unfinished() const {
  std::map<ActKey, ActSession> acts = started_;
  std::erase_if(acts, [&](const auto& entry) { return finished_.contains(entry.first); });
  return acts;
}

Result<void> Journal::append(const json::Object& line) {
  const std::string bytes = json::print(line) + "\n";
  GODWIT_TRY(const UniqueFd fd, open_file(file_, O_WRONLY | O_APPEND | O_NOFOLLOW));
  const off_t before = ::lseek(fd.get(), 0, SEEK_END);
  if (before < 0) return tl::unexpected<Error>{error_from_errno("find the end of " + file_.string(), errno)};
  if (static_cast<ByteCount>(before) + bytes.size() > kJournalLimit)
    return fail(Code::too_large, fmt::format("{} has reached its limit of {} bytes", file_.string(), kJournalLimit));
  auto written = write_all(fd.get(), bytes);
  if (written) written = sync_fd(fd.get());
  if (!written) {
    (void)!::ftruncate(fd.get(), before);  // half a line must not stand before the next one
    return with_context("write the journal " + file_.string(), written.error());
  }
  return take(line);
}

Result<void> Journal::write_started(const ActKey& act, const ActSession& session) {
  json::Object object = key_to_json(act);
  object["session"] = session.session;
  object["boot"] = session.boot;
  return append({{"started", std::move(object)}});
}

Result<void> Journal::write_finished(const ActKey& act, const ActOutcome& outcome) {
  json::Object object = key_to_json(act);
  object["outcome"] = to_json(Reply{outcome});
  return append({{"finished", std::move(object)}});
}

Result<void> Journal::write_cancelled(std::uint32_t attempt) {
  return is_cancelled(attempt) ? Result<void>{} : append({{"cancelled", attempt}});
}

Result<void> Journal::write_emptied() { return append({{"emptied", true}}); }

int end_leftovers(const Path& folder) {
  const std::string boot = extension::boot_id();
  int killed = 0;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(folder, problem)) {
    const auto journal = Journal::read(entry.path());
    if (!journal) continue;  // told when the workflow is opened
    for (const auto& [act, session] : journal->unfinished())
      if (!boot.empty() && session.boot == boot)
        killed += extension::kill_old_session(session.session, fmt::format("{}/{}/{}/{}", entry.path().stem().string(),
                                                                           act.attempt, act.step, verb_name(act.verb)));
  }
  return killed;
}

void forget_old_journals(const Path& folder, const std::string& workflow, std::size_t count) {
  std::error_code problem;
  std::vector<std::pair<std::filesystem::file_time_type, Path>> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, problem))
    if (entry.path().stem() != workflow) files.emplace_back(entry.last_write_time(problem), entry.path());
  if (files.size() <= count) return;
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (std::size_t i = count; i < files.size(); ++i) std::filesystem::remove(files[i].second, problem);
}

}  // namespace godwit::installer
