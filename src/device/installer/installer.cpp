#include "device/installer/installer.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/command.hpp"
#include "core/base/text.hpp"
#include "device/extension/leftovers.hpp"
#include "device/extension/worker_messages.hpp"
#include "device/installer/payload_copy.hpp"
#include "device/installer/plan.hpp"
#include "device/installer/verify.hpp"

namespace godwit::installer {
namespace {

using extension::Registry;
using extension::Type;

constexpr std::size_t kJournalsKept = 16;
constexpr std::int32_t kCancelNoted = 800;

ActOutcome failure(ExtendedCode code, std::string details) {
  return {.result_code = result::failure, .extended_codes = {code}, .details = cut_details(std::move(details))};
}

ExtendedCode code_of_copy(Code code) {
  switch (code) {
    case Code::digest_mismatch: return erc::download_hash;
    case Code::size_mismatch: return erc::download_size;
    case Code::disk_full: return erc::disk_full;
    case Code::not_found: return erc::download_failed;
    case Code::refused: return erc::hash_mismatch;
    default: return erc::internal;
  }
}

ExtendedCode code_of_own(Code code) {
  return code == Code::disk_full ? erc::disk_full : code == Code::conflict ? erc::unexpected_state : erc::internal;
}

/// What an error of a call means for the step.
ActOutcome outcome_of(Type type, const Error& error) {
  if (error.code == Code::cancelled)
    return {.result_code = result::cancelled, .extended_codes = {}, .details = cut_details(error.message)};
  return failure(extension::extended_code_of(type, error.code), error.message);
}

/// The pieces of a streamed file that the handler's answer asks for.
ActOutcome wish_of(const extension::Outcome& outcome, const PlanStep& step) {
  const std::string name = json::text_or_nothing(outcome.answer, "file").value_or("");
  const auto file =
      std::ranges::find_if(step.files, [&](const PlanFile& f) { return f.is_streamed && f.name == name; });
  if (file == step.files.end())
    return failure(erc::handler_contract, "the step's handler asks for pieces of a file that is not streamed");
  auto ranges = extension::ranges_from_answer(outcome.answer, file->size);
  if (ranges.empty() || extension::sum_of(ranges) > extension::kPiecesMax)
    return failure(erc::handler_contract, fmt::format("the step's handler asks for pieces of {} that cannot be: ranges "
                                                      "must rise, lie in the file and be at most {} bytes in all",
                                                      name, extension::kPiecesMax));
  ActOutcome wish{.result_code = outcome.result_code, .extended_codes = {}, .details = outcome.details};
  wish.wants = Pieces{.file_id = file->id, .ranges = std::move(ranges)};
  return wish;
}

ActOutcome outcome_of(const extension::Outcome& outcome) {
  ActOutcome made{.result_code = outcome.result_code, .extended_codes = {}, .details = outcome.details};
  if (outcome.extended_code != 0) made.extended_codes.push_back(outcome.extended_code);
  if (!outcome.ok() && outcome.result_code != result::cancelled && made.extended_codes.empty())
    made.extended_codes.push_back(erc::handler_refused);
  if (!outcome.ok() && made.details.empty()) made.details = "the step's handler gave no explanation";
  return made;
}

bool needs_files(Verb verb) { return verb == Verb::download || verb == Verb::backup || verb == Verb::install; }

/// A note of a cancel does not forbid to look, or to put things back.
bool is_forbidden_after_cancel(Verb verb) { return verb != Verb::is_installed && verb != Verb::restore; }

}  // namespace

Reply Installer::handle(const Request& request, std::stop_token stop, const Emit& emit) {
  if (const auto* r = std::get_if<OpenRequest>(&request)) return open(*r, std::move(stop), emit);
  if (const auto* r = std::get_if<ActRequest>(&request)) return act(*r, std::move(stop), emit);
  if (const auto* r = std::get_if<CloseRequest>(&request)) return close(*r);
  if (const auto* r = std::get_if<RestartDeviceRequest>(&request)) return restart_device(*r, stop);
  return Refusal{Code::internal, "this request is not for the installer's worker"};
}

Reply Installer::open(const OpenRequest& request, std::stop_token stop, const Emit& emit) {
  const auto verified = verify(request, config_);
  if (!verified) {
    log_.warning("open.refused", {{"workflow", request.workflow_id},
                                  {"code", extended_code_hex(verified.error().code)},
                                  {"reason", verified.error().message}});
    return failure(verified.error().code, verified.error().message);
  }
  if (!verified->newer_package.empty()) {
    auto kept = make_folders(config_.root_keys_file().parent_path());
    if (kept) kept = write_file_durably(config_.root_keys_file(), verified->newer_package);
    if (!kept) return failure(code_of_own(kept.error().code), "keep the root key package: " + kept.error().message);
  }
  const std::string digest = hex_encode(sha256(request.manifest));
  auto journal = Journal::open(config_.acts_folder(), request.workflow_id, digest);
  if (!journal) return failure(code_of_own(journal.error().code), journal.error().message);

  ActOutcome refused;
  auto plan = make_plan(*verified, request, std::move(stop), emit, refused);
  if (!plan) {
    log_.warning("open.refused", {{"workflow", request.workflow_id}, {"reason", refused.details}});
    return refused;
  }
  const auto is_new = workspaces_.save(
      {.workflow_id = request.workflow_id, .attempt = request.attempt, .manifest_sha256 = digest, .plan = *plan});
  if (!is_new) return failure(code_of_own(is_new.error().code), "keep the plan: " + is_new.error().message);
  if (*is_new)
    if (auto emptied = journal->write_emptied(); !emptied)
      return failure(code_of_own(emptied.error().code), emptied.error().message);
  struct stat info {};
  if (::stat(config_.data.c_str(), &info) == 0) plan->copy_device = info.st_dev;
  forget_old_journals(config_.acts_folder(), request.workflow_id, kJournalsKept);
  log_.info("workflow.opened", {{"workflow", request.workflow_id},
                                {"update", verified->manifest.update_id.str()},
                                {"attempt", request.attempt},
                                {"steps", plan->steps.size()}});
  return ActOutcome{.result_code = result::success, .extended_codes = {}, .details = "", .plan = *std::move(plan)};
}

/// On failure `refused` says what to report.
Result<Plan> Installer::make_plan(const Verified& verified, const OpenRequest& request, std::stop_token stop,
                                  const Emit& emit, ActOutcome& refused) {
  const auto give_up = [&](ActOutcome outcome) -> Result<Plan> {
    refused = std::move(outcome);
    return fail(Code::refused, refused.details);
  };
  const auto registry = Registry::load(config_.extensions_file());
  if (!registry) return give_up(failure(erc::handler_refused, registry.error().message));
  const auto planner =
      registry->find(Type::manifest_handler, fmt::format("microsoft/update-manifest:{}", verified.manifest.version));
  if (!planner) return give_up(failure(erc::handler_missing, planner.error().message));
  json::Object call{{"verb", "plan"}, {"manifest", verified.manifest_text}};
  if (!request.components.empty()) call["components"] = request.components;
  json::Object children;
  for (const auto& [id, child] : verified.children) children[id] = child.text;
  if (!children.empty()) call["children"] = std::move(children);
  const auto planned =
      extension::run_extension(*planner, call, {.time_limit = config_.plan, .cancel_grace = config_.cancel_grace},
                               std::move(stop), callbacks(emit, "plan"));
  if (!planned) return give_up(outcome_of(Type::manifest_handler, planned.error()));
  if (!planned->ok()) return give_up(outcome_of(*planned));
  auto plan = plan_from_answer(planned->answer, verified);
  if (!plan) return give_up(outcome_of(Type::manifest_handler, plan.error()));
  for (const PlanStep& step : plan->steps)
    if (!step.skip.empty())
      log_.info("step.skipped", {{"workflow", request.workflow_id}, {"path", step.path}, {"reason", step.skip}});
    else if (const auto handler = registry->find(Type::step_handler, step.handler); !handler)
      return give_up(failure(erc::handler_missing, fmt::format("{}: {}", step.path, handler.error().message)));
  return plan;
}

Reply Installer::act(const ActRequest& request, std::stop_token stop, const Emit& emit) {
  const auto workflow = workspaces_.load(request.workflow_id);
  if (!workflow) return Refusal{workflow.error().code, workflow.error().message};
  if (workflow->attempt != request.attempt)
    return Refusal{Code::conflict, fmt::format("workflow {} is open for attempt {}, not {}; open it again",
                                               request.workflow_id, workflow->attempt, request.attempt)};
  if (request.step >= workflow->plan.steps.size())
    return Refusal{Code::invalid_argument,
                   fmt::format("step {} is not in the plan, which has {}", request.step, workflow->plan.steps.size())};
  auto journal = Journal::open(config_.acts_folder(), request.workflow_id, workflow->manifest_sha256);
  if (!journal) return failure(code_of_own(journal.error().code), journal.error().message);

  const std::string& skip = workflow->plan.steps[request.step].skip;
  if (!skip.empty() && request.verb != Verb::cancel_note)
    return ActOutcome{.result_code = request.verb == Verb::is_installed ? result::is_installed : result::no_component,
                      .extended_codes = {},
                      .details = skip};
  if (request.verb == Verb::cancel_note) {
    if (auto noted = journal->write_cancelled(request.attempt); !noted)
      return failure(code_of_own(noted.error().code), noted.error().message);
    return ActOutcome{.result_code = kCancelNoted, .extended_codes = {}, .details = ""};
  }
  const ActKey key{.attempt = request.attempt, .step = request.step, .verb = request.verb};
  if (request.verb != Verb::is_installed) {
    if (auto recorded = journal->finished(key, extension::boot_id())) {
      recorded->recorded = true;
      return *std::move(recorded);
    }
  }
  if (journal->is_cancelled(request.attempt) && is_forbidden_after_cancel(request.verb))
    return ActOutcome{.result_code = result::cancelled, .extended_codes = {}, .details = "this attempt was cancelled"};
  return run(request, *workflow, *journal, std::move(stop), emit);
}

Result<void> Installer::bring_files(const ActRequest& request, const PlanStep& step, const Path& folder) {
  ByteCount missing = 0;
  for (const PlanFile& file : step.files) missing += file.is_streamed || has_payload(folder, file) ? 0 : file.size;
  if (missing == 0) return {};
  if (request.files_folder.empty() && needs_files(request.verb))
    return fail(Code::not_found, "the step's files are not here, and the agent named no folder");
  if (request.files_folder.empty()) return {};
  if (needs_files(request.verb)) GODWIT_TRY_VOID(check_space(folder, missing, config_.reserve.value));
  for (const PlanFile& file : step.files) {
    if (file.is_streamed || has_payload(folder, file)) continue;
    const auto copied = copy_payload(request.files_folder, file, folder);
    if (!copied && needs_files(request.verb)) return tl::unexpected<Error>{copied.error()};
    if (!copied) log_.debug("payload.not_there_yet", {{"file", file.name}, {"reason", copied.error().message}});
  }
  return {};
}

/// Where the pieces lie that came along; empty if none did.
Result<Path> Installer::bring_pieces(const ActRequest& request, const PlanStep& step, const Path& folder) const {
  if (!request.pieces) return Path{};
  const auto file = std::ranges::find_if(
      step.files, [&](const PlanFile& f) { return f.is_streamed && f.id == request.pieces->file_id; });
  if (file == step.files.end() || request.verb != Verb::install)
    return fail(Code::refused, "pieces came along that this act does not take");
  const ByteCount size = extension::sum_of(request.pieces->ranges);
  GODWIT_TRY_VOID(check_space(folder, size, config_.reserve.value));
  return copy_pieces(request.files_folder, request.pieces_file, *file, size, folder);
}

json::Object Installer::call_for(const ActRequest& request, const OpenedWorkflow& workflow, const Path& folder,
                                 const Path& pieces) const {
  const PlanStep& step = workflow.plan.steps[request.step];
  json::Array files;
  for (const PlanFile& file : step.files) {
    const bool is_here = !file.is_streamed && has_payload(folder, file);
    json::Object entry{{"id", file.id},
                       {"name", file.name},
                       {"path", is_here ? (folder / file.name).string() : ""},
                       {"size", file.size},
                       {"sha256", file.sha256}};
    if (!pieces.empty() && file.id == request.pieces->file_id) {
      entry["pieces_path"] = pieces.string();
      entry["ranges"] = extension::ranges_to_json(request.pieces->ranges);
    }
    files.push_back(std::move(entry));
  }
  json::Object call{{"verb", verb_name(request.verb)},
                    {"handler_id", step.handler},
                    {"handler_properties", step.handler_properties},
                    {"work_dir", folder.string()},
                    {"files", std::move(files)},
                    {"workflow_id", request.workflow_id},
                    {"update_id", workflow.plan.update_id},
                    {"attempt", request.attempt},
                    {"step", request.step}};
  if (auto criteria = json::text_or_nothing(step.handler_properties, "installedCriteria"))
    call["installed_criteria"] = *std::move(criteria);
  if (!step.component.empty()) call["component"] = step.component;
  return call;
}

Reply Installer::run(const ActRequest& request, const OpenedWorkflow& workflow, Journal& journal, std::stop_token stop,
                     const Emit& emit) {
  const PlanStep& step = workflow.plan.steps[request.step];
  const auto registry = Registry::load(config_.extensions_file());
  if (!registry) return failure(erc::handler_refused, registry.error().message);
  const auto handler = registry->find(Type::step_handler, step.handler);
  if (!handler) return failure(erc::handler_missing, handler.error().message);
  const auto folder = workspaces_.step_folder(request.workflow_id, request.step);
  if (!folder) return failure(code_of_own(folder.error().code), folder.error().message);
  if (const auto brought = bring_files(request, step, *folder); !brought) {
    log_.warning("payload.refused",
                 {{"workflow", request.workflow_id}, {"step", request.step}, {"reason", brought.error().message}});
    return failure(code_of_copy(brought.error().code), brought.error().message);
  }
  const auto pieces = bring_pieces(request, step, *folder);
  if (!pieces) return failure(code_of_copy(pieces.error().code), pieces.error().message);

  if (stop.stop_requested())
    return is_ending_.load()
               ? Reply{Refusal{Code::unavailable, "the installer is ending"}}
               : ActOutcome{
                     .result_code = result::cancelled, .extended_codes = {}, .details = "cancelled before it began"};

  const ActKey key{.attempt = request.attempt, .step = request.step, .verb = request.verb};
  const bool is_journaled = request.verb != Verb::is_installed;
  bool has_begun = false;
  extension::Callbacks watch = callbacks(emit, step.handler);
  watch.on_started = [&](pid_t session) -> Result<void> {
    if (is_journaled) GODWIT_TRY_VOID(journal.write_started(key, {.session = session, .boot = extension::boot_id()}));
    has_begun = true;
    return {};
  };
  log_.info("act.begins", {{"workflow", request.workflow_id},
                           {"attempt", request.attempt},
                           {"step", request.step},
                           {"handler", step.handler},
                           {"verb", verb_name(request.verb)}});
  const extension::Limits limits{.time_limit = config_.time_limit(request.verb), .cancel_grace = config_.cancel_grace};
  const auto ended =
      extension::run_extension(*handler, call_for(request, workflow, *folder, *pieces), limits, stop, watch);
  if (!pieces->empty()) ::unlink(pieces->c_str());
  ActOutcome outcome = ended ? outcome_of(*ended) : outcome_of(Type::step_handler, ended.error());
  if (ended && ended->result_code == result::install_wants_pieces) outcome = wish_of(*ended, step);
  if (request.verb == Verb::is_installed)
    outcome.own_work = journal.own_work(request.attempt, request.step, extension::boot_id());
  log_.info("act.ended",
            {{"workflow", request.workflow_id},
             {"step", request.step},
             {"verb", verb_name(request.verb)},
             {"result", outcome.result_code},
             {"code", extended_code_hex(outcome.extended_codes.empty() ? 0 : outcome.extended_codes.front())},
             {"details", outcome.details}});
  if (is_ending_.load() && outcome.result_code <= 0)
    return Refusal{Code::unavailable, "the installer is ending; the act runs again after its start"};
  // Not at its end: it is called again, with the pieces or, after a cut, without.
  if (outcome.wants) return outcome;
  if (is_journaled && has_begun) {
    // What a step and its programs wrote may be in memory only: once the act counts as ended, it does not run again.
    ::sync();
    if (const auto written = journal.write_finished(key, outcome); !written)
      log_.error("journal.failed", {{"reason", written.error().message}});
  }
  return outcome;
}

Reply Installer::restart_device(const RestartDeviceRequest& request, const std::stop_token& stop) {
  const auto workflow = workspaces_.load(request.workflow_id);
  if (!workflow) return Refusal{workflow.error().code, workflow.error().message};
  auto journal = Journal::open(config_.acts_folder(), request.workflow_id, workflow->manifest_sha256);
  if (!journal) return failure(code_of_own(journal.error().code), journal.error().message);
  if (!journal->wants_restart(request.attempt))
    return failure(erc::reboot_failed, "no step of this attempt asked for a restart of the device");
  log_.warning("device.restarts", {{"workflow", request.workflow_id}, {"command", config_.restart_command.front()}});
  ::sync();
  const auto ended = run_command(config_.restart_command, "", {.time = config_.restart_time_limit}, stop);
  if (!ended) return failure(erc::reboot_failed, ended.error().message);
  if (ended->ok()) return ActOutcome{.result_code = result::success, .extended_codes = {}, .details = ""};
  const std::string output = extension::printable(trimmed(std::string_view(ended->output).substr(0, 512)));
  return failure(erc::reboot_failed, fmt::format("{} {}{}", config_.restart_command.front(), ended->in_words(),
                                                 output.empty() ? "" : ": " + output));
}

Reply Installer::close(const CloseRequest& request) {
  if (auto removed = workspaces_.remove(request.workflow_id); !removed)
    return Refusal{removed.error().code, removed.error().message};
  log_.info("workflow.closed", {{"workflow", request.workflow_id}});
  return ActOutcome{.result_code = result::success, .extended_codes = {}, .details = ""};
}

extension::Callbacks Installer::callbacks(const Emit& emit, std::string_view source) {
  return {.on_started = {},
          .on_progress =
              [&emit](std::uint64_t done, std::uint64_t total) {
                emit(Progress{done, total});
              },
          .on_log =
              [this, &emit, name = std::string(source)](LogLevel level, std::string_view line) {
                log_.write(level, "extension.says", {{"handler", name}, {"line", line}});
                emit(LogLine{level, std::string(line)});
              }};
}

}  // namespace godwit::installer
