#include "tools/cli/completion.hpp"

namespace godwit::cli {
namespace {

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) words += sub->get_name() + " ";
  for (const CLI::App* here = &app; here != nullptr; here = here->get_parent())
    for (const auto* option : here->get_options())
      for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  if (!words.empty()) words.pop_back();
  return words;
}

void add_cases(const CLI::App& app, const std::string& path, std::string& out) {
  out += "    '" + path + "') words='" + words_of(app) + "' ;;\n";
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    add_cases(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), out);
}

}  // namespace

std::string completion_script(const CLI::App& root, const std::string& shell) {
  std::string out;
  if (shell == "zsh") out += "autoload -U +X bashcompinit && bashcompinit\n";
  out +=
      "_godwit() {\n  local path='' word words i\n  for ((i = 1; i < COMP_CWORD; i++)); do\n    "
      "word=${COMP_WORDS[i]}\n";
  out +=
      "    [[ $word == -* || ${COMP_WORDS[i-1]} == -* ]] && continue\n    path=\"${path:+$path }$word\"\n  done\n  "
      "case \"$path\" in\n";
  add_cases(root, "", out);
  out += "    *) words='' ;;\n  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n";
  out +=
      "  [[ ${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -F "
      "_godwit godwit\n";
  return out;
}

}  // namespace godwit::cli
