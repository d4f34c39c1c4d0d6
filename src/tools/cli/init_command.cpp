// update init v5: make an import manifest. --file binds to the --step before it, --related-file to the --file before
// it.
#include <fmt/format.h>

#include <optional>

#include "core/base/clock.hpp"
#include "core/base/text.hpp"
#include "tools/cli/app.hpp"
#include "tools/cli/manifest_builder.hpp"

namespace godwit::cli {
namespace {

struct InitFlags {
  ManifestWish wish{};
  std::string folder = ".";
  bool to_stdout = false;
  std::optional<Error> problem{};  // the first bad --step, --file ... in the order they were given
};

Result<json::Object> json_value(const std::string& text, std::string_view flag) {
  auto parsed = json::parse_object(text);
  if (!parsed) return with_context(std::string(flag) + " properties", parsed.error());
  return *std::move(parsed);
}

Result<void> add_step(InitFlags& flags, const std::vector<std::string>& words) {
  GODWIT_TRY(const auto pairs, read_pairs(words,
                                          {"handler", "properties", "description", "updateId.provider", "updateId.name",
                                           "updateId.version"},
                                          "--step"));
  StepWish step;
  for (const auto& [key, value] : pairs) {
    if (key == "handler") step.handler = value;
    if (key == "description") step.description = value;
    if (key == "updateId.provider") step.update_provider = value;
    if (key == "updateId.name") step.update_name = value;
    if (key == "updateId.version") step.update_version = value;
    if (key == "properties") {
      GODWIT_TRY(step.properties, json_value(value, "--step"));
    }
  }
  if (step.handler.empty() == step.update_provider.empty())
    return fail(Code::invalid_argument,
                "--step needs either handler=... or updateId.provider=, updateId.name=, updateId.version=");
  flags.wish.steps.push_back(std::move(step));
  return {};
}

Result<void> add_file(InitFlags& flags, const std::vector<std::string>& words) {
  GODWIT_TRY(const auto pairs, read_pairs(words, {"path", "downloadHandler"}, "--file"));
  if (flags.wish.steps.empty())
    return fail(Code::invalid_argument, "--file stands before any --step; it belongs to the step before it");
  FileWish file;
  for (const auto& [key, value] : pairs) (key == "path" ? file.path : file.download_handler) = value;
  if (file.path.empty()) return fail(Code::invalid_argument, "--file needs path=...");
  flags.wish.steps.back().files.push_back(std::move(file));
  return {};
}

Result<void> add_related(InitFlags& flags, const std::vector<std::string>& words) {
  GODWIT_TRY(const auto pairs, read_pairs(words, {"path", "properties"}, "--related-file"));
  if (flags.wish.steps.empty() || flags.wish.steps.back().files.empty())
    return fail(Code::invalid_argument, "--related-file stands before any --file; it belongs to the file before it");
  std::pair<std::string, json::Object> related;
  for (const auto& [key, value] : pairs) {
    if (key == "path") related.first = value;
    if (key == "properties") {
      GODWIT_TRY(related.second, json_value(value, "--related-file"));
    }
  }
  if (related.first.empty()) return fail(Code::invalid_argument, "--related-file needs path=...");
  flags.wish.steps.back().files.back().related.push_back(std::move(related));
  return {};
}

Result<void> add_compatibility(InitFlags& flags, const std::vector<std::string>& words) {
  GODWIT_TRY(const auto pairs, read_pairs(words, {}, "--compat"));
  flags.wish.compatibility.emplace_back(pairs.begin(), pairs.end());
  return {};
}

std::string file_name_of(const UpdateId& id) {
  return lower_case(id.provider + "." + id.name + "." + id.version.str() + ".importmanifest.json");
}

Result<int> init(Context& context, const InitFlags& flags) {
  if (flags.problem) return tl::unexpected<Error>{*flags.problem};
  GODWIT_TRY(const auto manifest, build_manifest(flags.wish, format_time(SystemClock().now())));
  const std::string text = manifest::print_import_manifest(manifest);
  if (flags.to_stdout) {
    std::fputs(text.c_str(), stdout);
    return exit_code::ok;
  }
  const Path path = Path(flags.folder) / file_name_of(manifest.update_id);
  GODWIT_TRY_VOID(write_file_durably(path, text, 0644));
  if (context.wants_json())
    context.show_json(json::Object{{"manifest", path.string()}});
  else
    fmt::print("wrote {}\n", path.string());
  return exit_code::ok;
}

}  // namespace

void add_init_command(CLI::App& update, Context& context) {
  auto* init_group = update.add_subcommand("init", "Make an import manifest");
  init_group->require_subcommand(1);
  auto* v5 = init_group->add_subcommand("v5", "Make an import manifest of version 5.0; sizes and hashes are computed");
  auto flags = std::make_shared<InitFlags>();
  v5->add_option("--update-provider", flags->wish.provider, "Provider, e.g. Contoso")->required();
  v5->add_option("--update-name", flags->wish.name, "Name, e.g. Toaster")->required();
  v5->add_option("--update-version", flags->wish.version, "Version of 2 to 4 numbers, e.g. 1.2.0")->required();
  v5->add_option("--description", flags->wish.description, "Free text, at most 512 characters");
  v5->add_option("--is-deployable", flags->wish.is_deployable, "false: only usable as a step of another update")
      ->default_str("true");
  v5->add_option("--folder", flags->folder, "Where to write <provider>.<name>.<version>.importmanifest.json");
  v5->add_flag("--stdout", flags->to_stdout, "Print instead of writing a file");

  using Adder = Result<void> (*)(InitFlags&, const std::vector<std::string>&);
  const auto ordered = [&](const std::string& name, const std::string& help, Adder adder) {
    return v5
        ->add_option_function<std::vector<std::string>>(
            name,
            [flags, adder](const std::vector<std::string>& words) {
              if (auto added = adder(*flags, words); !added && !flags->problem) flags->problem = added.error();
            },
            help)
        ->expected(1, -1)
        ->trigger_on_parse();
  };
  ordered("--compat",
          "One compatibility set: manufacturer=Contoso model=Toaster, or group=motors for parts; may be repeated",
          add_compatibility)
      ->required();
  ordered("--step",
          "handler=microsoft/script:1 properties='{...}', or another update: updateId.provider=Contoso "
          "updateId.name=Motor updateId.version=1.0; either with [description=...]; may be repeated",
          add_step)
      ->required();
  ordered("--file", "path=FILE [downloadHandler=microsoft/delta:1]; belongs to the step before it", add_file);
  ordered("--related-file", "path=FILE properties='{...}'; belongs to the file before it", add_related);
  v5->callback([&context, flags] { context.action = [flags](Context& c) { return init(c, *flags); }; });
}

}  // namespace godwit::cli
