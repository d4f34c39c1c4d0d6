#include "server/api/metrics.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/file.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "server/api/router.hpp"
#include "server/api/services.hpp"

namespace godwit::api {
namespace {

using Type = MetricText::Type;

[[nodiscard]] std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text.push_back('\\');
    if (c == '\n')
      text += "\\n";
    else
      text.push_back(c);
  }
  return text;
}

void one(MetricText& text, std::string_view name, Type type, std::string_view help, std::uint64_t value) {
  text.begin(name, type, help);
  text.add(static_cast<double>(value));
}

[[nodiscard]] std::size_t count_entries(const char* folder) {
  DIR* const opened = ::opendir(folder);
  if (opened == nullptr) return 0;
  std::size_t count = 0;
  while (::readdir(opened) != nullptr) ++count;
  ::closedir(opened);
  return count > 2 ? count - 2 : 0;  // without "." and ".."
}

/// Every state from `first` to `last`, also those that nobody has: a series that comes and goes is hard to watch.
void write_states(MetricText& text, std::string_view name, std::string_view help,
                  const std::vector<store::StateCount>& counts, int first, int last, std::string (*word)(int)) {
  text.begin(name, Type::gauge, help);
  for (int state = first; state <= last; ++state) {
    std::uint64_t number = 0;
    for (const auto& count : counts)
      if (count.state == state) number = count.count;
    text.add(static_cast<double>(number), {{"state", word(state)}});
  }
}

[[nodiscard]] std::string deployment_word(int state) {
  static constexpr std::array<std::string_view, 5> kWords{"Scheduled", "Active", "Inactive", "Canceled", "Failed"};
  return state >= 0 && state < 5 ? std::string(kWords[static_cast<std::size_t>(state)]) : "Unknown";
}
[[nodiscard]] std::string device_word(int state) {
  return state < 0 ? "None" : std::string(device_state_name(static_cast<DeviceState>(state)));
}
[[nodiscard]] std::string operation_word(int state) {
  return std::string(store::operation_status_name(static_cast<store::OperationStatus>(state)));
}

void write_deltas(MetricText& text, const DeltaFigures& deltas) {
  text.begin("godwit_deltas_total", Type::counter, "Deltas that imports tried to make, by what became of them.");
  text.add(static_cast<double>(deltas.made), {{"result", "made"}});
  text.add(static_cast<double>(deltas.dropped), {{"result", "dropped"}});
  text.begin("godwit_deltas_saved_bytes_total", Type::counter,
             "Bytes that the deltas made save each device that uses one.");
  text.add(static_cast<double>(deltas.saved_bytes));
}

void write_scans(MetricText& text, const ScanFigures& scans) {
  text.begin("godwit_scans_total", Type::counter, "Files that a malware scanner was asked about, by what it said.");
  text.add(static_cast<double>(scans.clean), {{"result", "clean"}});
  text.add(static_cast<double>(scans.infected), {{"result", "infected"}});
  text.add(static_cast<double>(scans.not_scanned), {{"result", "not_scanned"}});
  text.add(static_cast<double>(scans.failed), {{"result", "failed"}});
  text.begin("godwit_scan_seconds_total", Type::counter, "Time that scanners took in all.");
  text.add(scans.seconds);
}

/// What the records say, from counters and small tables.
[[nodiscard]] Result<void> write_records(MetricText& text, Services& services) {
  std::uint64_t identities = 0;
  std::vector<store::StateCount> deployments, devices, imports, logs;
  store::LogTotals log_totals;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto counts, records.devices().count_identities());
    identities = counts.devices;
    GODWIT_TRY(deployments, records.figures().subgroup_deployments());
    GODWIT_TRY(devices, records.figures().fleet_devices());
    GODWIT_TRY(imports, records.figures().imports());
    GODWIT_TRY(logs, records.figures().log_agents());
    GODWIT_TRY(log_totals, records.logs().totals());
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  one(text, "godwit_devices_registered", Type::gauge, "Device identities of the hub.", identities);
  write_states(text, "godwit_devices", "Devices of the fleet by the state of their last deployment.", devices, -1, 3,
               device_word);
  write_states(text, "godwit_subgroup_deployments", "Deployments of subgroups by state.", deployments, 0, 4,
               deployment_word);
  write_states(text, "godwit_imports", "Import and delete operations that are remembered, by status.", imports, 0, 3,
               operation_word);
  write_states(text, "godwit_log_agents", "Agents in log collections by status.", logs, 0, 3, operation_word);
  one(text, "godwit_log_bytes", Type::gauge, "Bytes of collected logs.", log_totals.bytes);
  return {};
}

}  // namespace

