// Queries over a fleet: how long POST /devices/query works on one page or one aggregation, without HTTP. Fills a fresh
// store with N devices (about 1 KB of twin each, as an updating device has) and prints one JSON line for each query,
// beside the same question asked of SQLite itself with json_extract on the same file. Usage:
// bench_query_scan FOLDER DEVICES ROUNDS
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/log.hpp"
#include "core/trust/sealer.hpp"
#include "server/api/iothub/query_pages.hpp"
#include "server/hub/query/parser.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace {

using namespace godwit;

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "bench_query_scan: {}\n", why);
  std::exit(1);
}

json::Object reported(int i) {
  json::Object agent{
      {"state", i % 10 == 0 ? 6 : 0},
      {"deviceProperties", json::Object{{"manufacturer", "contoso"}, {"model", fmt::format("m{}", i % 7)}}},
      {"installedUpdateId", R"({"provider":"contoso","name":"gate","version":"1.0.3"})"},
      {"lastInstallResult",
       json::Object{{"resultCode", 700}, {"extendedResultCode", 0}, {"resultDetails", std::string(120, 'd')}}}};
  return json::Object{{"deviceUpdate", json::Object{{"__t", "c"}, {"agent", std::move(agent)}}},
                      {"temperature", i % 1000 / 10.0},
                      {"notes", std::string(200, 'n')}};
}

Result<void> fill(store::Records& records, int first, int last) {
  for (int i = first; i < last; ++i) {
    const DeviceId id = DeviceId::parse(fmt::format("device-{:06}", i)).value();
    GODWIT_TRY_VOID(records.devices().insert_identity({.id = id, .primary_key = Secret{std::string(32, 'k')}}, {}));
    GODWIT_TRY_VOID(records.devices().save_session(
        id, {.model_id = "dtmi:azure:iot:deviceUpdateModel;3", .is_connected = i % 2 == 0}));
    GODWIT_TRY(auto record, records.devices().find_twin(id));
    record->twin.tags = json::Object{{"ADUGroup", fmt::format("group-{}", i % 100)}, {"line", i % 40}};
    record->twin.reported.values = reported(i);
    record->twin.reported.metadata = json::Object{{"$lastUpdated", std::string(28, 't')}};
    GODWIT_TRY_VOID(records.devices().save_twin(id, *record));
  }
  return {};
}

double middle(std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

template <class Work>
double milliseconds(int rounds, const Work& work) {
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    const auto begun = std::chrono::steady_clock::now();
    work();
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
  }
  return middle(times);
}

/// All pages of a query; gives the rows' bytes, so that nothing is left undone.
std::size_t run(store::Store& store, Clock& clock, const std::string& text) {
  const auto query = hub::query::parse_query(text);
  if (!query) give_up(query.error().message);
  const api::iothub::DeviceJobs no_jobs;
  api::iothub::PageRequest request{.size = 1000};
  std::size_t bytes = 0;
  do {
    api::iothub::QueryPage page;
    const auto outcome = store.read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(page, api::iothub::run_query(records, *query, text, request, {.clock = clock, .jobs = no_jobs}));
      return {};
    });
    if (!outcome) give_up(outcome.error().message);
    bytes += page.rows.size();
    request.continuation = page.continuation;
  } while (!request.continuation.empty());
  return bytes;
}

void run_sql(sqlite3* database, const std::string& sql) {
  if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) give_up(sqlite3_errmsg(database));
}

struct Question {
  std::string_view name;
  std::string query;
  std::string sql;  // the reference
};

const std::vector<Question>& questions() {
  static const std::vector<Question> kAll{
      {"count", "SELECT COUNT() FROM devices", "SELECT count(*) FROM twins"},
      {"tag_index", "SELECT deviceId FROM devices WHERE tags.ADUGroup = 'group-7'",
       "SELECT group_concat(device_id) FROM twins WHERE json_extract(tags, '$.ADUGroup') = 'group-7'"},
      {"tag_scan", "SELECT COUNT() FROM devices WHERE tags.line = 7",
       "SELECT count(*) FROM twins WHERE json_extract(tags, '$.line') = 7"},
      {"reported_scan", "SELECT COUNT() FROM devices WHERE properties.reported.temperature > 50",
       "SELECT count(*) FROM twins WHERE json_extract(reported, '$.temperature') > 50"},
      {"column_then_reported",
       "SELECT COUNT() FROM devices WHERE connectionState = 'Connected' AND properties.reported.temperature > 50",
       "SELECT count(*) FROM sessions s JOIN twins t ON t.device_id = s.device_id WHERE s.is_connected = 1 AND "
       "json_extract(reported, '$.temperature') > 50"},
      {"group_by",
       "SELECT properties.reported.deviceUpdate.agent.state AS s, COUNT() AS n FROM devices GROUP BY "
       "properties.reported.deviceUpdate.agent.state",
       "SELECT json_extract(reported, '$.deviceUpdate.agent.state') AS s, count(*) FROM twins GROUP BY s"},
      {"first_page_of_all", "SELECT TOP 1000 * FROM devices",
       "SELECT group_concat(tags || desired || reported) FROM "
       "(SELECT * FROM twins ORDER BY device_id LIMIT 1000)"},
  };
  return kAll;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: {} FOLDER DEVICES ROUNDS\n", argv[0]);
    return 2;
  }
  const Path file = Path(argv[1]) / "query.sqlite";
  const int devices = std::atoi(argv[2]);
  const int rounds = std::atoi(argv[3]);
  SystemClock clock;
  NullLog log;
  const trust::Sealer sealer = trust::Sealer::from_key(Secret(std::string(32, 's'))).value();
  auto store = store::open_sqlite_store(file, sealer, clock, log);
  if (!store) give_up(store.error().message);
  for (int i = 0; i < devices; i += 1000) {
    const auto filled =
        (*store)->write([&](store::Records& records) { return fill(records, i, std::min(i + 1000, devices)); });
    if (!filled) give_up(filled.error().message);
  }
  sqlite3* reference = nullptr;
  if (sqlite3_open_v2(file.c_str(), &reference, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK) give_up("reference");
  for (const Question& question : questions()) {
    const double ours = milliseconds(rounds, [&] { run(**store, clock, question.query); });
    const double theirs = milliseconds(rounds, [&] { run_sql(reference, question.sql); });
    fmt::print(R"({{"query":"{}","devices":{},"milliseconds":{:.1f},"sqlite_milliseconds":{:.1f}}})"
               "\n",
               question.name, devices, ours, theirs);
  }
  sqlite3_close(reference);
  return 0;
}
