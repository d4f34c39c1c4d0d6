#include "tools/cli/completion.hpp"

#include <gtest/gtest.h>

#include <cstdio>

#include "core/base/file.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

// Method: let a real bash load the script and complete a line.
std::string complete(const std::string& line) {
  Context context;
  const auto app = make_app(context);
  const Path script = std::filesystem::temp_directory_path() / ("godwit-completion-" + random_guid());
  EXPECT_TRUE(write_file_durably(script, completion_script(*app, "bash")));
  const std::string command = "bash -c 'source " + script.string() + "; COMP_WORDS=(" + line +
                              " \"\"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _godwit; echo ${COMPREPLY[@]}'";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string out;
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) out += buffer;
  EXPECT_EQ(::pclose(pipe), 0);
  std::filesystem::remove(script);
  return out;
}

TEST(Completion, bash_offers_the_verbs_of_the_level) {
  EXPECT_NE(complete("godwit").find("update"), std::string::npos);
  const auto verbs = complete("godwit device deployment");
  EXPECT_NE(verbs.find("create"), std::string::npos) << verbs;
  EXPECT_NE(verbs.find("list-devices"), std::string::npos) << verbs;
}

TEST(Completion, bash_offers_the_flags_of_a_verb_and_the_global_ones) {
  const auto flags = complete("godwit device deployment show");
  EXPECT_NE(flags.find("--deployment-id"), std::string::npos) << flags;
  EXPECT_NE(flags.find("--output"), std::string::npos) << flags;
}

}  // namespace
}  // namespace godwit::cli
