#include "apps/godwitd/readiness.hpp"

#include "server/store/testing.hpp"

namespace godwit::daemon {
namespace {

/// Refuses writes when told to.
class StubbornStore final : public store::Store {
 public:
  explicit StubbornStore(store::Store& store) : store_(store) {}
  void submit(Job job, Done done) override {
    ++writes;
    if (is_stubborn) return done(fail(Code::disk_full, "no space left"));
    store_.submit(std::move(job), std::move(done));
  }
  Result<void> read(const Job& job) override { return store_.read(job); }
  bool is_stubborn = false;
  int writes = 0;

 private:
  store::Store& store_;
};

TEST(Readiness, a_store_that_takes_no_writes_is_not_ready_and_says_why) {
  store::TestStore test;
  StubbornStore store(*test.store);
  Readiness readiness(store, test.clock, test.folder.path(), 1);
  EXPECT_EQ(readiness.why_not(), "");
  store.is_stubborn = true;
  EXPECT_EQ(readiness.why_not(), "") << "an answer holds for a moment";
  EXPECT_EQ(store.writes, 1);
  test.clock.advance(Readiness::kMemory);
  EXPECT_EQ(readiness.why_not(), "the store takes no writes: no space left");
  store.is_stubborn = false;
  test.clock.advance(Readiness::kMemory);
  EXPECT_EQ(readiness.why_not(), "");
}

TEST(Readiness, a_disk_that_is_nearly_full_is_not_ready_and_says_how_much_is_left) {
  store::TestStore test;
  std::optional<ByteCount> left = 100;
  Readiness readiness(*test.store, test.clock, test.folder.path(), 100, [&](const Path&) { return left; });
  EXPECT_EQ(readiness.why_not(), "");
  left = 99;
  test.clock.advance(Readiness::kMemory);
  EXPECT_NE(readiness.why_not().find("nearly full: 99 B are free"), std::string::npos) << readiness.why_not();
  left.reset();
  test.clock.advance(Readiness::kMemory);
  EXPECT_NE(readiness.why_not(), "");
}

}  // namespace
}  // namespace godwit::daemon
