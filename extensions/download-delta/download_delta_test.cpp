// The whole extension, as the agent calls it: the library in a worker process, real deltas.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/delta/make.hpp"
#include "core/model/outcome.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"
#include "device/slots/contents.hpp"

namespace godwit::download_delta {
namespace {

using extension::Outcome;
using extension::Type;

Bytes text_of(int lines, std::uint64_t seed) {
  Bytes text;
  for (int i = 0; i < lines; ++i) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    text += "line " + std::to_string(seed >> 20U) + "\n";
  }
  return text;
}

class DownloadDelta : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_folders(work_));
    target_.replace(target_.size() / 2, 5, "new content");
    ASSERT_TRUE(delta::make(source_, target_,
                            [this](std::string_view bytes) -> Result<void> {
                              delta_ += bytes;
                              return {};
                            },
                            {.level = 3, .group_size = 16 * 1024}));
  }

  json::Object related(const Bytes& source, std::int64_t size, std::string_view algorithm = "sha256") const {
    return {{"fileName", "a.delta"},
            {"sizeInBytes", size},
            {"hashes", json::Object{{"sha256", base64_encode(sha256(delta_))}}},
            {"properties", json::Object{{"microsoft.sourceFileHash", base64_encode(sha256(source))},
                                        {"microsoft.sourceFileHashAlgorithm", algorithm}}}};
  }
  Result<Outcome> run(const std::string& verb, const Bytes& whole, const json::Object& related_files,
                      const json::Array& ranges = {}) const {
    const json::Object file{{"fileName", "image"},
                            {"sizeInBytes", whole.size()},
                            {"hashes", json::Object{{"sha256", base64_encode(sha256(whole))}}},
                            {"relatedFiles", related_files}};
    return extension::run_extension(
        registration_,
        {{"verb", verb},
         {"file", file},
         {"target", made_.string()},
         {"work_dir", work_.string()},
         {"cache_dir", (folder_ / "cache").string()},
         {"ranges_path", (work_ / "pieces").string()},
         {"ranges", ranges},
         {"update_id", json::Object{{"provider", "Contoso"}, {"name", "Toaster"}, {"version", "1.1"}}}},
        {.time_limit = std::chrono::seconds(60)}, {}, {});
  }
  /// As after an earlier update: its payload was kept.
  void keep_source() {
    ASSERT_TRUE(write_file_durably(made_, source_));
    const auto kept = run("completed", source_, {});
    ASSERT_TRUE(kept) << kept.error().message;
    EXPECT_EQ(kept->result_code, 1) << kept->details;
    std::filesystem::remove(made_);
  }
  Path kept_path() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "cache" / "Contoso")) return entry.path();
    return {};
  }

  extension::testing::TemporaryFolder folder_;
  Path work_ = folder_ / "work";
  Path made_ = folder_ / "f1.made";
  extension::Registration registration_ = extension::testing::registration_of(
      extension::testing::library_folder() / "godwit-download-delta.so", Type::download_handler, "microsoft/delta:1");
  Bytes source_ = text_of(9000, 1);
  Bytes target_ = source_;
  Bytes delta_{};
};

TEST_F(DownloadDelta, a_payload_that_was_kept_becomes_the_source_of_the_next) {
  keep_source();
  const json::Object files{{"d1", related(source_, 900)}, {"d2", related(source_, 300)}, {"d3", related("other", 1)}};
  const auto chosen = run("choose", target_, files);
  ASSERT_TRUE(chosen) << chosen.error().message;
  EXPECT_EQ(chosen->result_code, 520) << chosen->details;
  EXPECT_EQ(json::print(chosen->answer), R"({"related":["d2"]})") << "the smallest one whose source is here";
  ASSERT_TRUE(write_file_durably(work_ / "d2", delta_));
  const auto made = run("make", target_, files);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->result_code, 520) << made->details;
  EXPECT_TRUE(*read_file(made_, 10'000'000) == target_);
}

TEST_F(DownloadDelta, without_a_source_the_full_file_is_asked_for_with_the_soft_code) {
  for (const json::Object& files :
       {json::Object{}, json::Object{{"d1", related(source_, 1)}}, json::Object{{"d1", related(source_, 1, "md5")}},
        json::Object{{"d1", "nonsense"}}, json::Object{{"../d1", related(source_, 1)}}}) {
    const auto chosen = run("choose", target_, files);
    ASSERT_TRUE(chosen) << chosen.error().message;
    EXPECT_EQ(chosen->result_code, 521);
    EXPECT_EQ(extended_code_hex(chosen->extended_code), "90800008");
  }
}

