// Runs a parsed query over the store, one page at a time. Each page is read from one snapshot; where it ended goes into
// the continuation, which only fits the query it came from. What a request may read, how long, and how much it may
// answer with is bounded; a page that meets a bound is short and goes on in the next, an aggregation that does is
// refused, because half a sum is no answer. Plain functions inside of a store job.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "server/api/iothub/device_jobs.hpp"
#include "server/hub/query/limits.hpp"
#include "server/hub/query/syntax.hpp"
#include "server/store/store.hpp"

namespace godwit::api::iothub {

struct QueryBudget {
  std::size_t page_rows = 200'000;  // twins that one page looks at
  Duration page_time{2'000};
  std::size_t whole_rows = 2'000'000;  // twins that one aggregation looks at
  Duration whole_time{15'000};
  std::size_t page_bytes = 4 * 1024 * 1024;  // of an answer; the row that exceeds it is the last one
};

struct PageRequest {
  std::size_t size = 100;
  std::string continuation{};  // as it came, "" for the first page
};

struct QueryPage {
  std::string rows = "[]";     // a JSON array
  std::string_view item_type;  // Twin, Raw or DeviceJob
  std::string continuation{};  // "" at the end
};

struct QueryPorts {
  Clock& clock;
  const DeviceJobs& jobs;  // may be empty: there are none
  QueryBudget budget{};
  hub::query::Limits limits{};
};

/// `text`: what `query` was parsed from. Errors: invalid_argument for a foreign continuation, too_large and timed_out
/// for an aggregation that meets a bound, database_failed.
[[nodiscard]] Result<QueryPage> run_query(store::Records& records, const hub::query::Query& query,
                                          std::string_view text, const PageRequest& request, const QueryPorts& ports);

/// The same over documents that somebody else has: WHERE, TOP and paging of SELECT *.
[[nodiscard]] Result<QueryPage> run_over_documents(std::span<const json::Object> documents,
                                                   const hub::query::Query& query, std::string_view text,
                                                   const PageRequest& request, const QueryBudget& budget);

/// Which devices a condition selects, for scheduled jobs.
struct DevicePage {
  std::vector<IdentityId> ids;
  std::string after{};  // where to go on; "" at the end
};
/// In id order, those above `after` ("" = from the start), at most `size`. A page may be short or empty and still not
/// be the last: `after` decides.
[[nodiscard]] Result<DevicePage> select_devices(store::Records& records, const hub::query::Condition& condition,
                                                const std::string& after, std::size_t size, Clock& clock,
                                                const QueryBudget& budget = {});

/// True when answering may mean reading the whole fleet: such queries do not run in any number at a time.
[[nodiscard]] bool is_wide(const hub::query::Query& query);

}  // namespace godwit::api::iothub
