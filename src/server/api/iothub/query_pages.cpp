#include "server/api/iothub/query_pages.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/api/iothub/twin_document.hpp"
#include "server/hub/query/aggregation.hpp"
#include "server/hub/query/plan.hpp"

namespace godwit::api::iothub {
namespace {

using hub::query::Aggregation;
using hub::query::Collection;
using hub::query::Document;
using hub::query::Expression;
using hub::query::Parts;
using hub::query::Plan;
using hub::query::Query;

// The clock is asked after so many rows.
constexpr std::size_t kRowsPerLook = 64;
constexpr std::size_t kMarkBytes = 4;

/// Where a page ended: rows given so far (TOP counts over all pages) and the last document or group that is done.
struct Cursor {
  std::uint64_t delivered = 0;
  std::string position{};
};

std::string mark_of(std::string_view text) { return hex_encode(sha256(text).substr(0, kMarkBytes)); }

std::string encode(const Cursor& cursor, std::string_view text) {
  return base64url_encode(mark_of(text) + "." + std::to_string(cursor.delivered) + "." + cursor.position);
}

tl::unexpected<Error> foreign_continuation() {
  return fail(Code::invalid_argument, "x-ms-continuation is not one that this service made");
}

Result<Cursor> decode(const std::string& token, std::string_view text) {
  if (token.empty()) return Cursor{};
  const auto decoded = base64_decode(token);
  if (!decoded) return foreign_continuation();
  const std::string_view plain = *decoded;
  const std::size_t first = plain.find('.');
  const std::size_t second = first == std::string_view::npos ? first : plain.find('.', first + 1);
  if (first != 2 * kMarkBytes || second == std::string_view::npos) return foreign_continuation();
  const auto delivered = to_number<std::uint64_t>(plain.substr(first + 1, second - first - 1));
  if (!delivered) return foreign_continuation();
  if (plain.substr(0, first) != mark_of(text))
    return fail(Code::invalid_argument,
                "x-ms-continuation belongs to another query; send it with the query that it came from");
  return Cursor{.delivered = *delivered, .position = std::string(plain.substr(second + 1))};
}

/// The rows of one page, printed as they come.
class Rows {
 public:
  Rows(const PageRequest& request, const QueryBudget& budget, const Query& query, std::uint64_t delivered)
      : size_(request.size), bytes_(budget.page_bytes), delivered_(delivered), top_(query.top) {}

  [[nodiscard]] bool is_full() const { return count_ == size_ || text_.size() > bytes_; }
  /// TOP n rows are given: there is nothing more, whatever else would fit.
  [[nodiscard]] bool is_done() const { return top_ && delivered_ >= *top_; }
  void add(const json::Object& row) {
    text_ += count_ == 0 ? '[' : ',';
    text_ += json::print(row);
    ++count_;
    ++delivered_;
  }
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  [[nodiscard]] std::string take() { return count_ == 0 ? std::string("[]") : std::move(text_) + "]"; }

 private:
  std::size_t size_;
  std::size_t bytes_;
  std::uint64_t delivered_;
  std::optional<std::uint64_t> top_;
  std::size_t count_ = 0;
  std::string text_;
};

store::TwinScan scan_of(const Plan& plan, Collection collection, const Parts& parts) {
  store::TwinScan scan{.is_modules = collection == Collection::modules,
                       .least = plan.least,
                       .greatest = plan.greatest,
                       .is_connected = plan.is_connected,
                       .is_enabled = plan.is_enabled,
                       .with_head = parts.head,
                       .with_tags = parts.tags,
                       .with_desired = parts.desired,
                       .with_desired_metadata = parts.desired_metadata,
                       .with_reported = parts.reported,
                       .with_reported_metadata = parts.reported_metadata,
                       .with_section_versions = parts.section_versions};
  if (plan.tag) scan.tag = store::TagText{.name = plan.tag->name, .value = plan.tag->value};
  return scan;
}

/// A scan that ends when its budget does. `each` sees the documents that the condition selects, and says whether to go
/// on; `done()` is the last id that needs no second look.
class Walk {
 public:
  Walk(store::Records& records, const Plan& plan, Clock& clock, std::size_t rows, Duration time)
      : records_(records), plan_(plan), clock_(clock), rows_(rows), deadline_(clock.monotonic() + time) {}

