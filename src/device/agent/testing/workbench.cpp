#include "device/agent/testing/workbench.hpp"
#include "device/agent/testing/fake_maker.hpp"

#include "core/trust/manifest_signature.hpp"
#include "core/trust/test_keys.hpp"

namespace godwit::agent {
namespace {

constexpr int kStepLimit = 2000;  // turns of one life; more means that it goes round in circles

std::string content_of(std::size_t step) { return "payload of step " + std::to_string(step); }

installer::Plan plan_of(const manifest::UpdateManifest& manifest) {
  installer::Plan plan;
  plan.update_id = manifest.update_id.to_json();
  for (std::size_t i = 0; i < manifest.steps.size(); ++i) {
    installer::PlanStep step{.index = static_cast<std::uint32_t>(i),
                             .path = "step_" + std::to_string(i),
                             .handler = manifest.steps[i].handler};
    for (const auto& id : manifest.steps[i].files) {
      const auto& file = manifest.files.at(id);
      step.files.push_back({.id = id, .name = file.file_name, .size = file.size, .sha256 = hex_encode(file.sha256())});
    }
    plan.steps.push_back(std::move(step));
  }
  return plan;
}

manifest::UpdateManifest manifest_of(std::size_t steps) {
  manifest::UpdateManifest manifest;
  manifest.update_id = UpdateId::parse("Contoso", "Toaster", "1.2.0").value();
  manifest.compatibility = {{{"manufacturer", "Contoso"}, {"model", "Toaster"}}};
  manifest.created = "2026-11-22T10:00:00Z";
  for (std::size_t i = 0; i < steps; ++i) {
    const std::string id = "f" + std::to_string(i);
    manifest::PayloadFile file;
    file.file_name = "payload-" + std::to_string(i) + ".bin";
    file.size = content_of(i).size();
    file.hashes["sha256"] = base64_encode(sha256(content_of(i)));
    manifest.files[id] = std::move(file);
    manifest.steps.push_back({.handler = "microsoft/script:1", .files = {id}});
  }
  return manifest;
}

}  // namespace

/// Counts rows, and nothing else: the log of the executor is where a test sees which row was taken.
class RowLog final : public Log {
 public:
  explicit RowLog(Workbench& bench) : bench_(bench) {}
  void write(LogLevel, std::string_view event, std::initializer_list<LogField> fields) override {
    if (event != "workflow.moved") return;
    std::string from, on;
    for (const auto& field : fields) {
      if (field.key == "from") from = field.value;
      if (field.key == "on") on = field.value;
    }
    for (const Row& row : kRows)
      if (state_name(row.from) == from && event_name(row.on) == on) bench_.rows_taken.insert({row.from, row.on});
  }

 private:
  Workbench& bench_;
};

/// One life of an agent, from its start to the end of the work or to the cut.
class Life final : public Journal, public EffectQueue, public PatchSender {
 public:
  explicit Life(Workbench& bench)
      : bench_(bench),
        log_(bench),
        outbox_(*Outbox::open(bench.folder.path() / "outbox", log_)),
        pauses_(bench.clock),
        installer_(bench.device),
        payloads_({.give_up_after = std::chrono::minutes(5), .reserve = 0}, links_, bench.downloader, maker_,
                  bench.clock, random_, pauses_, log_),
        effects_({.downloads = bench.folder.path() / "downloads",
                  .verify = {.trust_anchors = bench.folder.path() / "anchors.json",
                             .root_keys_file = bench.folder.path() / "rootkeys.json",
                             .device_properties = {{"manufacturer", "Contoso"}, {"model", "Toaster"}}}},
                 {.installer = installer_,
                  .payloads = payloads_,
                  .consent = bench.consent,
                  .components = components_,
                  .pauses = pauses_,
                  .clock = bench.clock,
                  .log = log_}),
        reporter_(outbox_, *this, bench.clock, random_, log_),
        executor_({.journal = *this,
                   .effects = *this,
                   .reporter = reporter_,
                   .history = history_,
                   .links = links_,
                   .clock = bench.clock,
                   .log = log_,
                   .boot = "boot-" + std::to_string(bench.boot)}) {
    installer_.cancels_come_too_late = bench.cancels_come_too_late;
    installer_.on_request = bench.on_request;
    installer_.on_restart = [&bench] {
      ++bench.restarts_asked_for;
      if (!bench.restart_command_works) return;
      ++bench.boot;
      bench.device.reboot();
      throw PowerCut{};
    };
    bench_.life_ = this;
  }
  ~Life() override { bench_.life_ = nullptr; }

