#include "simulator_data.hpp"

#include <fmt/format.h>

#include <limits>

#include "core/base/json.hpp"

namespace godwit::step_simulator {
namespace {

constexpr std::size_t kKeyLimit = 1000;

/// An integer between two borders, or `otherwise` where there is none.
Result<std::int64_t> number(const json::Object& object, std::string_view key, std::string_view where, std::int64_t low,
                            std::int64_t high, std::int64_t otherwise) {
  const json::Value* value = json::find(object, key);
  if (value == nullptr || value->is_null()) return otherwise;
  GODWIT_TRY(const std::int64_t found, json::integer(object, key, where));
  if (found < low || found > high)
    return fail(Code::invalid_argument, fmt::format("{}.{} is {}, not in {}..{}", where, key, found, low, high));
  return found;
}

Result<Answer> parse_answer(const json::Object& object, std::string_view where) {
  using Int = std::numeric_limits<std::int32_t>;
  if (json::find(object, "resultCode") == nullptr)
    return fail(Code::invalid_argument, fmt::format("{}.resultCode is missing", where));
  Answer answer;
  GODWIT_TRY(const std::int64_t code, number(object, "resultCode", where, Int::min(), Int::max(), 0));
  GODWIT_TRY(const std::int64_t extended,
             number(object, "extendedResultCode", where, Int::min(), std::numeric_limits<std::uint32_t>::max(), 0));
  GODWIT_TRY(answer.delay_seconds, number(object, "delaySeconds", where, 0, kDelayLimitSeconds, 0));
  answer.outcome.result_code = static_cast<std::int32_t>(code);
  answer.outcome.extended_code = static_cast<std::uint32_t>(extended);
  if (const json::Value* details = json::find(object, "resultDetails"); details != nullptr && !details->is_null()) {
    GODWIT_TRY(answer.outcome.details, json::text(object, "resultDetails", where));
  }
  return answer;
}

/// The section's object; null where it is missing.
Result<const json::Object*> section(const json::Object& data, std::string_view name) {
  const json::Value* value = json::find(data, name);
  if (value == nullptr || value->is_null()) return nullptr;
  if (!value->is_object()) return fail(Code::invalid_argument, fmt::format("{} is no object", name));
  return &value->get_object();
}

Result<std::optional<Answer>> parse_one(const json::Object& data, std::string_view name) {
  GODWIT_TRY(const json::Object* object, section(data, name));
  if (object == nullptr) return std::optional<Answer>{};
  GODWIT_TRY(Answer answer, parse_answer(*object, name));
  return std::optional<Answer>{std::move(answer)};
}

Result<Answers> parse_many(const json::Object& data, std::string_view name) {
  GODWIT_TRY(const json::Object* object, section(data, name));
  Answers answers;
  if (object == nullptr) return answers;
  if (const json::Value* plain = json::find(*object, "resultCode"); plain != nullptr && !plain->is_object()) {
    GODWIT_TRY(answers["*"], parse_answer(*object, name));
    return answers;
  }
  if (object->size() > kKeyLimit)
    return fail(Code::too_large, fmt::format("{} has more than {} members", name, kKeyLimit));
  for (const auto& [key, value] : *object) {
    const std::string where = fmt::format("{}[\"{}\"]", name, std::string_view(key));
    if (!value.is_object()) return fail(Code::invalid_argument, where + " is no object");
    GODWIT_TRY(answers[std::string(key)], parse_answer(value.get_object(), where));
  }
  return answers;
}

}  // namespace

Result<SimulatorData> parse_simulator_data(std::string_view text) {
  GODWIT_TRY(const json::Object object, json::parse_object(text, {.bytes = kDataFileLimit, .depth = 8}));
  SimulatorData data;
  GODWIT_TRY(data.download, parse_many(object, "download"));
  GODWIT_TRY(data.is_installed, parse_many(object, "isInstalled"));
  GODWIT_TRY(data.backup, parse_one(object, "backup"));
  GODWIT_TRY(data.install, parse_one(object, "install"));
  GODWIT_TRY(data.apply, parse_one(object, "apply"));
  GODWIT_TRY(data.restore, parse_one(object, "restore"));
  GODWIT_TRY(data.cancel, parse_one(object, "cancel"));
  return data;
}

const Answer* answer_for(const Answers& answers, std::string_view key) {
  auto found = answers.find(key);
  if (found == answers.end()) found = answers.find("*");
  return found == answers.end() ? nullptr : &found->second;
}

}  // namespace godwit::step_simulator
