// One deployment over a whole fleet, from the operator's PUT to the last Succeeded: the real store, registry, planner
// and views, without sockets. Devices are rows of the store; what the hub would send them tells this program their
// workflow, and each reports twice through the registry, as the hub does it. Meanwhile an operator looks on. Beside it,
// in the same run: SQLite alone writing one row of as many bytes for each device, as many rows a commit as the store's
// writer made, and the operator's reads when nothing is written. Prints one JSON line. Usage: bench_deployments FOLDER
// DEVICES
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <random>
#include <thread>

#include "core/base/file.hpp"
#include "sqlite_rows.hpp"
#include "virtual_fleet.hpp"

namespace {

using namespace godwit;
using namespace godwit::bench;
using Steady = std::chrono::steady_clock;

constexpr int kIdleRounds = 200;
constexpr auto kOperatorPause = std::chrono::milliseconds(20);
constexpr auto kPatience = std::chrono::minutes(5);

double seconds_since(Steady::time_point begun) { return std::chrono::duration<double>(Steady::now() - begun).count(); }

/// Devices do not report in the order in which they were registered.
std::vector<std::size_t> shuffled(std::size_t devices) {
  std::vector<std::size_t> order(devices);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64{1});
  return order;
}

/// A line of /proc/self/status, in KiB.
std::size_t memory(std::string_view name) {
  const std::string text = read_file("/proc/self/status", 64 * 1024).value();
  return static_cast<std::size_t>(std::atoll(text.c_str() + text.find(name) + name.size() + 1));
}

/// What a console asks for while a deployment runs, each answer printed as the API does.
class Operator {
 public:
  static constexpr std::array kNames{"status", "device_states", "compliance", "devices"};
  Operator(VirtualFleet& fleet, std::size_t devices) : fleet_(fleet), devices_(devices) {}

  void look() {
    const std::string token = device_id(random_() % devices_).str();
    time(0, [&] { return bytes(fleet_.rollout.status(group_id(), deployment_id())); });
    time(1, [&] { return bytes(fleet_.rollout.device_states(group_id(), deployment_id(), {}, token)); });
    time(2, [&] { return bytes(fleet_.inventory.compliance(std::nullopt, std::nullopt)); });
    time(3, [&] { return bytes(fleet_.inventory.list_devices({}, token)); });
  }
  void look_until(const std::atomic<bool>& is_over) {
    for (; !is_over; std::this_thread::sleep_for(kOperatorPause)) look();
  }
  /// {"status":{"p50":..,"p99":..},..} in milliseconds.
  std::string figures() {
    std::string text = fmt::format(R"({{"rounds":{})", times_[0].size());
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      std::sort(times_[i].begin(), times_[i].end());
      const auto at = [&](std::size_t percent) {
        return times_[i].empty() ? 0.0 : times_[i][times_[i].size() * percent / 100];
      };
      text += fmt::format(R"(,"{}":{{"p50":{:.2f},"p99":{:.2f}}})", kNames[i], at(50), at(99));
    }
    return text + "}";
  }

 private:
  static std::size_t bytes(const Result<json::Object>& answer) {
    expect(answer);
    return json::print(*answer).size();
  }
  static std::size_t bytes(const Result<service::FleetPage>& answer) {
    expect(answer);
    return json::print(json::Value(answer->values)).size();
  }
  template <class Work>
  void time(std::size_t which, const Work& work) {
    const auto begun = Steady::now();
    if (work() == 0) give_up("an answer is empty");
    times_[which].push_back(seconds_since(begun) * 1000);
  }

  VirtualFleet& fleet_;
  std::size_t devices_;
  std::mt19937_64 random_{2};
  std::array<std::vector<double>, kNames.size()> times_{};
};

/// Work, how long it took, and how many rows of `rows` the writer put into one commit.
struct Phase {
  double seconds = 0;
  double rows_per_commit = 0;
};
template <class Work>
Phase run_phase(VirtualFleet& fleet, std::size_t rows, const Work& work) {
  const std::uint64_t before = fleet.store->counters().commits;
  const auto begun = Steady::now();
  work();
  const double seconds = seconds_since(begun);
  const std::uint64_t commits = fleet.store->counters().commits - before;
  return {seconds, static_cast<double>(rows) / static_cast<double>(std::max<std::uint64_t>(commits, 1))};
}

void wait_for_offers(const VirtualFleet& fleet, std::size_t devices) {
  const auto begun = Steady::now();
  for (; fleet.offered < devices; std::this_thread::sleep_for(std::chrono::microseconds(200)))
    if (Steady::now() - begun > kPatience) give_up(fmt::format("only {} goals were stored", fleet.offered.load()));
}

void check_all_succeeded(VirtualFleet& fleet, std::size_t devices) {
  expect(fleet.store->read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto counts, records.rollout().all_counts());
    if (counts.size() != 1 || counts[0].state != DeviceState::succeeded || counts[0].devices != devices)
      return fail(Code::internal, "not every device has succeeded");
    return {};
  }));
}

double list_all(VirtualFleet& fleet, std::size_t devices) {
  const auto begun = Steady::now();
  std::size_t found = 0;
  std::string token;
  do {
    const auto page = fleet.inventory.list_devices({}, token);
    expect(page);
    found += page->values.size();
    token = page->next_token;
  } while (!token.empty());
  if (found != devices) give_up(fmt::format("the pages hold {} devices", found));
  return seconds_since(begun);
}