  using Each = std::function<Result<bool>(const store::TwinRow&, TwinDocument&)>;

  Result<void> run(store::TwinScan scan, const Expression* where, const std::string& after, const Each& each) {
    done_ = after;
    const store::TwinVisitor visit = [&](const store::TwinRow& row) { return visit_row(row, where, each); };
    scan.after = after;
    if (!plan_.ids) return records_.devices().scan_twins(scan, visit);
    for (auto id = std::upper_bound(plan_.ids->begin(), plan_.ids->end(), after); id != plan_.ids->end(); ++id) {
      if (has_stopped_) return {};
      scan.least = std::max(plan_.least, *id);
      scan.greatest = plan_.greatest.empty() ? *id : std::min(plan_.greatest, *id);
      if (scan.greatest.empty()) continue;  // "" is no id, and as a bound it would be none
      GODWIT_TRY_VOID(records_.devices().scan_twins(scan, visit));
    }
    return {};
  }

  [[nodiscard]] const std::string& done() const { return done_; }
  [[nodiscard]] bool is_over_rows() const { return seen_ > rows_; }
  [[nodiscard]] bool is_over_time() const { return is_over_time_; }

 private:
  Result<bool> visit_row(const store::TwinRow& row, const Expression* where, const Each& each) {
    if (++seen_ > rows_) return stop();
    if (seen_ % kRowsPerLook == 0 && clock_.monotonic() >= deadline_) {
      is_over_time_ = true;
      return stop();
    }
    document_.show(row);
    const bool is_selected = where == nullptr || hub::query::is_true(*where, document_);
    GODWIT_TRY_VOID(document_.outcome());
    if (is_selected) {
      GODWIT_TRY(const bool goes_on, each(row, document_));
      GODWIT_TRY_VOID(document_.outcome());
      if (!goes_on) return stop();
    }
    done_ = row.identity.id.str();
    return true;
  }
  bool stop() {
    has_stopped_ = true;
    return false;
  }

