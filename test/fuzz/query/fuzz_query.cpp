// The query language: any text is a query within its limits or a refusal with a sentence; what is parsed can be planned
// and evaluated over a twin. The first byte chooses between a whole query and a condition alone.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/hub/query/aggregation.hpp"
#include "server/hub/query/evaluate.hpp"
#include "server/hub/query/parser.hpp"
#include "server/hub/query/plan.hpp"

namespace {

using namespace godwit;
using namespace godwit::hub::query;

const json::Object& twin() {
  static const json::Object document = *json::parse_object(
      R"({"deviceId":"d1","status":"enabled","connectionState":"Connected","version":3,"capabilities":{"iotEdge":false},)"
      R"("tags":{"ADUGroup":"g","n":1.5,"on":true,"none":null,"list":[1],"place":{"hall":"B"}},)"
      R"("properties":{"desired":{"rate":60,"$version":2},"reported":{"rate":61,"agent":{"state":"idle"},"$version":4}}})");
  return document;
}

void check_refusal(const Error& error) {
  if (error.code != Code::invalid_argument && error.code != Code::too_large) std::abort();
  if (error.message.empty()) std::abort();
}

/// A plan may not leave out what the condition selects.
void check_plan(const Plan& plan, bool is_selected) {
  if (!is_selected) return;
  const std::string id = "d1";
  if (plan.ids && std::find(plan.ids->begin(), plan.ids->end(), id) == plan.ids->end()) std::abort();
  if (id < plan.least || (!plan.greatest.empty() && id > plan.greatest)) std::abort();
  if (plan.is_connected == false || plan.is_enabled == false) std::abort();
  if (plan.tag && !(plan.tag->name == "ADUGroup" && plan.tag->value == "g") &&
      !(plan.tag->name == "place.hall" && plan.tag->value == "B"))
    std::abort();
}

void check_query(std::string_view text) {
  const auto query = parse_query(text);
  if (!query) return check_refusal(query.error());
  if (query->collection == Collection::jobs) return;
  JsonDocument document(twin());
  const bool is_selected = !query->where || is_true(*query->where, document);
  if (query->collection == Collection::devices) check_plan(plan_of(*query), is_selected);
  if (query->is_aggregation()) {
    Aggregation aggregation(*query);
    if (const auto added = aggregation.add(document); !added) return check_refusal(added.error());
    if (aggregation.rows("", 10).size() != 1) std::abort();
  } else if (!query->is_everything && project(*query, document).size() > query->projections.size()) {
    std::abort();
  }
}

void check_condition(std::string_view text) {
  const auto condition = parse_condition(text);
  if (!condition) return check_refusal(condition.error());
  JsonDocument document(twin());
  const Value value = evaluate(condition->where, document);
  const bool is_selected = is_true(condition->where, document);
  if (is_selected != (value.type == Type::boolean && value.boolean)) std::abort();
  check_plan(plan_of(*condition), is_selected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'q')
    check_query(text);
  else
    check_condition(text);
  return 0;
}
