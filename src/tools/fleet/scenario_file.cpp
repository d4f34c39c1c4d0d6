// The reader of scenario files. Every table knows the names it takes; what is left over is refused with the nearest
// one.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/base/config.hpp"
#include "core/base/text.hpp"
#include "core/base/toml.hpp"
#include "core/model/ids.hpp"
#include "tools/fleet/scenario.hpp"

namespace godwit::fleet {
namespace {

using toml_tree::Node;
namespace limits = scenario_limits;

/// "rig.toml:12: install: " before a sentence.
tl::unexpected<Error> wrong(std::string_view source, std::uint32_t line, std::string_view what, std::string_view why) {
  return fail(Code::invalid_argument, fmt::format("{}:{}: {}{}{}", source, line, what, what.empty() ? "" : ": ", why));
}

/// One table of the file; each key is asked for once, then finish() refuses the others.
class Reader {
 public:
  Reader(std::string_view source, const Node& node) : source_(source), node_(&node) {}

  [[nodiscard]] const Node* find(std::string_view key) {
    known_.emplace_back(key);
    for (const auto& member : std::get<Node::Table>(node_->value))
      if (member.name == key) return &member.node;
    return nullptr;
  }
  [[nodiscard]] tl::unexpected<Error> bad(const Node& node, std::string_view key, std::string_view why) const {
    return wrong(source_, node.line, key, why);
  }
  [[nodiscard]] tl::unexpected<Error> missing(std::string_view key) const {
    return wrong(source_, node_->line, "", fmt::format("\"{}\" is missing here", key));
  }
  [[nodiscard]] std::string_view source() const { return source_; }
  [[nodiscard]] std::uint32_t line() const { return node_->line; }

  /// Strings of 1 to `limit` bytes; without the key `into` stays.
  [[nodiscard]] Result<void> text(std::string_view key, std::string& into, std::size_t limit = limits::kText) {
    const Node* node = find(key);
    if (node == nullptr) return {};
    const auto* value = std::get_if<std::string>(&node->value);
    if (value == nullptr) return bad(*node, key, "expected a string in quotes");
    if (value->empty() || value->size() > limit)
      return bad(*node, key, fmt::format("has {} bytes; 1 to {} are allowed", value->size(), limit));
    into = *value;
    return {};
  }
  template <class T>
  [[nodiscard]] Result<void> integer(std::string_view key, T& into, std::int64_t low, std::int64_t high) {
    const Node* node = find(key);
    if (node == nullptr) return {};
    const auto* value = std::get_if<std::int64_t>(&node->value);
    if (value == nullptr) return bad(*node, key, "expected a whole number");
    if (*value < low || *value > high)
      return bad(*node, key, fmt::format("{} is not within {} to {}", *value, low, high));
    into = static_cast<T>(*value);
    return {};
  }
  /// "30s", or "-30s" where `low` is negative.
  [[nodiscard]] Result<Duration> to_duration(std::string_view key, const Node& node, Duration low) const {
    const auto* value = std::get_if<std::string>(&node.value);
    if (value == nullptr) return bad(node, key, "expected a duration in quotes such as \"30s\"");
    const bool is_negative = value->starts_with('-') && low < Duration{0};
    const auto parsed = config::parse_duration(std::string_view(*value).substr(is_negative ? 1 : 0));
    if (!parsed) return bad(node, key, parsed.error().message);
    const Duration found = is_negative ? -*parsed : *parsed;
    if (found < low || found > limits::kLongest)
      return bad(node, key,
                 fmt::format("{} is not within {}{} to 30d", *value, low < Duration{0} ? "-" : "",
                             config::print_duration(low < Duration{0} ? -low : low)));
    return found;
  }
  [[nodiscard]] Result<void> duration(std::string_view key, Duration& into, Duration low = Duration{0}) {
    if (const Node* node = find(key)) {
      GODWIT_TRY(into, to_duration(key, *node, low));
    }
    return {};
  }
  [[nodiscard]] Result<void> spread(std::string_view key, Spread& into, Duration low = Duration{0});
  [[nodiscard]] Result<void> strings(std::string_view key, std::map<std::string, std::string>& into);
  /// The tables of [[key]]; empty without any.
  [[nodiscard]] Result<std::vector<Reader>> tables(std::string_view key, std::size_t limit);
  /// The table [key]; nullopt without it.
  [[nodiscard]] Result<std::optional<Reader>> table(std::string_view key) {
    const Node* node = find(key);
    if (node == nullptr) return std::optional<Reader>{};
    if (!std::holds_alternative<Node::Table>(node->value)) return bad(*node, key, "expected a table");
    return std::optional<Reader>(Reader(source_, *node));
  }
  [[nodiscard]] Result<void> finish() const {
    for (const auto& member : std::get<Node::Table>(node_->value)) {
      if (std::ranges::find(known_, member.name) != known_.end()) continue;
      const std::string close = config::nearest(member.name, known_);
      return wrong(source_, member.node.line, "",
                   fmt::format("\"{}\" is not a known key here{}", member.name.substr(0, limits::kText),
                               close.empty() ? "" : "; did you mean \"" + close + "\"?"));
    }
    return {};
  }