  store::Records& records_;
  const Plan& plan_;
  Clock& clock_;
  std::size_t rows_;
  Duration deadline_;
  TwinDocument document_;
  std::size_t seen_ = 0;
  bool has_stopped_ = false;
  bool is_over_time_ = false;
  std::string done_;
};

Parts parts_of(const Plan& plan) {
  Parts parts = plan.condition_parts;
  parts |= plan.answer_parts;
  return parts;
}

const Expression* condition_of(const Query& query) { return query.where ? &*query.where : nullptr; }

Result<QueryPage> page_of_twins(store::Records& records, const Query& query, std::string_view text,
                                const PageRequest& request, const QueryPorts& ports) {
  GODWIT_TRY(const Cursor cursor, decode(request.continuation, text));
  const Plan plan = hub::query::plan_of(query);
  Rows rows(request, ports.budget, query, cursor.delivered);
  Walk walk(records, plan, ports.clock, ports.budget.page_rows, ports.budget.page_time);
  bool has_more = false;
  const auto each = [&](const store::TwinRow& row, TwinDocument& document) -> Result<bool> {
    if (rows.is_done()) return false;
    if (rows.is_full()) {
      has_more = true;
      return false;
    }
    if (!query.is_everything) {
      rows.add(hub::query::project(query, document));
      return true;
    }
    // Whole twins are read one by one: few are selected, and the scan did not drag their sections along.
    GODWIT_TRY(const Device device, find_device(records, row.identity.id));
    rows.add(twin_json(device.identity, device.session, device.twin));
    return true;
  };
  GODWIT_TRY_VOID(
      walk.run(scan_of(plan, query.collection, parts_of(plan)), condition_of(query), cursor.position, each));
  QueryPage page{.item_type = query.is_everything ? "Twin" : "Raw"};
  if (!rows.is_done() && (has_more || walk.is_over_rows() || walk.is_over_time()))
    page.continuation = encode(Cursor{.delivered = rows.delivered(), .position = walk.done()}, text);
  page.rows = rows.take();
  return page;
}

Result<QueryPage> page_of_groups(store::Records& records, const Query& query, std::string_view text,
                                 const PageRequest& request, const QueryPorts& ports) {
  GODWIT_TRY(const Cursor cursor, decode(request.continuation, text));
  const Plan plan = hub::query::plan_of(query);
  Aggregation aggregation(query, ports.limits);
  Walk walk(records, plan, ports.clock, ports.budget.whole_rows, ports.budget.whole_time);
  const auto each = [&](const store::TwinRow&, TwinDocument& document) -> Result<bool> {
    GODWIT_TRY_VOID(aggregation.add(document));
    return true;
  };
  GODWIT_TRY_VOID(walk.run(scan_of(plan, query.collection, parts_of(plan)), condition_of(query), "", each));
  if (walk.is_over_rows())
    return fail(Code::too_large, "the query would read more than " + std::to_string(ports.budget.whole_rows) +
                                     " twins; narrow it with deviceId or with a tag");
  if (walk.is_over_time())
    return fail(Code::timed_out, "the query was not done after " +
                                     std::to_string(ports.budget.whole_time.count() / 1000) +
                                     " s; narrow it with deviceId or with a tag");
  Rows rows(request, ports.budget, query, cursor.delivered);
  QueryPage page{.item_type = "Raw"};
  std::string position = cursor.position;
  for (const Aggregation::Row& row : aggregation.rows(cursor.position, request.size + 1)) {
    if (rows.is_done()) break;
    if (rows.is_full()) {
      page.continuation = encode(Cursor{.delivered = rows.delivered(), .position = position}, text);
      break;
    }
    rows.add(row.members);
    position = row.key;
  }
  page.rows = rows.take();
  return page;
}

}  // namespace

Result<QueryPage> run_over_documents(std::span<const json::Object> documents, const Query& query, std::string_view text,
                                     const PageRequest& request, const QueryBudget& budget) {
  GODWIT_TRY(const Cursor cursor, decode(request.continuation, text));
  const auto begin = cursor.position.empty() ? std::optional<std::size_t>(0) : to_number<std::size_t>(cursor.position);
  if (!begin) return foreign_continuation();
  Rows rows(request, budget, query, cursor.delivered);
  QueryPage page{.item_type = "DeviceJob"};
  for (std::size_t at = *begin; at < documents.size() && !rows.is_done(); ++at) {
    hub::query::JsonDocument document(documents[at]);
    if (query.where && !hub::query::is_true(*query.where, document)) continue;
    if (rows.is_full()) {
      page.continuation = encode(Cursor{.delivered = rows.delivered(), .position = std::to_string(at)}, text);
      break;
    }
    rows.add(documents[at]);
  }
  page.rows = rows.take();
  return page;
}

Result<QueryPage> run_query(store::Records& records, const Query& query, std::string_view text,
                            const PageRequest& request, const QueryPorts& ports) {
  if (query.collection == Collection::jobs) {
    std::vector<json::Object> documents;
    if (ports.jobs) {
      GODWIT_TRY(documents, ports.jobs(records));
    }
    return run_over_documents(documents, query, text, request, ports.budget);
  }
  return query.is_aggregation() ? page_of_groups(records, query, text, request, ports)
                                : page_of_twins(records, query, text, request, ports);
}

Result<DevicePage> select_devices(store::Records& records, const hub::query::Condition& condition,
                                  const std::string& after, std::size_t size, Clock& clock, const QueryBudget& budget) {
  const Plan plan = hub::query::plan_of(condition);
  Walk walk(records, plan, clock, budget.page_rows, budget.page_time);
  DevicePage page;
  bool has_more = false;
  const auto each = [&](const store::TwinRow& row, TwinDocument&) -> Result<bool> {
    has_more = page.ids.size() == size;
    if (!has_more) page.ids.push_back(row.identity.id);
    return !has_more;
  };
  GODWIT_TRY_VOID(walk.run(scan_of(plan, condition.collection, plan.condition_parts), &condition.where, after, each));
  if (has_more || walk.is_over_rows() || walk.is_over_time()) page.after = walk.done();
  return page;
}

bool is_wide(const Query& query) {
  if (query.collection == Collection::jobs) return false;
  const Plan plan = hub::query::plan_of(query);
  const bool is_bounded = plan.ids || plan.tag || (!plan.least.empty() && !plan.greatest.empty());
  return !is_bounded && (query.where || query.is_aggregation());
}

}  // namespace godwit::api::iothub