  void run() {
    executor_.start(bench_.journal_text.empty() ? Record{} : parse_record(bench_.journal_text).value());
    executor_.handle(LinkOnline{});
    tell_goal();
    for (int turn = 0; turn < kStepLimit; ++turn) {
      if (executor_.wants_restart()) {  // the process starts itself anew
        if (bench_.before_restart) std::exchange(bench_.before_restart, {})();
        throw PowerCut{};
      }
      if (!answers_.empty()) {
        const auto token = answers_.front();
        answers_.pop_front();
        executor_.handle(SessionAnswer{token, bench_.report_status});
      } else if (!jobs_.empty()) {
        do_job();
      } else if (const auto until = executor_.deadline()) {
        if (*until > bench_.clock.monotonic()) bench_.clock.advance(*until - bench_.clock.monotonic());
        executor_.tick();
      } else {
        return;
      }
    }
    GODWIT_CHECK(!"the agent goes round in circles");
  }

  void tell_goal() {
    if (!bench_.desired_.empty()) executor_.handle(SessionDesired{bench_.desired_, bench_.desired_version_});
  }

  Result<void> save(const Record& record) override {
    if (bench_.journal_failures > 0) {
      --bench_.journal_failures;
      return fail(Code::disk_full, "no space left");
    }
    bench_.journal_text = print_record(record);
    bench_.moment();
    return {};
  }
  void start(EffectRequest request) override { jobs_.push_back({std::move(request), std::stop_source{}}); }
  void request_stop() override {
    for (auto& job : jobs_) job.stop.request_stop();
  }
  void send_patch(std::uint64_t token, std::string patch) override {
    bench_.reported.push_back(json::parse_object(patch).value());
    answers_.push_back(token);
  }

 private:
  struct Job {
    EffectRequest request;
    std::stop_source stop;
  };

  void do_job() {
    const EffectRequest request = jobs_.front().request;
    const std::stop_token stop = jobs_.front().stop.get_token();
    if (bench_.before_effect && request.epoch != 0) bench_.before_effect(request);
    EffectResult result = effects_.run(request, stop, [](const twin::Progress&) {});
    jobs_.pop_front();
    bench_.moment();
    if (request.epoch != 0) executor_.handle(EffectEnded{request.epoch, std::move(result)});
  }