 private:
  std::string_view source_;
  const Node* node_;
  std::vector<std::string> known_;
};

Result<void> Reader::spread(std::string_view key, Spread& into, Duration low) {
  const Node* node = find(key);
  if (node == nullptr) return {};
  if (!std::holds_alternative<Node::Table>(node->value)) {
    GODWIT_TRY(const Duration always, to_duration(key, *node, low));
    into = {.min = always, .median = always, .max = always};
    return {};
  }
  Reader inner(source_, *node);
  std::optional<Duration> min;
  std::optional<Duration> median;
  std::optional<Duration> max;
  for (auto [name, place] : {std::pair{"min", &min}, std::pair{"median", &median}, std::pair{"max", &max}}) {
    const Node* found = inner.find(name);
    if (found == nullptr) continue;
    GODWIT_TRY(*place, to_duration(fmt::format("{}.{}", key, name), *found, low));
  }
  GODWIT_TRY_VOID(inner.finish());
  if (!median && (!min || !max)) return bad(*node, key, "needs min and max, or median");
  if (!median) median = *min + (*max - *min) / 2;
  into = {.min = min.value_or(*median / 2), .median = *median, .max = max.value_or(*median * 2)};
  if (into.min > into.median || into.median > into.max) return bad(*node, key, "min, median and max must rise");
  return {};
}

Result<void> Reader::strings(std::string_view key, std::map<std::string, std::string>& into) {
  GODWIT_TRY(const auto inner, table(key));
  if (!inner) return {};
  const auto& members = std::get<Node::Table>(inner->node_->value);
  if (members.size() > limits::kProperties)
    return wrong(source_, inner->line(), key, fmt::format("has more than {} entries", limits::kProperties));
  for (const auto& member : members) {
    const auto* value = std::get_if<std::string>(&member.node.value);
    if (value == nullptr || value->size() > limits::kText || member.name.empty() || member.name.size() > limits::kText)
      return bad(member.node, fmt::format("{}.{}", key, member.name.substr(0, limits::kText)),
                 fmt::format("expected a string of at most {} bytes", limits::kText));
    into[member.name] = *value;
  }
  return {};
}

Result<std::vector<Reader>> Reader::tables(std::string_view key, std::size_t limit) {
  std::vector<Reader> readers;
  const Node* node = find(key);
  if (node == nullptr) return readers;
  const auto* array = std::get_if<Node::Array>(&node->value);
  if (array == nullptr) return bad(*node, key, fmt::format("expected tables that begin with [[{}]]", key));
  if (array->size() > limit) return bad(*node, key, fmt::format("there are more than {} of them", limit));
  for (const Node& item : *array) {
    if (!std::holds_alternative<Node::Table>(item.value))
      return bad(item, key, fmt::format("expected tables that begin with [[{}]]", key));
    readers.emplace_back(source_, item);
  }
  return readers;
}

/// `share` of the class (0 to 1, rounded) or `count` devices; exactly one of them. `left` is what earlier rules let
/// over.
Result<std::size_t> read_quota(Reader& reader, std::size_t count, std::size_t& left) {
  const Node* share = reader.find("share");
  const Node* exact = reader.find("count");
  if ((share == nullptr) == (exact == nullptr))
    return wrong(reader.source(), reader.line(), "", "needs either \"share\" (0 to 1) or \"count\" (devices)");
  std::size_t devices = 0;
  const Node& node = share != nullptr ? *share : *exact;
  if (share != nullptr) {
    const auto* real = std::get_if<double>(&share->value);
    const auto* whole = std::get_if<std::int64_t>(&share->value);
    const double value = real != nullptr ? *real : whole != nullptr ? static_cast<double>(*whole) : -1;
    if (!(value >= 0 && value <= 1)) return reader.bad(*share, "share", "expected a number from 0 to 1");
    devices = static_cast<std::size_t>(std::llround(value * static_cast<double>(count)));
    // Shares that add up to 1 may each round up; the last one takes what is left.
    if (devices == left + 1 && std::abs(value * static_cast<double>(count) - static_cast<double>(left)) < 1)
      devices = left;
  } else {
    const auto* whole = std::get_if<std::int64_t>(&exact->value);
    if (whole == nullptr || *whole < 0) return reader.bad(*exact, "count", "expected a whole number of devices");
    devices = static_cast<std::size_t>(*whole);
  }
  if (devices > left)
    return reader.bad(
        node, share != nullptr ? "share" : "count",
        fmt::format("wants {} devices; of the {} of this class {} are left for it", devices, count, left));
  left -= devices;
  return devices;
}

Result<Phase> read_phase(Reader& reader, std::initializer_list<Phase> allowed) {
  const Node* node = reader.find("phase");
  if (node == nullptr) return reader.missing("phase");
  const auto* text = std::get_if<std::string>(&node->value);
  std::vector<std::string> names;
  for (const Phase phase : allowed) {
    names.emplace_back(kPhaseNames[static_cast<std::size_t>(phase)]);
    if (text != nullptr && *text == names.back()) return phase;
  }
  std::string listed;
  for (const auto& name : names) listed += (listed.empty() ? "\"" : ", \"") + name + "\"";
  return reader.bad(*node, "phase", "expected one of " + listed);
}

Result<void> read_rule_tail(Reader& reader, Rule& rule) {
  GODWIT_TRY_VOID(reader.integer("step", rule.step, 1, 100));
  GODWIT_TRY_VOID(reader.integer("attempts", rule.attempts, 0, 1000));
  GODWIT_TRY_VOID(reader.text("details", rule.result.details, kResultDetailsLimit));
  return reader.finish();
}

Result<Rule> read_failure(Reader& reader, std::size_t count, std::size_t& left) {
  Rule rule;
  GODWIT_TRY(rule.phase, read_phase(reader, {Phase::verify, Phase::download, Phase::check, Phase::backup,
                                             Phase::install, Phase::apply, Phase::reboot}));
  GODWIT_TRY(rule.devices, read_quota(reader, count, left));
  GODWIT_TRY_VOID(reader.integer("result_code", rule.result.result_code, std::numeric_limits<std::int32_t>::min(), 0));
  std::string hex;
  GODWIT_TRY_VOID(reader.text("extended_code", hex, 16));
  if (!hex.empty()) {
    const auto code = parse_extended_code(hex);
    if (!code) return reader.bad(*reader.find("extended_code"), "extended_code", code.error().message);
    rule.result.extended_code = *code;
  }
  GODWIT_TRY_VOID(read_rule_tail(reader, rule));
  return rule;
}

Result<Rule> read_restart(Reader& reader, std::size_t count, std::size_t& left) {
  Rule rule;
  GODWIT_TRY(rule.phase, read_phase(reader, {Phase::install, Phase::apply}));
  GODWIT_TRY(rule.devices, read_quota(reader, count, left));
  const bool is_install = rule.phase == Phase::install;
  rule.result.result_code = is_install ? result::install_reboot : result::apply_reboot;
  GODWIT_TRY_VOID(
      reader.integer("result_code", rule.result.result_code, is_install ? 605 : 705, is_install ? 608 : 708));
  GODWIT_TRY_VOID(read_rule_tail(reader, rule));
  return rule;
}

Result<std::optional<Interruption>> read_interruption(Reader& parent, std::string_view key) {
  constexpr Duration kSmallest = std::chrono::milliseconds(100);
  GODWIT_TRY(auto reader, parent.table(key));
  if (!reader) return std::optional<Interruption>{};
  Interruption found;
  found.lasts = {.min = std::chrono::seconds(1), .median = std::chrono::seconds(5), .max = std::chrono::seconds(30)};
  GODWIT_TRY_VOID(reader->spread("every", found.every, kSmallest));
  GODWIT_TRY_VOID(reader->spread("lasts", found.lasts));
  GODWIT_TRY_VOID(reader->finish());
  if (found.every.max == Duration{0}) return reader->missing("every");
  return std::optional(found);
}

/// "Contoso/Boiler/1.0".
Result<void> read_installed(Reader& reader, std::optional<UpdateId>& into) {
  const Node* node = reader.find("installed");
  if (node == nullptr) return {};
  const auto* text = std::get_if<std::string>(&node->value);
  const auto first = text != nullptr ? text->find('/') : std::string::npos;
  const auto second = first != std::string::npos ? text->find('/', first + 1) : std::string::npos;
  if (second == std::string::npos)
    return reader.bad(*node, "installed", "expected \"provider/name/version\" such as \"Contoso/Boiler/1.0\"");
  auto id =
      UpdateId::parse(text->substr(0, first), text->substr(first + 1, second - first - 1), text->substr(second + 1));
  if (!id) return reader.bad(*node, "installed", id.error().message);
  into = *std::move(id);
  return {};
}

Result<void> read_compat(Reader& reader, DeviceKind& kind) {
  kind.compat_property_names = {"manufacturer", "model"};
  const Node* node = reader.find("compatibility");
  if (node == nullptr) return {};
  const auto* array = std::get_if<Node::Array>(&node->value);
  if (array == nullptr || array->empty() || array->size() > 5)
    return reader.bad(*node, "compatibility", "expected a list of 1 to 5 names of properties");
  kind.compat_property_names.clear();
  for (const Node& item : *array) {
    const auto* name = std::get_if<std::string>(&item.value);
    if (name == nullptr || !kind.properties.contains(*name))
      return reader.bad(item, "compatibility",
                        fmt::format("{} is no property of this class", name == nullptr ? "this" : "'" + *name + "'"));
    kind.compat_property_names.push_back(*name);
  }
  return {};
}

Result<void> read_delays(Reader& parent, DeviceKind& kind) {
  kind.delays[static_cast<std::size_t>(Phase::reboot)] = {
      .min = std::chrono::seconds(5), .median = std::chrono::seconds(10), .max = std::chrono::seconds(20)};
  GODWIT_TRY(auto reader, parent.table("delay"));
  if (!reader) return {};
  for (std::size_t phase = 0; phase < kPhaseNames.size(); ++phase)
    GODWIT_TRY_VOID(reader->spread(kPhaseNames[phase], kind.delays[phase]));
  return reader->finish();
}

Result<void> read_rules(Reader& reader, DeviceKind& kind) {
  std::size_t left = kind.count;
  GODWIT_TRY(auto failures, reader.tables("failure", limits::kRules));
  for (Reader& one : failures) {
    GODWIT_TRY(auto rule, read_failure(one, kind.count, left));
    kind.failures.push_back(std::move(rule));
  }
  left = kind.count;
  GODWIT_TRY(auto restarts, reader.tables("restart", limits::kRules));
  for (Reader& one : restarts) {
    GODWIT_TRY(auto rule, read_restart(one, kind.count, left));
    kind.restarts.push_back(std::move(rule));
  }
  left = kind.count;
  GODWIT_TRY(auto groups, reader.tables("group", limits::kRules));
  for (Reader& one : groups) {
    TagGroup group;
    GODWIT_TRY(group.devices, read_quota(one, kind.count, left));
    GODWIT_TRY_VOID(one.strings("tags", group.tags));
    GODWIT_TRY_VOID(one.finish());
    if (group.tags.empty()) return one.missing("tags");
    kind.groups.push_back(std::move(group));
  }
  return {};
}

Result<DeviceKind> read_kind(Reader& reader) {
  DeviceKind kind;
  GODWIT_TRY_VOID(reader.text("name", kind.name, 100));
  if (kind.name.empty()) return reader.missing("name");
  if (auto id = DeviceId::parse(kind.name); !id) return reader.bad(*reader.find("name"), "name", id.error().message);
  GODWIT_TRY_VOID(reader.integer("count", kind.count, 1, static_cast<std::int64_t>(limits::kDevices)));
  if (kind.count == 0) return reader.missing("count");
  GODWIT_TRY_VOID(reader.strings("properties", kind.properties));
  for (const char* key : {"manufacturer", "model"}) {
    std::string value;
    GODWIT_TRY_VOID(reader.text(key, value, 64));
    if (value.empty()) return reader.missing(key);
    kind.properties[key] = std::move(value);
  }
  GODWIT_TRY_VOID(read_compat(reader, kind));
  GODWIT_TRY_VOID(reader.strings("tags", kind.tags));
  GODWIT_TRY_VOID(read_installed(reader, kind.installed));
  GODWIT_TRY_VOID(read_delays(reader, kind));
  GODWIT_TRY_VOID(read_rules(reader, kind));
  GODWIT_TRY(kind.disconnect, read_interruption(reader, "disconnect"));
  GODWIT_TRY(kind.power_cut, read_interruption(reader, "power_cut"));
  GODWIT_TRY_VOID(reader.spread("clock_skew", kind.clock_skew, -limits::kLongest));
  GODWIT_TRY_VOID(reader.duration("token_lifetime", kind.token_lifetime, std::chrono::minutes(1)));
  GODWIT_TRY_VOID(reader.finish());
  return kind;
}

Result<Scenario> read_whole(Reader& reader) {
  Scenario scenario;
  GODWIT_TRY_VOID(reader.integer("seed", scenario.seed, 0, std::numeric_limits<std::int64_t>::max()));
  GODWIT_TRY_VOID(reader.duration("time_limit", scenario.time_limit));
  GODWIT_TRY_VOID(reader.integer("updates", scenario.updates, 0, 1000));
  GODWIT_TRY_VOID(reader.duration("say_every", scenario.say_every, std::chrono::seconds(1)));
  std::string simulator;
  GODWIT_TRY_VOID(reader.text("simulator_data", simulator, 4096));
  scenario.simulator_file = simulator;
  GODWIT_TRY(auto kinds, reader.tables("class", limits::kClasses));
  std::set<std::string> names;
  for (Reader& one : kinds) {
    GODWIT_TRY(auto kind, read_kind(one));
    if (!names.insert(kind.name).second)
      return wrong(one.source(), one.line(), "name", fmt::format("'{}' is the name of an earlier class", kind.name));
    scenario.kinds.push_back(std::move(kind));
    if (scenario.devices() > limits::kDevices)
      return wrong(one.source(), one.line(), "count",
                   fmt::format("all classes together have more than {} devices", limits::kDevices));
  }
  GODWIT_TRY_VOID(reader.finish());
  if (scenario.kinds.empty()) return wrong(reader.source(), 1, "", "there is no [[class]], so there are no devices");
  return scenario;
}

}  // namespace

Result<Scenario> parse_scenario(std::string_view toml, std::string_view name) {
  if (toml.size() > limits::kFile) return fail(Code::too_large, fmt::format("{}: a scenario has at most 1 MiB", name));
  GODWIT_TRY(const Node root, toml_tree::parse(toml, name));
  Reader reader(name, root);
  return read_whole(reader);
}

Result<Scenario> load_scenario(const Path& file) {
  auto text = read_file(file, limits::kFile);
  if (!text) return with_context("scenario", std::move(text).error());
  GODWIT_TRY(auto scenario, parse_scenario(*text, file.string()));
  if (scenario.simulator_file.empty()) return scenario;
  const Path data = file.parent_path() / scenario.simulator_file;
  auto simulator = read_file(data, SimulatorData::kFileLimit);
  if (!simulator) return with_context("simulator_data", std::move(simulator).error());
  GODWIT_TRY(scenario.simulator, parse_simulator_data(*simulator, data.string()));
  return scenario;
}

}  // namespace godwit::fleet
