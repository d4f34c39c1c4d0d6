#include "swupdate_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/json.hpp"

namespace godwit::step_swupdate {
namespace {

constexpr std::size_t kWordsLimit = 64;

Result<std::vector<std::string>> command(const json::Value& value, std::string_view key) {
  if (!value.is_array() || value.get_array().empty() || value.get_array().size() > kWordsLimit)
    return fail(Code::invalid_argument, fmt::format("{} is no array of 1 to {} words", key, kWordsLimit));
  std::vector<std::string> words;
  for (const json::Value& word : value.get_array()) {
    if (!word.is_string()) return fail(Code::invalid_argument, fmt::format("{} holds something that is no text", key));
    words.emplace_back(word.get_string());
  }
  if (!words.front().starts_with('/'))
    return fail(Code::invalid_argument, fmt::format("{} does not begin with an absolute path", key));
  return words;
}

Result<std::string> text_of(const json::Value& value, std::string_view key, bool is_path) {
  if (!value.is_string()) return fail(Code::invalid_argument, fmt::format("{} is no text", key));
  std::string text(value.get_string());
  if (is_path ? !text.starts_with('/') : (text.empty() || text.starts_with('-')))
    return fail(Code::invalid_argument,
                fmt::format("{} {}", key, is_path ? "is no absolute path" : "is empty or begins with '-'"));
  return text;
}

Result<void> read_slots(const json::Value& value, SwupdateConfig& config) {
  const auto wrong = [] {
    return fail(Code::invalid_argument, "slots is no object with the members a and b, a SELECTION,MODE each");
  };
  if (!value.is_object() || value.get_object().size() != 2) return wrong();
  for (const auto& [side, target] : {std::pair("a", &config.select_a), std::pair("b", &config.select_b)}) {
    const json::Value* select = json::find(value.get_object(), side);
    if (select == nullptr) return wrong();
    GODWIT_TRY(*target, text_of(*select, std::string("slots.") + side, false));
  }
  if (config.select_a == config.select_b) return fail(Code::invalid_argument, "slots.a and slots.b select the same");
  return {};
}

}  // namespace

Result<SwupdateConfig> parse_swupdate_config(std::string_view text) {
  GODWIT_TRY(const json::Object object, json::parse_object(text, {.bytes = kConfigLimit, .depth = 4}));
  SwupdateConfig config;
  for (const auto& [name, value] : object) {
    const std::string_view key = name;
    if (key == "publicKeyFile") {
      GODWIT_TRY(config.public_key_file, text_of(value, key, true));
    } else if (key == "configFile") {
      GODWIT_TRY(config.config_file, text_of(value, key, true));
    } else if (key == "versionFile") {
      GODWIT_TRY(config.version_file, text_of(value, key, true));
    } else if (key == "hardwareRevision") {
      GODWIT_TRY(config.hardware_revision, text_of(value, key, false));
    } else if (key == "select") {
      GODWIT_TRY(config.select, text_of(value, key, false));
    } else if (key == "selectCommand") {
      GODWIT_TRY(config.select_command, command(value, key));
    } else if (key == "applyCommand") {
      GODWIT_TRY(config.apply_command, command(value, key));
    } else if (key == "revertCommand") {
      GODWIT_TRY(config.revert_command, command(value, key));
    } else if (key == "slots") {
      GODWIT_TRY_VOID(read_slots(value, config));
    } else if (key == "rebootAfterApply") {
      if (!value.is_bool()) return fail(Code::invalid_argument, "rebootAfterApply is neither true nor false");
      config.reboots = value.get_bool();
    } else {
      return fail(Code::invalid_argument, fmt::format("{} is no member of this file", key));
    }
  }
  if (config.public_key_file.empty())
    return fail(Code::invalid_argument, "publicKeyFile is missing: images are installed only when they are signed");
  const bool has_commands =
      !config.select_command.empty() || !config.apply_command.empty() || !config.revert_command.empty();
  if (config.has_slots() && (has_commands || !config.select.empty()))
    return fail(Code::invalid_argument,
                "with slots there is no select, selectCommand, applyCommand or revertCommand: the "
                "slots pick and switch the side");
  return config;
}

std::vector<std::string> swupdate_arguments(const SwupdateConfig& config, std::string_view select,
                                            std::string_view image) {
  std::vector<std::string> arguments{"-k", config.public_key_file};
  if (!config.config_file.empty()) arguments.insert(arguments.end(), {"-f", config.config_file});
  if (!config.hardware_revision.empty()) arguments.insert(arguments.end(), {"-H", config.hardware_revision});
  // The slots keep the boot loader's state; what SWUpdate keeps there itself is another contract.
  if (config.has_slots()) arguments.insert(arguments.end(), {"-M", "-m"});
  if (!select.empty()) arguments.insert(arguments.end(), {"-e", std::string(select)});
  arguments.insert(arguments.end(), {"-i", std::string(image)});
  return arguments;
}

}  // namespace godwit::step_swupdate