/// Bytes that the service holds for a device, and for a report: what SQLite alone has to write in one row.
std::size_t bytes_of_device(const Path& file) {
  return static_cast<std::size_t>(
      SqliteRows(file.string())
          .number("SELECT avg(length(t.tags) + length(t.desired) + length(t.desired_metadata) + length(t.reported) + "
                  "length(t.reported_metadata) + length(d.workflow_id) + length(d.class_id) + length(d.result_json) + "
                  "length(f.result_json) + length(f.class_id) + length(f.installed) + length(f.attempted)) FROM twins "
                  "t JOIN "
                  "deployment_devices d USING (device_id) JOIN fleet_devices f ON f.id = t.device_id WHERE t.rowid <= "
                  "1000"));
}

/// The line that is printed: figures by name.
class Line {
 public:
  void add(std::string_view name, double value) {
    text_ += fmt::format(R"({}"{}":{:.4g})", text_.empty() ? "" : ",", name, value);
  }
  void add(std::string_view name, std::size_t value) { add(name, fmt::format("{}", value)); }
  void add(std::string_view name, const std::string& value) {
    text_ += fmt::format(R"({}"{}":{})", text_.empty() ? "" : ",", name, value);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_{};
};

/// From the PUT to the last stored goal, and from the first report to the last Succeeded, while an operator looks on.
struct Course {
  Phase offers{}, begins{}, successes{};
  double put_seconds = 0;
  std::size_t offer_bytes = 0;
  std::size_t report_bytes = 0;
};
Course deploy(VirtualFleet& fleet, const Path& file, std::size_t devices, Operator& looks) {
  Course course;
  const auto order = shuffled(devices);
  std::atomic<bool> is_over = false;
  std::thread watching;
  course.offers = run_phase(fleet, devices, [&] {
    const auto begun = Steady::now();
    expect(fleet.rollout.create(
        {.group = group_id(), .id = deployment_id(), .update = update_id(), .start = fleet.clock.now()}, "bench"));
    course.put_seconds = seconds_since(begun);
    watching = std::thread([&] { looks.look_until(is_over); });
    wait_for_offers(fleet, devices);
  });
  course.offer_bytes = bytes_of_device(file);
  course.begins = run_phase(fleet, devices, [&] { report(fleet, order, work_in_progress()); });
  course.successes = run_phase(fleet, devices, [&] { report(fleet, order, success()); });
  is_over = true;
  watching.join();
  check_all_succeeded(fleet, devices);
  course.report_bytes = bytes_of_device(file) +
                        static_cast<std::size_t>(SqliteRows(file.string())
                                                     .number("SELECT avg(length(report_json) + length(workflow_id)) "
                                                             "FROM device_reports WHERE sequence % 100 = 0"));
  return course;
}

/// The same bytes by SQLite alone, one row for each device: as goals in the order of the ids, as reports in any.
void add_limits(Line& line, const Path& file, const Course& course, std::size_t devices) {
  SqliteRows limit(file.string());
  limit.run("CREATE TABLE rows (device_id TEXT PRIMARY KEY, document TEXT NOT NULL)");
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < devices; ++i) ids.push_back(device_id(i).str());
  const auto batch = [](const Phase& phase) { return std::max<std::size_t>(1, std::llround(phase.rows_per_commit)); };
  line.add("sqlite_inserts_per_second", limit.rows_per_second("INSERT INTO rows (document, device_id) VALUES (?, ?)",
                                                              ids, course.offer_bytes, batch(course.offers)));
  std::shuffle(ids.begin(), ids.end(), std::mt19937_64{1});
  line.add("sqlite_updates_per_second", limit.rows_per_second("UPDATE rows SET document = ? WHERE device_id = ?", ids,
                                                              course.report_bytes, batch(course.successes)));
}

void add_course(Line& line, const Course& course) {
  line.add("put_seconds", course.put_seconds);
  line.add("offer_seconds", course.offers.seconds);
  line.add("offers_per_commit", course.offers.rows_per_commit);
  line.add("offer_bytes", course.offer_bytes);
  line.add("begin_seconds", course.begins.seconds);
  line.add("succeed_seconds", course.successes.seconds);
  line.add("reports_per_commit", course.successes.rows_per_commit);
  line.add("report_bytes", course.report_bytes);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: {} FOLDER DEVICES\n", argv[0]);
    return 2;
  }
  const Path folder = argv[1];
  const auto devices = static_cast<std::size_t>(std::atoll(argv[2]));
  const Path file = folder / "deployments.sqlite";
  Line line;
  line.add("devices", devices);
  VirtualFleet fleet(file, devices);
  const auto begun = Steady::now();
  fill(fleet, devices);
  line.add("fill_seconds", seconds_since(begun));
  line.add("filled_kib", memory("VmRSS"));
  fleet.rollout.start();
  Operator looks(fleet, devices);
  const Course course = deploy(fleet, file, devices, looks);
  add_course(line, course);
  line.add("reads", looks.figures());
  Operator idle(fleet, devices);
  for (int i = 0; i < kIdleRounds; ++i) idle.look();
  line.add("idle_reads", idle.figures());
  line.add("list_seconds", list_all(fleet, devices));
  line.add("end_kib", memory("VmRSS"));
  line.add("peak_kib", memory("VmHWM"));
  line.add("sqlite_list_seconds",
           SqliteRows(file.string()).seconds("SELECT * FROM fleet_devices WHERE class_id <> '' ORDER BY id"));
  line.add("file_bytes", static_cast<std::size_t>(std::filesystem::file_size(file)));
  add_limits(line, folder / "reference.sqlite", course, devices);
  fmt::print("{{{}}}\n", line.text());
  return 0;
}
