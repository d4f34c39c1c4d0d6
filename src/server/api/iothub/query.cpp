// POST /devices/query.
#include "core/base/text.hpp"
#include "server/api/iothub/query_pages.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/api/services.hpp"
#include "server/hub/query/parser.hpp"

namespace godwit::api::iothub {
namespace {

constexpr std::size_t kDefaultPage = 100;
constexpr std::size_t kLargestPage = 1000;

[[nodiscard]] Result<PageRequest> read_page(const Request& request) {
  PageRequest page{.size = kDefaultPage};
  if (const auto text = request.header("x-ms-max-item-count")) {
    page.size = to_number<std::size_t>(*text).value_or(0);
    if (page.size == 0 || page.size > kLargestPage)
      return fail(Code::invalid_argument, "x-ms-max-item-count is a number from 1 to 1000");
  }
  const auto header = request.header("x-ms-continuation");
  page.continuation = header ? *header : request.query_value("continuation").value_or("");
  return page;
}

}  // namespace

Result<Reply> query_devices(const Request& request, Services& services) {
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  GODWIT_TRY(const std::string text, json::text(body, "query", "query"));
  const auto query = hub::query::parse_query(text);
  if (!query) return with_context("query", query.error());
  GODWIT_TRY(const PageRequest wanted, read_page(request));

  const WideQueries::Turn turn(*services.wide_queries, is_wide(*query));
  if (!turn.is_mine())
    return fail(Code::too_many,
                "as many queries that may read the whole fleet run already as run at a time; try again in a "
                "second, or narrow the query with deviceId or with a tag");
  QueryPage page;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(page, run_query(records, *query, text, wanted,
                               QueryPorts{.clock = services.clock, .jobs = services.device_jobs}));
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  Reply reply{.body = std::move(page.rows)};
  reply.headers.emplace_back("x-ms-item-type", page.item_type);
  // The header is left out at the end: clients take an empty one for another page.
  if (!page.continuation.empty()) reply.headers.emplace_back("x-ms-continuation", std::move(page.continuation));
  return reply;
}

}  // namespace godwit::api::iothub