TEST_F(DownloadDelta, what_an_earlier_try_made_is_not_made_again_and_a_torn_end_is_mended) {
  keep_source();
  ASSERT_TRUE(write_file_durably(work_ / "d1", delta_));
  ASSERT_TRUE(write_file_durably(made_, target_.substr(0, 50000) + "torn"));
  const auto made = run("make", target_, {{"d1", related(source_, 1)}});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->result_code, 520) << made->details;
  EXPECT_TRUE(*read_file(made_, 10'000'000) == target_);
}

// faults: 47
TEST_F(DownloadDelta, bit_rot_in_the_source_or_the_delta_falls_back_to_the_full_file_in_words) {
  keep_source();
  ASSERT_TRUE(write_file_durably(work_ / "d1", delta_));
  Bytes rotten = source_;
  rotten[20000] = static_cast<char>(rotten[20000] ^ 1);
  ASSERT_TRUE(write_file_durably(kept_path(), rotten));
  const auto made = run("make", target_, {{"d1", related(source_, 1)}});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->result_code, 521);
  EXPECT_NE(made->details.find("16384 bytes in 1 ranges cannot be made from it, the first 16384 at 16384"),
            std::string::npos)
      << made->details;
  EXPECT_EQ(json::print(made->answer), R"({"ranges":[{"offset":16384,"length":16384}]})");
  ASSERT_TRUE(write_file_durably(kept_path(), source_));
  Bytes damaged = delta_;
  damaged[300] = static_cast<char>(damaged[300] ^ 1);
  ASSERT_TRUE(write_file_durably(work_ / "d1", damaged));
  const auto again = run("make", target_, {{"d1", related(source_, 1)}});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->result_code, 521);
  EXPECT_NE(again->details.find("delta"), std::string::npos) << again->details;
}

// faults: 47
TEST_F(DownloadDelta, pieces_of_the_full_file_mend_what_a_damaged_source_cannot_give) {
  keep_source();
  ASSERT_TRUE(write_file_durably(work_ / "d1", delta_));
  Bytes rotten = source_;
  for (const std::size_t at : {20000UL, 100000UL}) rotten[at] = static_cast<char>(rotten[at] ^ 1);
  ASSERT_TRUE(write_file_durably(kept_path(), rotten));
  const auto asked = run("make", target_, {{"d1", related(source_, 1)}});
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(asked->result_code, 521);
  const auto ranges = json::array(asked->answer, "ranges", "answer");
  ASSERT_TRUE(ranges);
  ASSERT_EQ((*ranges)->size(), 2U);
  Bytes pieces;
  for (const auto& range : **ranges)
    pieces += target_.substr(static_cast<std::size_t>(*json::integer(range.get_object(), "offset", "")),
                             static_cast<std::size_t>(*json::integer(range.get_object(), "length", "")));
  ASSERT_EQ(pieces.size(), 2U * 16384);
  Bytes wrong = pieces;
  wrong[5] = static_cast<char>(wrong[5] ^ 1);
  ASSERT_TRUE(write_file_durably(work_ / "pieces", wrong));
  const auto refused = run("make", target_, {{"d1", related(source_, 1)}}, **ranges);
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_EQ(refused->result_code, 521);
  EXPECT_EQ(json::print(refused->answer), "{}") << "what came is not what belongs there: it is not asked for again";
  ASSERT_TRUE(write_file_durably(work_ / "pieces", pieces));
  const auto made = run("make", target_, {{"d1", related(source_, 1)}}, **ranges);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->result_code, 520) << made->details;
  EXPECT_TRUE(*read_file(made_, 10'000'000) == target_);
}

TEST_F(DownloadDelta, a_delta_that_makes_another_file_is_refused) {
  keep_source();
  ASSERT_TRUE(write_file_durably(work_ / "d1", delta_));
  const auto made = run("make", target_ + "x", {{"d1", related(source_, 1)}});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->result_code, 521);
  EXPECT_NE(made->details.find("are expected"), std::string::npos) << made->details;
}

TEST_F(DownloadDelta, the_installed_system_may_be_linked_as_a_source_larger_than_the_image) {
  ASSERT_TRUE(write_file_durably(folder_ / "slot", source_ + Bytes(100000, '\xFF')));
  keep_source();
  const Path kept = kept_path();
  std::filesystem::remove(kept);
  std::filesystem::create_symlink(folder_ / "slot", kept);
  ASSERT_TRUE(write_file_durably(work_ / "d1", delta_));
  const auto made = run("make", target_, {{"d1", related(source_, 1)}});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->result_code, 520) << made->details;
  EXPECT_TRUE(*read_file(made_, 10'000'000) == target_);
}

