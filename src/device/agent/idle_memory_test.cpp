#include "device/agent/idle_memory.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "core/base/bytes.hpp"

namespace godwit::agent {
namespace {

long file_pages() {
  std::ifstream file("/proc/self/statm");
  long size = 0, resident = 0, shared = 0;
  file >> size >> resident >> shared;
  return shared;
}

std::string constants_that_were_relocated() {
  std::string text;
  for (const char* word : {"these", "words", "are", "reached", "through", "pointers"}) text += word;
  return text;
}

TEST(IdleMemory, code_goes_and_comes_back_by_itself) {
  const std::string before = constants_that_were_relocated();
  const Bytes digest = sha256("abc");
  const long pages = file_pages();
  release_idle_memory();
  const long after = file_pages();
  EXPECT_LT(after, pages * 3 / 4);
  EXPECT_EQ(constants_that_were_relocated(), before);
  EXPECT_EQ(sha256("abc"), digest);
}

}  // namespace
}  // namespace godwit::agent
