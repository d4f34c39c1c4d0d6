#include "tools/cli/app.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "core/base/config.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "tools/cli/completion.hpp"

namespace godwit::cli {
namespace {

const json::Value* at(const json::Value& value, std::string_view path) {
  const json::Value* here = &value;
  while (!path.empty()) {
    const auto dot = path.find('.');
    const auto key = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    if (!here->is_object()) return nullptr;
    here = here->as_object().if_contains(boost::json::string_view(key.data(), key.size()));
    if (here == nullptr) return nullptr;
  }
  return here;
}

void print_indented(const json::Value& value, std::string& out, std::size_t depth) {
  const std::string pad(2 * (depth + 1), ' ');
  if (value.is_object() && !value.as_object().empty()) {
    out += "{\n";
    std::size_t left = value.as_object().size();
    for (const auto& member : value.as_object()) {
      out += pad + json::print(json::Value(boost::json::string(member.key()))) + ": ";
      print_indented(member.value(), out, depth + 1);
      out += --left > 0 ? ",\n" : "\n";
    }
    out += std::string(2 * depth, ' ') + "}";
  } else if (value.is_array() && !value.as_array().empty()) {
    out += "[\n";
    std::size_t left = value.as_array().size();
    for (const auto& item : value.as_array()) {
      out += pad;
      print_indented(item, out, depth + 1);
      out += --left > 0 ? ",\n" : "\n";
    }
    out += std::string(2 * depth, ' ') + "]";
  } else {
    out += json::print(value);
  }
}

Result<int> explain(const std::string& text) {
  const auto number = to_number<std::int32_t>(text);
  if (const auto sentence = number ? result_code_text(*number) : std::string_view{}; !sentence.empty()) {
    fmt::print("result code {}: {}\n", *number, sentence);
    return exit_code::ok;
  }
  GODWIT_TRY(const auto code, parse_extended_code(text));
  if (const auto sentence = extended_code_text(code); !sentence.empty())
    fmt::print("extended code {}: {}\n", extended_code_hex(code), sentence);
  else
    fmt::print(
        "extended code {}: facility {}, component {}, value {} (0x{:X}); not a code of Godwit's own: the script or "
        "handler "
        "that gave it says what it means\n",
        extended_code_hex(code), code >> 28, (code >> 20) & 0xFFU, code & 0xFFFFFU, code & 0xFFFFFU);
  return exit_code::ok;
}

void add_other_commands(CLI::App& root, Context& context) {
  auto* explain_command = root.add_subcommand("explain", "Say in words what a result code or an extended code means");
  auto code = std::make_shared<std::string>();
  explain_command->add_option("code", *code, "Result code (700) or extended code in hex (30500205)")->required();
  explain_command->callback([&context, code] { context.action = [code](Context&) { return explain(*code); }; });

  auto* completion = root.add_subcommand("completion", "Print a completion script: source <(godwit completion bash)");
  auto shell = std::make_shared<std::string>("bash");
  completion->add_option("shell", *shell, "bash or zsh")->check(CLI::IsMember({"bash", "zsh"}));
  completion->callback([&context, &root, shell] {
    context.action = [&root, shell](Context&) -> Result<int> {
      std::fputs(completion_script(root, *shell).c_str(), stdout);
      return exit_code::ok;
    };
  });
}

// The word that no subcommand matched, with the nearest that exists at that level.
std::string unknown_verb_hint(const CLI::App& root, int argc, char** argv) {
  const CLI::App* here = &root;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("-")) return {};
    const CLI::App* next = nullptr;
    std::vector<std::string> names;
    for (const auto* sub : here->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(sub->get_name());
      if (sub->get_name() == word) next = sub;
    }
    if (next != nullptr) {
      here = next;
      continue;
    }
    if (names.empty()) return {};
    const auto begun =
        std::find_if(names.begin(), names.end(), [&word](const std::string& name) { return name.starts_with(word); });
    const auto near = begun != names.end() ? *begun : config::nearest(word, names);
    return fmt::format("'{}' is not a verb of '{}'{}", word,
                       here->get_parent() != nullptr ? here->get_name() : "godwit",
                       near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
  }
  return {};
}

}  // namespace

