#include "tools/fleet/runs.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "tools/fleet/requests.hpp"
#include "tools/fleet/stage.hpp"
#include "tools/fleet/watch.hpp"

namespace godwit::fleet {
namespace {

constexpr std::string_view kTwinAnswers = "$iothub/twin/res/#";
constexpr std::string_view kDesiredPatches = "$iothub/twin/PATCH/properties/desired/#";

/// Says when the fleet is no longer whole and when it is again, with the time between.
class Wholeness {
 public:
  explicit Wholeness(Stage& stage) : stage_(stage) {}
  void look() {
    const Fleet& fleet = *stage_.fleet;
    const bool is_whole = fleet.ready() >= fleet.wanted();
    if (is_whole == is_whole_) return;
    is_whole_ = is_whole;
    json::Object milestone{{"event", is_whole ? "back" : "lost"}, {"devices", fleet.wanted()}};
    if (is_whole) {
      milestone["seconds"] = rounded(seconds_since(lost_), 0.001);
      milestone["connect_ms"] = print_times(stage_.fleet->connect_times());
      milestone["connection_errors"] = print_counts(fleet.counts().errors);
    } else {
      lost_ = Steady::now();
      stage_.fleet->connect_times().clear();
    }
    stage_.tell(milestone);
  }

 private:
  Stage& stage_;
  bool is_whole_ = true;
  Steady::time_point lost_{};
};

/// Lets `load` work for its time and gives its figures.
json::Object work(Stage& stage, RequestLoad& load) {
  const RunOptions& options = stage.options;
  const auto begun = Steady::now();
  Wholeness wholeness(stage);
  const Stretch stretch(options.server);
  load.start();
  stage.fleet->run_until([&] {
    wholeness.look();
    return stage.stop || (options.seconds > 0 && seconds_since(begun) >= options.seconds);
  });
  json::Object figures{{"event", "result"}, {"devices", stage.fleet->devices().size()}, {"answered", load.answered()}};
  stretch.print(figures, load.answered());
  figures["answer_ms"] = print_times(load.times());
  // What is on its way is waited for, so that a ledger does not miss an acknowledgement that was sent.
  load.stop();
  const auto end = Steady::now();
  stage.fleet->run_until([&] { return load.in_flight() == 0 || seconds_since(end) > 5; });
  figures["unanswered"] = load.in_flight();
  figures["request_errors"] = print_counts(load.errors());
  stage.print(figures);
  return figures;
}

}  // namespace

json::Object print_times(const Histogram& times) {
  const auto ms = [](Microseconds value) { return rounded(static_cast<double>(value.count()) / 1000, 0.001); };
  return {{"p50", ms(times.percentile(0.5))},
          {"p90", ms(times.percentile(0.9))},
          {"p95", ms(times.percentile(0.95))},
          {"p99", ms(times.percentile(0.99))},
          {"max", ms(times.max())}};
}

Result<json::Object> run_connect(RunOptions options, const Tell& tell, const std::atomic<bool>& stop) {
  Stage stage(std::move(options), tell, stop);
  GODWIT_TRY_VOID(stage.open());
  std::vector<std::size_t> steps = stage.options.steps;
  if (steps.empty() || steps.back() != stage.fleet->devices().size()) steps.push_back(stage.fleet->devices().size());
  const Stretch whole(stage.options.server);
  std::size_t before = 0;
  for (const std::size_t step : steps) {
    const Stretch stretch(stage.options.server);
    GODWIT_TRY_VOID(stage.connect(step));
    json::Object milestone{{"event", "step"}, {"devices", step}};
    stretch.print(milestone, step - before);
    tell(milestone);
    before = step;
  }
  json::Object figures{{"event", "result"}, {"devices", before}};
  whole.print(figures, before);
  tell({{"event", "ready"}, {"devices", before}});
  const auto begun = Steady::now();
  Wholeness wholeness(stage);
  stage.fleet->run_until([&] {
    wholeness.look();
    return stop || (stage.options.seconds > 0 && seconds_since(begun) >= stage.options.seconds);
  });
  stage.print(figures);
  return figures;
}

Result<json::Object> run_twins(RunOptions options, const Tell& tell, const std::atomic<bool>& stop) {
  if (options.filters.empty()) options.filters = {std::string(kTwinAnswers)};
  Stage stage(std::move(options), tell, stop);
  GODWIT_TRY_VOID(stage.open());
  TwinReads reads(*stage.fleet, {.in_flight = stage.options.in_flight, .per_second = stage.options.per_second},
                  stage.random);
  stage.fleet->set_workload(&reads);
  GODWIT_TRY_VOID(stage.connect_all());
  json::Object figures = work(stage, reads);
  stage.fleet->set_workload(nullptr);
  return figures;
}

Result<json::Object> run_reports(RunOptions options, const Tell& tell, const std::atomic<bool>& stop) {
  if (options.filters.empty()) options.filters = {std::string(kTwinAnswers)};
  std::optional<LedgerWriter> ledger;
  if (!options.ledger.empty()) {
    GODWIT_TRY(ledger, LedgerWriter::open(options.ledger));
  }
  Stage stage(std::move(options), tell, stop);
  GODWIT_TRY_VOID(stage.open());
  Reports reports(*stage.fleet, {.in_flight = stage.options.in_flight, .per_second = stage.options.per_second},
                  stage.random, stage.options.filler, stage.options.first_sequence, ledger ? &*ledger : nullptr);
  stage.fleet->set_workload(&reports);
  GODWIT_TRY_VOID(stage.connect_all());
  json::Object figures = work(stage, reports);
  stage.fleet->set_workload(nullptr);
  if (ledger) GODWIT_TRY_VOID(ledger->flush());
  return figures;
}

Result<json::Object> run_watch(RunOptions options, const Tell& tell, const std::atomic<bool>& stop) {
  if (options.filters.empty()) options.filters = {std::string(kTwinAnswers), std::string(kDesiredPatches)};
  Stage stage(std::move(options), tell, stop);
  GODWIT_TRY_VOID(stage.open());
  Watch watch(*stage.fleet, stage.options.expected);
  stage.fleet->set_workload(&watch);
  GODWIT_TRY_VOID(stage.connect_all());
  watch.start();
  const Stretch stretch(stage.options.server);
  const auto begun = Steady::now();
  const std::size_t count = stage.fleet->devices().size();
  stage.fleet->run_until([&] {
    return stop || watch.done() >= count ||
           (stage.options.seconds > 0 && seconds_since(begun) >= stage.options.seconds);
  });
  json::Object figures{{"event", "result"},
                       {"devices", count},
                       {"done", watch.done()},
                       {"arrived", watch.arrived()},
                       {"out_of_order", watch.out_of_order()},
                       {"first_arrival_us", watch.first_arrival()},
                       {"last_arrival_us", watch.last_arrival()}};
  stretch.print(figures, watch.arrived());
  stage.print(figures);
  stage.fleet->set_workload(nullptr);
  return figures;
}

Result<json::Object> run_verify(RunOptions options, const Tell& tell, const std::atomic<bool>& stop) {
  options.filters = {std::string(kTwinAnswers)};
  GODWIT_TRY(Ledger ledger, read_ledger(options.ledger));
  std::erase_if(options.identities, [&](const Identity& identity) { return !ledger.contains(identity.id.str()); });
  const std::size_t promises = ledger.size();
  if (options.identities.size() < promises)
    return fail(Code::invalid_argument, fmt::format("the ledger names {} devices, keys are there for {} of them",
                                                    promises, options.identities.size()));
  Stage stage(std::move(options), tell, stop);
  GODWIT_TRY_VOID(stage.open());
  Verify verify(*stage.fleet, std::move(ledger));
  stage.fleet->set_workload(&verify);
  GODWIT_TRY_VOID(stage.connect_all());
  const auto begun = Steady::now();
  stage.fleet->run_until(
      [&] { return stop || verify.checked() >= promises || seconds_since(begun) >= stage.options.connect_seconds; });
  json::Object figures{{"event", "result"},
                       {"devices", promises},
                       {"checked", verify.checked()},
                       {"broken", verify.broken().size() + promises - verify.checked()}};
  json::Array sentences;
  for (const std::string& sentence : verify.broken()) sentences.emplace_back(sentence);
  figures["sentences"] = std::move(sentences);
  stage.print(figures);
  stage.fleet->set_workload(nullptr);
  return figures;
}

}  // namespace godwit::fleet