void MetricText::begin(std::string_view name, Type type, std::string_view help) {
  static constexpr std::array<std::string_view, 3> kTypes{"counter", "gauge", "histogram"};
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, kTypes[static_cast<std::size_t>(type)]);
}

void MetricText::line(std::string_view suffix, const Labels& labels, double value) {
  text_ += name_ + std::string(suffix);
  for (std::size_t i = 0; i < labels.size(); ++i)
    text_ += fmt::format("{}{}=\"{}\"", i == 0 ? "{" : ",", labels[i].first, escaped(labels[i].second));
  text_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", value);
}

void MetricText::add(double value, const Labels& labels) { line("", labels, value); }

void MetricText::add_histogram(const double* bounds, const std::uint64_t* buckets, std::size_t bound_count,
                               double sum) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i <= bound_count; ++i) {
    total += buckets[i];
    line("_bucket", {{"le", i < bound_count ? fmt::format("{}", bounds[i]) : "+Inf"}}, static_cast<double>(total));
  }
  line("_sum", {}, sum);
  line("_count", {}, static_cast<double>(total));
}

void Metrics::note_request(Method method, std::string_view pattern, int status, Duration took) {
  const double seconds = static_cast<double>(took.count()) / 1000.0;
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  const std::lock_guard lock(mutex_);
  ++requests_[{pattern, method, status}];
  ++durations_[static_cast<std::size_t>(bound - kBounds.begin())];
  seconds_ += seconds;
}

void Metrics::note_downloaded(ByteCount bytes) {
  const std::lock_guard lock(mutex_);
  downloaded_ += bytes;
}

void Metrics::note_uploaded(ByteCount bytes) {
  const std::lock_guard lock(mutex_);
  uploaded_ += bytes;
}

void Metrics::write(MetricText& text) const {
  const std::lock_guard lock(mutex_);
  text.begin("godwit_http_requests_total", Type::counter, "Answers by route, method and status.");
  for (const auto& [key, count] : requests_) {
    const auto& [pattern, method, status] = key;
    text.add(static_cast<double>(count), {{"route", pattern.empty() ? "none" : std::string(pattern)},
                                          {"method", std::string(method_name(method))},
                                          {"status", std::to_string(status)}});
  }
  text.begin("godwit_http_request_duration_seconds", Type::histogram,
             "From a request's head to the end of its answer.");
  text.add_histogram(kBounds.data(), durations_.data(), kBounds.size(), seconds_);
  one(text, "godwit_payload_sent_bytes_total", Type::counter, "Bytes of payloads and logs sent.", downloaded_);
  one(text, "godwit_payload_received_bytes_total", Type::counter, "Bytes of payloads and logs received.", uploaded_);
}