class InstalledDelta : public DownloadDelta {
 protected:
  void SetUp() override {
    DownloadDelta::SetUp();
    ASSERT_TRUE(write_file_durably(work_ / "d1", delta_));
    // A side is larger than its image.
    ASSERT_TRUE(write_file_durably(folder_ / "a", source_ + Bytes(50000, '\xFF')));
    ASSERT_TRUE(write_file_durably(folder_ / "b", target_ + Bytes(50000, '\xFF')));
    const std::string where = folder_.path().string();
    ASSERT_TRUE(make_folders(folder_ / "data"));
    ASSERT_TRUE(write_file_durably(
        folder_ / "slots.toml",
        fmt::format("[slots]\na = \"{0}/a\"\nb = \"{0}/b\"\ndata = \"{0}/data\"\ncommand_line = \"{0}/cmdline\"\n"
                    "[boot]\nenvironment = \"{0}/state\"\n",
                    where)));
    registration_.options["slots"] = (folder_ / "slots.toml").string();
    runs("a");
    holds(source_);
  }
  void runs(const std::string& side) {
    ASSERT_TRUE(write_file_durably(folder_ / "cmdline", fmt::format("root={}/{}\n", folder_.path().string(), side)));
  }
  void holds(const Bytes& image) {
    slots::Contents contents;
    contents.of(slots::Side::a) = slots::Held{.image = {.size = image.size(), .sha256 = sha256(image)}, .attempts = 3};
    ASSERT_TRUE(write_file_durably(folder_ / "data" / "contents.json", slots::print_contents(contents)));
  }
  std::int32_t choose() const {
    const auto chosen = run("choose", target_, {{"d1", related(source_, 1)}});
    return chosen ? chosen->result_code : -100;
  }
  const Bytes made() const { return read_file(made_, 10'000'000).value_or(""); }
};

TEST_F(InstalledDelta, the_running_side_is_the_source_and_no_copy_is_kept) {
  EXPECT_EQ(choose(), 520);
  const auto outcome = run("make", target_, {{"d1", related(source_, 1)}});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->result_code, 520) << outcome->details;
  EXPECT_TRUE(made() == target_);
  holds(target_);  // it was installed, and its side runs
  const auto completed = run("completed", target_, {});
  ASSERT_TRUE(completed) << completed.error().message;
  EXPECT_EQ(completed->result_code, 1) << completed->details;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cache" / "Contoso")) << "the side itself is the next source";
}

// faults: 47
TEST_F(InstalledDelta, a_running_side_that_was_written_to_lacks_only_what_changed) {
  Bytes side = *read_file(folder_ / "a", 10'000'000);
  side.replace(20000, 7, "mounted");
  ASSERT_TRUE(write_file_durably(folder_ / "a", side));
  EXPECT_EQ(choose(), 520);
  const auto outcome = run("make", target_, {{"d1", related(source_, 1)}});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->result_code, 521);
  EXPECT_EQ(json::print(outcome->answer), R"({"ranges":[{"offset":16384,"length":16384}]})");
}

TEST_F(InstalledDelta, a_side_that_does_not_run_or_is_not_known_is_no_source) {
  runs("b");
  EXPECT_EQ(choose(), 521) << "b runs, and nothing is known of it";
  runs("a");
  holds("something else");
  EXPECT_EQ(choose(), 521);
  std::filesystem::remove(folder_ / "data" / "contents.json");
  EXPECT_EQ(choose(), 521);
  ASSERT_TRUE(write_file_durably(folder_ / "data" / "contents.json", "torn"));
  EXPECT_EQ(choose(), 521) << "a damaged record is no source, and no failure";
  std::filesystem::remove(folder_ / "slots.toml");
  EXPECT_EQ(choose(), 521);
}

TEST_F(DownloadDelta, an_installed_file_with_the_right_hash_is_a_source) {
  registration_.options["file"] = (folder_ / "installed.bin").string();
  const json::Object files{{"d1", related(source_, 1)}};
  EXPECT_EQ(run("choose", target_, files)->result_code, 521) << "it is not there";
  ASSERT_TRUE(write_file_durably(folder_ / "installed.bin", source_ + "changed"));
  EXPECT_EQ(run("choose", target_, files)->result_code, 521) << "it is another file";
  ASSERT_TRUE(write_file_durably(folder_ / "installed.bin", source_));
  EXPECT_EQ(run("choose", target_, files)->result_code, 520);
  ASSERT_TRUE(write_file_durably(work_ / "d1", delta_));
  EXPECT_EQ(run("make", target_, files)->result_code, 520);
  EXPECT_TRUE(*read_file(made_, 10'000'000) == target_);
}

}  // namespace
}  // namespace godwit::download_delta
