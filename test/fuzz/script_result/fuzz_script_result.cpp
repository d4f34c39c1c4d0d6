// The result file and the properties of a script step: any bytes give a value or an error, and every outcome can be
// reported.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/bytes.hpp"
#include "script_call.hpp"
#include "script_result.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::step_script;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = parse_result_file(text);
  for (const Action action : {Action::is_installed, Action::download, Action::install, Action::apply}) {
    const godwit::author::Outcome outcome = conclude(action, ScriptEnd{.last_output = "x"}, file);
    GODWIT_CHECK(outcome.result_code >= 0 && outcome.result_code < 1000);
    GODWIT_CHECK(outcome.result_code > 0 || outcome.extended_code != 0);
    GODWIT_CHECK(godwit::is_valid_utf8(outcome.details));
    const auto made = make_call(action, text, {.work_folder = "/w", .result_file = "/w/r", .installed_criteria = "c"});
    GODWIT_CHECK(made.call.has_value() != !made.refusal.details.empty());
    if (made.call)
      GODWIT_CHECK(made.call->script_file_name.find('/') == std::string::npos && made.call->arguments.size() <= 300);
  }
  return 0;
}