  Workbench& bench_;
  RowLog log_;
  SeededRandom random_{11};
  Outbox outbox_;
  FakePauses pauses_;
  DirectInstaller installer_;
  FakeMaker maker_;
  FakeComponents components_;
  Links links_;
  Payloads payloads_;
  DeviceEffects effects_;
  Reporter reporter_;
  FileHistory history_{bench_.folder.path() / "history.json", bench_.clock, log_};
  Executor executor_;
  std::deque<Job> jobs_;
  std::deque<std::uint64_t> answers_;
};

Workbench::Workbench(std::size_t steps, const Path& parent)
    : folder(parent), device(plan_of(manifest_of(steps))), manifest(manifest_of(steps)) {
  // One set of signed things for all benches of a test binary: RSA is slow.
  struct Signed {
    std::string jwk, package, anchors;
  };
  static const Signed keys = [] {
    trust::RootKeyPackage package;
    package.version = 3;
    package.root_keys = {{"root.1", trust::test_key(0).public_key()}};
    trust::TrustAnchors anchors;
    anchors.keys.emplace("root.1", trust::test_key(0).public_key());
    return Signed{
        trust::make_signed_jwk(trust::test_key(2).public_key(), "signing.1", trust::test_key(0), "root.1").value(),
        package.sign({&trust::test_key(0)}).value(), anchors.print()};
  }();
  manifest_text = print_update_manifest(manifest);
  static std::map<std::string, std::string> signatures;
  std::string& known = signatures[manifest_text];
  if (known.empty()) known = trust::sign_manifest(manifest_text, trust::test_key(2), keys.jwk).value();
  signature = known;
  GODWIT_CHECK(write_file_durably(folder.path() / "anchors.json", keys.anchors).has_value());
  downloader.files["https://x/keys"] = keys.package;
  for (std::size_t i = 0; i < steps; ++i) downloader.files["https://x/f" + std::to_string(i)] = content_of(i);
}

twin::DesiredUpdate Workbench::goal(std::string workflow, std::string stamp, twin::Action action) const {
  twin::DesiredUpdate made;
  made.action = action;
  made.workflow_id = std::move(workflow);
  made.retry_timestamp = std::move(stamp);
  made.root_key_package_url = "https://x/keys";
  made.manifest = manifest_text;
  made.manifest_signature = signature;
  for (std::size_t i = 0; i < manifest.steps.size(); ++i)
    made.file_urls["f" + std::to_string(i)] = "https://x/f" + std::to_string(i);
  return made;
}

void Workbench::want(const twin::DesiredUpdate& goal) {
  wanted = goal;
  json::Object patch = twin::desired_patch(goal, ContractModel::v3, {});
  // A cancel writes the workflow only; what a deployment left stays beside it, as in a real twin.
  if (goal.action == twin::Action::cancel) {
    twin::DesiredUpdate whole = goal;
    whole.action = twin::Action::process_deployment;
    patch = twin::desired_patch(whole, ContractModel::v3, {});
    patch["deviceUpdate"].as_object()["service"].as_object()["workflow"].as_object()["action"] = 255;
  }
  want_raw(std::move(patch));
}

void Workbench::want_raw(json::Object desired) {
  desired_ = std::move(desired);
  ++desired_version_;
  if (life_ != nullptr) life_->tell_goal();
}

int Workbench::live(int most_lives) {
  for (int lives = 1; lives <= most_lives; ++lives) {
    try {
      Life life(*this);
      life.run();
      return lives;
    } catch (const PowerCut&) {
    }
  }
  return most_lives + 1;
}

void Workbench::moment() {
  if (!cuts.contains(moments++)) return;
  if (cuts_are_of_power) {
    ++boot;
    device.reboot();
  }
  throw PowerCut{};
}

Record Workbench::record() const { return journal_text.empty() ? Record{} : parse_record(journal_text).value(); }

json::Object Workbench::last_report(std::string_view member) const {
  for (auto patch = reported.rbegin(); patch != reported.rend(); ++patch) {
    const auto* component = json::object_or_null(*patch, "deviceUpdate");
    const auto* agent = component != nullptr ? json::object_or_null(*component, "agent") : nullptr;
    if (agent != nullptr && agent->contains(member)) return *agent;
  }
  return {};
}

std::vector<int> Workbench::states_reported() const {
  std::vector<int> states;
  for (const auto& patch : reported) {
    const auto* component = json::object_or_null(patch, "deviceUpdate");
    const auto* agent = component != nullptr ? json::object_or_null(*component, "agent") : nullptr;
    if (agent == nullptr) continue;
    if (const auto state = json::integer_or_nothing(*agent, "state")) states.push_back(static_cast<int>(*state));
  }
  return states;
}

int Workbench::acks() const {
  int count = 0;
  for (const auto& patch : reported) {
    const auto* component = json::object_or_null(patch, "deviceUpdate");
    if (component != nullptr && component->contains("service")) ++count;
  }
  return count;
}

}  // namespace godwit::agent
