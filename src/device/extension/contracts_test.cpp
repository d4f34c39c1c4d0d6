// The public headers must be usable alone, in strict C99 and in C++, whatever else changes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "core/base/file.hpp"
#include "device/extension/ranges.hpp"
#include "device/extension/testing/test_extensions.hpp"
#include "godwit/step_handler.h"

namespace godwit::extension {
namespace {

#ifndef GODWIT_INCLUDE_FOLDER
#error "the build names the folder of the public headers"
#endif

static_assert(kFileRangesMax == GODWIT_RANGES_MAX);
static_assert(kPiecesMax == GODWIT_PIECES_MAX);

TEST(Contracts, each_header_alone_is_strict_c99_and_cpp) {
  const testing::TemporaryFolder folder;
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Path(GODWIT_INCLUDE_FOLDER) / "godwit")) {
    if (entry.path().extension() != ".h") continue;
    ++seen;
    const Path source = folder / "one.c";
    ASSERT_TRUE(write_file_durably(
        source, "#include \"godwit/" + entry.path().filename().string() + "\"\nint unused_in_this_unit;\n"));
    const std::string flags =
        " -pedantic-errors -Wall -Wextra -Werror -fsyntax-only -I" + std::string(GODWIT_INCLUDE_FOLDER) + " ";
    EXPECT_EQ(0, std::system(("cc -std=c99" + flags + source.string()).c_str())) << entry.path();
    EXPECT_EQ(0, std::system(("c++ -std=c++11 -x c++" + flags + source.string()).c_str())) << entry.path();
  }
  EXPECT_EQ(6, seen);
}

}  // namespace
}  // namespace godwit::extension
