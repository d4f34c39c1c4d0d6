// The border of godwit/files:1: a directory tree from an archive, switched by one rename, judged by a health command.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/command.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "godwit/author.hpp"
#include "support/command_trouble.hpp"
#include "tree_place.hpp"

namespace {

using godwit::Code;
using godwit::Path;
using godwit::Result;
using godwit::author::Host;
using godwit::author::Outcome;
namespace author = godwit::author;
namespace json = godwit::json;
namespace result = godwit::result;
using namespace godwit::step_files;

constexpr const char* kSwitchedMark = "files-switched";
constexpr std::size_t kWordsLimit = 64;
constexpr std::int64_t kHealthSecondsDefault = 60;
constexpr std::int64_t kHealthSecondsLimit = 3600;
constexpr std::int64_t kSizeLimitMost = std::int64_t{1} << 40;
constexpr auto kRestartTime = std::chrono::minutes(5);
constexpr std::chrono::milliseconds kHealthPause{500};

struct Order {
  std::string target{};
  std::string criteria{};
  std::string token{};
  TreeLimits limits{};
  std::vector<std::string> restart{};
  std::vector<std::string> health{};
  std::chrono::seconds health_time{kHealthSecondsDefault};
};

Outcome failed(std::uint32_t extended_code, std::string details) {
  return {result::failure, extended_code, std::move(details)};
}

Result<std::vector<std::string>> command(const json::Object& properties, std::string_view key) {
  std::vector<std::string> words;
  const json::Value* value = json::find(properties, key);
  if (value == nullptr || value->is_null()) return words;
  if (!value->is_array() || value->get_array().empty() || value->get_array().size() > kWordsLimit)
    return godwit::fail(Code::invalid_argument, fmt::format("{} is no array of 1 to {} words", key, kWordsLimit));
  for (const json::Value& word : value->get_array()) {
    if (!word.is_string())
      return godwit::fail(Code::invalid_argument, fmt::format("{} holds something that is no text", key));
    words.emplace_back(word.get_string());
  }
  if (!words.front().starts_with('/'))
    return godwit::fail(Code::invalid_argument, fmt::format("{} does not begin with an absolute path", key));
  return words;
}

Result<std::int64_t> number(const json::Object& properties, std::string_view key, std::int64_t most,
                            std::int64_t otherwise) {
  const json::Value* value = json::find(properties, key);
  if (value == nullptr || value->is_null()) return otherwise;
  GODWIT_TRY(const std::int64_t found, json::integer(properties, key, "handlerProperties"));
  if (found < 1 || found > most)
    return godwit::fail(Code::invalid_argument, fmt::format("{} is not a whole number of 1 to {}", key, most));
  return found;
}

Result<Order> read_order(const godwit_step& step) {
  GODWIT_TRY(const json::Object properties, json::parse_object(author::view(step.handler_properties_json)));
  Order order;
  GODWIT_TRY(order.target, json::text(properties, "target", "handlerProperties"));
  if (!TreePlace::is_allowed(order.target))
    return godwit::fail(Code::invalid_argument,
                        "target is no plain absolute path of a folder of its own, such as /opt/app or /usr/lib/app");
  order.criteria = author::str(step.installed_criteria);
  if (order.criteria.empty() || order.criteria.size() > 4096)
    return godwit::fail(Code::invalid_argument, "installedCriteria is missing, or longer than 4096 bytes");
  GODWIT_TRY(order.restart, command(properties, "restartCommand"));
  GODWIT_TRY(order.health, command(properties, "healthCommand"));
  GODWIT_TRY(const std::int64_t seconds,
             number(properties, "healthTimeoutSeconds", kHealthSecondsLimit, kHealthSecondsDefault));
  order.health_time = std::chrono::seconds(seconds);
  GODWIT_TRY(const std::int64_t bytes,
             number(properties, "sizeLimitBytes", kSizeLimitMost, static_cast<std::int64_t>(order.limits.bytes)));
  order.limits.bytes = static_cast<godwit::ByteCount>(bytes);
  order.token = fmt::format("{}/{}/{}", author::view(step.workflow_id), step.attempt, step.step_index);
  if (step.file_count != 1)
    return godwit::fail(Code::invalid_argument,
                        fmt::format("the step has {} files; it takes one archive", step.file_count));
  return order;
}

Outcome of_unpacking(const godwit::Error& error) {
  switch (error.code) {
    case Code::cancelled: return {result::cancelled, 0, error.message};
    case Code::refused: return failed(code::unsafe_entry, error.message);
    case Code::too_large: return failed(code::too_large, error.message);
    case Code::bad_packet: return failed(code::bad_archive, error.message);
    case Code::disk_full: return failed(godwit::erc::disk_full, error.message);
    default: return failed(code::cannot_write, error.message);
  }
}

Outcome is_installed(const Host&, const godwit_step&, const Order& order) {
  const auto mark = TreePlace(order.target).mark();
  if (!mark) return {result::not_installed, 0, "what is there cannot be told: " + mark.error().message};
  const bool is_wanted = *mark && (*mark)->criteria == order.criteria;
  if (is_wanted && !(*mark)->is_on_trial) return {result::is_installed, 0, ""};
  if (is_wanted) return {result::not_installed, 0, order.target + " holds the wanted tree, not found healthy yet"};
  return {result::not_installed, 0,
          *mark ? fmt::format("{} holds '{}'", order.target, (*mark)->criteria.substr(0, 200))
                : order.target + " was not installed by this handler"};
}

/// The whole archive goes through the rules before anything outside the work folder changes.
Outcome download(const Host& host, const godwit_step& step, const Order& order) {
  const auto size =
      read_tree(author::str(step.files[0]->path), order.limits, {.is_cancelled = [&] { return host.is_cancelled(); }});
  if (!size) return of_unpacking(size.error());
  return {result::download_ok, 0, ""};
}

Outcome backup(const Host&, const godwit_step&, const Order&) { return {result::backup_ok, 0, ""}; }

Outcome install(const Host& host, const godwit_step& step, const Order& order) {
  const TreePlace place(order.target);
  const auto unpacked = place.unpack(
      author::str(step.files[0]->path), order.limits,
      {.criteria = order.criteria, .token = order.token, .is_on_trial = true}, [&] { return host.is_cancelled(); },
      [&](godwit::ByteCount done) { host.progress(done, 0); });
  if (!unpacked) return of_unpacking(unpacked.error());
  return {result::install_ok, 0, ""};
}

Outcome apply(const Host& host, const godwit_step& step, const Order& order) {
  const TreePlace place(order.target);
  if (auto marked = godwit::write_file_durably(Path(author::str(step.work_dir)) / kSwitchedMark, order.token); !marked)
    return failed(code::cannot_write, marked.error().message);
  if (auto switched = place.switch_to(order.token); !switched)
    return failed(code::cannot_write, switched.error().message);
  if (const std::string trouble = author::command_trouble(order.restart, kRestartTime); !trouble.empty())
    return failed(code::restart_failed, trouble);
  const godwit::SystemClock clock;
  const auto end = clock.monotonic() + order.health_time;
  for (;;) {
    const auto left = end - clock.monotonic();
    const std::string trouble =
        author::command_trouble(order.health, std::max<godwit::Duration>(left, std::chrono::seconds(1)));
    if (trouble.empty()) {
      if (auto settled = place.settle(order.token); !settled)
        return failed(code::cannot_write, settled.error().message);
      return {result::apply_ok, 0, ""};
    }
    if (host.is_cancelled()) return {result::cancelled, 0, "cancelled while the health command failed: " + trouble};
    if (clock.monotonic() >= end)
      return failed(code::unhealthy, fmt::format("not healthy within {} s: {}", order.health_time.count(), trouble));
    host.info("not healthy yet: " + trouble);
    std::this_thread::sleep_for(kHealthPause);
  }
}

Outcome restore(const Host&, const godwit_step& step, const Order& order) {
  if (auto back = TreePlace(order.target).switch_back(order.token); !back)
    return failed(code::restore_failed, back.error().message);
  // Services ran on the new tree, or may have: they start again on the earlier one.
  if (std::filesystem::exists(Path(author::str(step.work_dir)) / kSwitchedMark))
    if (const std::string trouble = author::command_trouble(order.restart, kRestartTime); !trouble.empty())
      return failed(code::restore_failed, "the earlier tree is back, but " + trouble);
  return {result::restore_ok, 0, ""};
}

using Act = Outcome (*)(const Host&, const godwit_step&, const Order&);

template <Act kAct>
Outcome act_as(const Host& host, const godwit_step& step) {
  const auto order = read_order(step);
  if (!order) return failed(code::bad_properties, order.error().message);
  if (step.files[0]->path.size == 0 && (kAct == download || kAct == install))
    return failed(author::kRefused, "the archive is not on the device");
  return kAct(host, step, *order);
}

constexpr godwit_step_handler kTable{sizeof(godwit_step_handler),        author::step_act<act_as<is_installed>>,
                                     author::step_act<act_as<download>>, author::step_act<act_as<backup>>,
                                     author::step_act<act_as<install>>,  author::step_act<act_as<apply>>,
                                     author::step_act<act_as<restore>>};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
