#include "source_cache.hpp"

#include <gtest/gtest.h>

#include "device/extension/testing/test_extensions.hpp"

namespace godwit::download_delta {
namespace {

class SourceCacheTest : public ::testing::Test {
 protected:
  Path payload(const std::string& text) {
    const Path path = folder_ / "payload";
    EXPECT_TRUE(write_file_durably(path, text));
    return path;
  }
  void keep(const SourceCache& cache, const std::string& text, int age) {
    ASSERT_TRUE(cache.keep("Contoso", sha256(text), payload(text)));
    const auto place = cache.find("Contoso", sha256(text));
    ASSERT_TRUE(place);
    std::filesystem::last_write_time(*place, std::filesystem::file_time_type::clock::now() - std::chrono::hours(age));
  }
  extension::testing::TemporaryFolder folder_;
  Path root_ = folder_ / "cache";
};

TEST_F(SourceCacheTest, a_kept_file_is_found_under_its_hash_with_specials_escaped) {
  const SourceCache cache(root_);
  const std::string text = "x";  // its hash has '/', '+' or '=' in base64: '=' always
  ASSERT_TRUE(cache.keep("Contoso", sha256(text), payload(text)));
  ASSERT_TRUE(cache.keep("Contoso", sha256(text), payload(text))) << "keeping is repeatable";
  const auto place = cache.find("Contoso", sha256(text));
  ASSERT_TRUE(place);
  EXPECT_EQ(place->parent_path(), root_ / "Contoso");
  EXPECT_TRUE(place->filename().string().starts_with("sha256-"));
  EXPECT_TRUE(place->filename().string().ends_with("_3D"));
  EXPECT_EQ(*read_file(*place, 10), "x");
  EXPECT_FALSE(cache.find("Other", sha256(text)));
  EXPECT_FALSE(cache.find("Contoso", sha256("y")));
}

// faults: 45
TEST_F(SourceCacheTest, a_provider_cannot_lead_out_of_the_cache) {
  const SourceCache cache(root_);
  EXPECT_FALSE(cache.keep("../up", sha256("x"), payload("x")));
  EXPECT_FALSE(cache.keep("..", sha256("x"), payload("x")));
  EXPECT_FALSE(cache.find("..", sha256("x")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "up"));
}

TEST_F(SourceCacheTest, the_oldest_leave_when_there_are_too_many_or_too_much) {
  const SourceCache few(root_, {.files = 3, .free_percent = 0});
  keep(few, "one", 5);
  keep(few, "two", 9);
  keep(few, "three", 1);
  keep(few, "four", 0);
  EXPECT_FALSE(few.find("Contoso", sha256("two")));
  EXPECT_TRUE(few.find("Contoso", sha256("one")));
  EXPECT_TRUE(few.find("Contoso", sha256("four")));
  const SourceCache small(root_, {.bytes = 12, .free_percent = 0});
  keep(small, "12345678", 0);
  EXPECT_TRUE(small.find("Contoso", sha256("four")));
  EXPECT_FALSE(small.find("Contoso", sha256("one")));
  EXPECT_EQ(small.keep("Contoso", sha256("0123456789abc"), payload("0123456789abc")).error().code, Code::too_large);
}

TEST_F(SourceCacheTest, a_link_of_the_administrator_is_a_source_and_stays) {
  const SourceCache cache(root_, {.files = 1, .free_percent = 0});
  keep(cache, "first", 1);
  const auto place = cache.find("Contoso", sha256("first"));
  ASSERT_TRUE(place);
  ASSERT_TRUE(write_file_durably(folder_ / "slot", "first"));
  std::filesystem::remove(*place);
  std::filesystem::create_symlink(folder_ / "slot", *place);
  ASSERT_TRUE(cache.keep("Contoso", sha256("second"), payload("second")));
  EXPECT_TRUE(cache.find("Contoso", sha256("first")));
  EXPECT_TRUE(cache.find("Contoso", sha256("second")));
}

}  // namespace
}  // namespace godwit::download_delta
