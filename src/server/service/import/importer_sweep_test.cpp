// What stays and what goes of the blobs, and who may rely on one that is there.
#include <fcntl.h>
#include <unistd.h>

#include "server/service/import/blob_check.hpp"
#include "server/service/import/testing.hpp"

namespace godwit::service {
namespace {

constexpr auto kDay = std::chrono::hours(24);

Result<std::optional<ByteCount>> hold(ImportRig& rig, const std::string& content) {
  return rig.blobs->hold(sha256(content));
}

Path file_of(ImportRig& rig, const std::string& content) {
  const std::string name = hex_encode(sha256(content));
  return rig.test.folder.path() / "blobs" / name.substr(0, 2) / name;
}

void damage(const Path& file) {
  auto fd = open_file(file, O_WRONLY).value();
  ASSERT_EQ(::pwrite(fd.get(), "?", 1, 0), 1);
}

}  // namespace

TEST(BlobSweep, takes_what_nobody_needs_and_nobody_used_for_a_while) {
  ImportRig rig;
  ASSERT_EQ(text_at(rig.import_directly({.files = {{"a.bin", "needed"}}}), "status"), "Succeeded");
  rig.upload("never imported");
  rig.upload("asked for again");
  rig.test.clock.advance(kDay - std::chrono::hours(1));
  ASSERT_TRUE(hold(rig, "asked for again").value());
  EXPECT_EQ(rig.importer->sweep().value().blobs, 0U) << "within the grace";
  rig.test.clock.advance(std::chrono::hours(2));
  EXPECT_EQ(rig.importer->sweep().value().blobs, 1U);
  EXPECT_FALSE(rig.has_blob("never imported"));
  EXPECT_TRUE(rig.has_blob("asked for again"));
  rig.test.clock.advance(kDay * 365);
  EXPECT_EQ(rig.importer->sweep().value().blobs, 1U);
  EXPECT_TRUE(rig.has_blob("needed"));
}

TEST(BlobSweep, leaves_what_a_waiting_import_named) {
  ImportRig rig;
  rig.upload_files({});
  ASSERT_TRUE(rig.importer->start({DirectItem{.manifest = manifest_text({})}}, "tester"));
  rig.test.clock.advance(kDay * 30);  // say, the store was read-only for so long
  EXPECT_EQ(rig.importer->sweep().value().blobs, 0U);
  EXPECT_TRUE(rig.importer->work_off());
  EXPECT_TRUE(rig.catalog.describe(sample_id("Toaster", "1.2.0")));
}

// Goal: "it is here already" is a promise, also when the update that brought it is being deleted.
TEST(BlobSweep, a_deletion_leaves_what_somebody_asked_for_since) {
  ImportRig rig;
  ASSERT_EQ(
      text_at(rig.import_directly({.version = "1.0", .files = {{"a.bin", "asked"}, {"b.bin", "not asked"}}}), "status"),
      "Succeeded");
  ASSERT_TRUE(rig.catalog.remove(sample_id("Toaster", "1.0"), "tester"));
  ASSERT_TRUE(hold(rig, "asked").value()) << "what a PUT of a payload that is here does";
  EXPECT_TRUE(rig.importer->work_off());
  EXPECT_TRUE(rig.has_blob("asked"));
  EXPECT_FALSE(rig.has_blob("not asked"));
}

TEST(BlobSweep, a_failed_import_leaves_what_somebody_asked_for_since) {
  ImportRig rig;
  auto item = rig.publish({.files = {{"a.bin", "asked"}, {"b.bin", "second"}}});
  rig.fetcher.web.erase(item.files.at("b.bin"));
  rig.fetcher.on_fetch = [&] {
    if (rig.fetcher.fetches != 3) return;
    EXPECT_TRUE(hold(rig, "asked").value().has_value()) << "in the same millisecond";
  };
  EXPECT_EQ(codes_of(rig.run({item})), "CannotProcessUpdateFile/ContentFileCannotDownload");
  EXPECT_TRUE(rig.has_blob("asked"));
}

TEST(BlobSweep, drops_uploads_that_nobody_continued) {
  ImportRig rig;
  {
    auto upload = rig.blobs->resume(sha256("0123456789"), 10, 0).value();
    ASSERT_TRUE(upload->write("01234"));
  }
  rig.test.clock.advance(kDay - std::chrono::minutes(1));
  EXPECT_EQ(rig.importer->sweep().value().partial_uploads, 0U);
  rig.test.clock.advance(std::chrono::minutes(2));
  EXPECT_EQ(rig.importer->sweep().value().partial_uploads, 1U);
  EXPECT_FALSE(rig.blobs->find_partial(sha256("0123456789")));
  EXPECT_EQ(rig.blobs->usage().reserved, 0U);
}

TEST(BlobCheck, finds_what_the_disk_changed_sets_it_aside_and_a_new_upload_heals_it) {
  ImportRig rig;
  ASSERT_EQ(text_at(rig.import_directly({.files = {{"a.bin", "will rot"}, {"b.bin", "stays good"}}}), "status"),
            "Succeeded");
  damage(file_of(rig, "will rot"));
  BlobCheck check(*rig.test.store, *rig.blobs, rig.test.clock, rig.test.log, {});
  ASSERT_TRUE(check.run_round());
  EXPECT_EQ(check.counters().damaged_blobs, 1U);
  EXPECT_EQ(check.counters().finished, rig.test.clock.now());
  EXPECT_FALSE(rig.has_blob("will rot"));
  EXPECT_TRUE(rig.has_blob("stays good"));
  EXPECT_EQ(rig.blobs->open(sha256("will rot")).error().code, Code::unavailable) << "a clear answer, and not the bytes";
  ASSERT_EQ(rig.blobs->quarantined().value().size(), 1U);
  rig.test.clock.advance(kDay * 2);
  EXPECT_EQ(rig.importer->sweep().value().blobs, 0U) << "the update needs it, so it stays reported";
  rig.upload("will rot");
  EXPECT_TRUE(rig.blobs->open(sha256("will rot")));
  EXPECT_TRUE(rig.blobs->quarantined().value().empty());
}

TEST(BlobCheck, goes_on_after_a_restart_where_it_was_and_waits_between_rounds) {
  ImportRig rig;
  for (int i = 0; i < 200; ++i) rig.upload("payload " + std::to_string(i));
  ASSERT_TRUE(rig.test.store->write([&](store::Records& records) {
    return records.access().save_setting("blobs.check", R"({"after":")" + std::string(64, 'f') + R"("})");
  }));
  BlobCheck resumed(*rig.test.store, *rig.blobs, rig.test.clock, rig.test.log, {});
  ASSERT_TRUE(resumed.run_round());
  EXPECT_EQ(resumed.counters().checked_blobs, 0U) << "an earlier process was at the end already";
  BlobCheck next(*rig.test.store, *rig.blobs, rig.test.clock, rig.test.log, {.bytes_per_second = ByteCount{1} << 30U});
  next.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(next.counters().checked_blobs, 0U) << "the last round ended just now";
  ASSERT_TRUE(next.begin_round());
  for (int i = 0; i < 1000 && next.counters().checked_blobs < 200; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(next.counters().checked_blobs, 200U) << "asked for by an operator";
  next.stop();
}

TEST(BlobCheck, its_rate_is_bounded) {
  ImportRig rig;
  rig.upload(std::string(1'000'000, 'x'));
  BlobCheck check(*rig.test.store, *rig.blobs, rig.test.clock, rig.test.log, {.bytes_per_second = 2'000'000});
  const auto begun = std::chrono::steady_clock::now();
  check.start();
  while (check.counters().checked_blobs == 0 && std::chrono::steady_clock::now() - begun < std::chrono::seconds(20))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(400)) << "half a second at that rate";
}

}  // namespace godwit::service
