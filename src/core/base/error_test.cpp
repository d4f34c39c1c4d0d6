#include "core/base/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <sstream>

#include "core/base/secret.hpp"

using namespace godwit;

namespace {

Result<std::unique_ptr<int>> half(int number) {
  if (number % 2 != 0) return fail(Code::invalid_argument, "odd");
  return std::make_unique<int>(number / 2);
}

Result<int> quarter(int number) {
  GODWIT_TRY(const auto once, half(number));
  auto twice = half(*once);
  if (!twice) return with_context("second half", std::move(twice).error());
  return **twice;
}

Result<void> check_even(int number) {
  GODWIT_TRY_VOID(quarter(number));
  return {};
}

}  // namespace

TEST(Result, carries_the_value_or_the_first_error_with_its_story) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(7).error().message, "odd");
  EXPECT_EQ(quarter(6).error().message, "second half: odd");
  EXPECT_EQ(quarter(6).error().code, Code::invalid_argument);
  EXPECT_FALSE(check_even(6));
  EXPECT_TRUE(check_even(8));
}

TEST(Error, from_errno_tells_a_full_disk_from_other_troubles) {
  EXPECT_EQ(error_from_errno("write", ENOSPC).code, Code::disk_full);
  EXPECT_EQ(error_from_errno("write", EIO).code, Code::io_failed);
  EXPECT_EQ(error_from_errno("write", ENOSPC).message, "write: No space left on device");
}

TEST(Code, names_are_stable_and_foreign_numbers_are_unknown) {
  EXPECT_EQ(code_name(Code::digest_mismatch), "digest_mismatch");
  EXPECT_EQ(code_name(static_cast<Code>(77)), "unknown");
  EXPECT_EQ(static_cast<int>(Code::extension_crashed), 4003);
}

TEST(CheckDeathTest, a_broken_invariant_ends_the_process_and_names_itself) {
  EXPECT_DEATH(GODWIT_CHECK(1 + 1 == 3), "1 \\+ 1 == 3 does not hold at .*error_test.cpp");
}

TEST(Secret, does_not_print) {
  std::ostringstream out;
  out << Secret("hunter2");
  EXPECT_EQ(out.str(), "***");
}