std::string text_at(const json::Value& value, std::string_view path) {
  const auto* found = at(value, path);
  if (found == nullptr || found->is_null()) return {};
  if (found->is_string()) return std::string(found->as_string());
  return json::print(*found);
}

std::int64_t number_at(const json::Value& value, std::string_view path) {
  const auto* found = at(value, path);
  if (found == nullptr) return 0;
  if (found->is_int64()) return found->as_int64();
  if (found->is_uint64()) return static_cast<std::int64_t>(found->as_uint64());
  return 0;
}

std::string update_name(const json::Value& update_info) {
  const std::string provider = text_at(update_info, "updateId.provider");
  if (provider.empty()) return "-";
  return provider + "/" + text_at(update_info, "updateId.name") + " " + text_at(update_info, "updateId.version");
}

Result<Client*> Context::client() {
  if (!client_) {
    GODWIT_TRY(auto connection, find_connection(flags, environment));
    client_ = std::make_unique<Client>(std::move(connection));
  }
  return client_.get();
}

void Context::show_json(const json::Value& value) const {
  std::string text;
  print_indented(value, text, 0);
  std::printf("%s\n", text.c_str());
}

void Context::show(const json::Value& value, const Table& table) const {
  if (wants_json()) return show_json(value);
  if (table.empty())
    std::printf("nothing to show\n");
  else
    std::fputs(table.print(terminal_width()).c_str(), stdout);
}

Result<void> Context::confirm(const std::string& question) const {
  if (assume_yes) return {};
  if (::isatty(STDIN_FILENO) == 0)
    return fail(Code::refused, question + " Not asked, as there is no terminal; give -y to say yes");
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return fail(Code::cancelled, "nothing was changed");
}

std::unique_ptr<CLI::App> make_app(Context& context) {
  auto app = std::make_unique<CLI::App>(
      "godwit: operate a Godwit update service.\nThe service is found by --url, GODWIT_URL or "
      "~/.config/godwit/config.toml.",
      "godwit");
  app->set_version_flag("--version", std::string("godwit ") + GODWIT_VERSION);
  app->set_help_all_flag("--help-all", "Help for every verb");
  app->require_subcommand(1);
  app->fallthrough();
  app->get_formatter()->column_width(34);
  app->add_option("--url", context.flags.url, "Service address, https://host:port [GODWIT_URL]");
  app->add_option("--token-file", context.flags.token_file,
                  "File with the bearer token [GODWIT_TOKEN_FILE, GODWIT_TOKEN]");
  app->add_option("--ca", context.flags.ca, "PEM file of the CA to trust [GODWIT_CA]");
  app->add_option("--instance", context.flags.instance, "Instance id [GODWIT_INSTANCE]");
  app->add_option("-o,--output", context.output, "table or json")->check(CLI::IsMember({"table", "json"}));
  app->add_flag("-y,--yes", context.assume_yes, "Answer yes to questions");
  add_login_command(*app, context);
  add_doctor_command(*app, context);
  add_deploy_command(*app, context);
  add_update_commands(*app, context);
  add_device_commands(*app, context);
  add_hub_commands(*app, context);
  add_dps_commands(*app, context);
  add_enrolment_commands(*app, context);
  add_token_commands(*app, context);
  add_delta_commands(*app, context);
  add_image_commands(*app, context);
  add_other_commands(*app, context);
  return app;
}

int run(int argc, char** argv, const Environment& environment) {
  Context context;
  context.environment = environment;
  const auto app = make_app(context);
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app->exit(e);  // --help, --version
    if (argc == 1) {
      std::fputs(app->help().c_str(), stderr);
      return exit_code::wrong_usage;
    }
    const std::string hint = unknown_verb_hint(*app, argc, argv);
    std::fprintf(stderr, "godwit: %s\nTry --help after any verb.\n", hint.empty() ? e.what() : hint.c_str());
    return exit_code::wrong_usage;
  }
  const auto outcome = context.action(context);
  if (outcome) return *outcome;
  std::fprintf(stderr, "godwit: %s\n", printable(outcome.error().message).c_str());
  return outcome.error().code == Code::invalid_argument ? exit_code::wrong_usage : exit_code::failed;
}

}  // namespace godwit::cli