void write_hub(MetricText& text, const hub::Counters& counters) {
  one(text, "godwit_hub_connections", Type::gauge, "Sockets of the hub.", counters.connections);
  one(text, "godwit_hub_devices_connected", Type::gauge, "Devices and modules that are connected.", counters.devices);
  one(text, "godwit_hub_connects_total", Type::counter, "Connections that were accepted with CONNACK 0.",
      counters.connects);
  text.begin("godwit_hub_refused_total", Type::counter, "CONNECTs that were refused, by reason.");
  static constexpr std::array<std::string_view, 6> kReasons{"none",        "protocol",    "client_id",
                                                            "unavailable", "credentials", "not_authorized"};
  for (std::size_t code = 1; code < kReasons.size(); ++code)
    text.add(static_cast<double>(counters.refused_by_code[code]), {{"reason", std::string(kReasons[code])}});
  one(text, "godwit_hub_turned_away_total", Type::counter, "Connections that were closed at accept.",
      counters.turned_away);
  one(text, "godwit_hub_takeovers_total", Type::counter, "Connections that replaced another of the same device.",
      counters.takeovers);
  one(text, "godwit_hub_disconnects_total", Type::counter, "Connections of devices that ended.", counters.disconnects);
  one(text, "godwit_hub_twin_writes_total", Type::counter, "Reported patches that devices sent.",
      counters.reported_patches);
  one(text, "godwit_hub_twin_reads_total", Type::counter, "Twins that devices asked for.", counters.twin_gets);
  one(text, "godwit_hub_desired_pushes_total", Type::counter, "Desired patches pushed to devices.",
      counters.desired_pushes);
  text.begin("godwit_hub_messages_total", Type::counter, "Messages by kind.");
  text.add(static_cast<double>(counters.telemetry), {{"kind", "telemetry"}});
  text.add(static_cast<double>(counters.messages_sent), {{"kind", "to_device"}});
  text.add(static_cast<double>(counters.messages_completed), {{"kind", "completed"}});
  text.add(static_cast<double>(counters.method_calls), {{"kind", "method_call"}});
  text.add(static_cast<double>(counters.method_answers), {{"kind", "method_answer"}});
  one(text, "godwit_hub_registrations_total", Type::counter, "Devices that were provisioned.", counters.registrations);
}

void write_store(MetricText& text, const store::StoreCounters& counters) {
  one(text, "godwit_store_queue_depth", Type::gauge, "Writes that wait.", counters.queued);
  one(text, "godwit_store_jobs_total", Type::counter, "Writes that were taken up.", counters.jobs);
  one(text, "godwit_store_failed_commits_total", Type::counter, "Commits that failed.", counters.failed_commits);
  text.begin("godwit_store_commit_duration_seconds", Type::histogram, "How long a commit took.");
  text.add_histogram(store::kCommitBounds.data(), counters.commit_buckets.data(), store::kCommitBounds.size(),
                     counters.commit_seconds);
}

void write_process(MetricText& text) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  text.begin("process_cpu_seconds_total", Type::counter, "Processor time, user and system.");
  text.add(seconds(used.ru_utime) + seconds(used.ru_stime));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::string memory = read_file("/proc/self/statm", 4096).value_or("");
  const std::size_t space = memory.find(' ');
  if (space != std::string::npos) {
    const std::string_view rest = std::string_view(memory).substr(space + 1);
    one(text, "process_resident_memory_bytes", Type::gauge, "Memory in use.",
        to_number<std::uint64_t>(rest.substr(0, rest.find(' '))).value_or(0) * page);
    one(text, "process_virtual_memory_bytes", Type::gauge, "Address space in use.",
        to_number<std::uint64_t>(std::string_view(memory).substr(0, space)).value_or(0) * page);
  }
  one(text, "process_open_fds", Type::gauge, "Open descriptors.", count_entries("/proc/self/fd"));
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    one(text, "process_max_fds", Type::gauge, "Descriptors that may be open.", limit.rlim_cur);
  one(text, "process_threads", Type::gauge, "Threads.", count_entries("/proc/self/task"));
}

Result<Reply> get_metrics(const Request&, Services& services) {
  MetricText text;
  text.begin("godwit_build_info", Type::gauge, "Always 1; the label tells the version.");
  text.add(1, {{"version", GODWIT_VERSION}});
  if (services.metrics != nullptr) services.metrics->write(text);
  if (services.hub.counters) write_hub(text, services.hub.counters());
  write_store(text, services.store.counters());
  if (services.queued_requests)
    one(text, "godwit_http_queue_depth", Type::gauge, "Requests that wait for a worker.", services.queued_requests());
  if (services.scans) write_scans(text, services.scans());
  if (services.deltas) write_deltas(text, services.deltas());
  GODWIT_TRY_VOID(write_records(text, services));
  if (services.metrics != nullptr) write_process(text);  // what the whole process has is told once
  return Reply{.body = text.take(), .content_type = "text/plain; version=0.0.4; charset=utf-8"};
}

}  // namespace godwit::api
