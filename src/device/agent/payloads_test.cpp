#include "device/agent/payloads.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "core/base/testing/temp_folder.hpp"
#include "device/agent/sources.hpp"
#include "device/agent/testing/fake_downloader.hpp"
#include "device/agent/testing/fake_maker.hpp"

namespace godwit::agent {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

/// Byte i is a function of i that does not repeat by any block size; the size is awkward.
std::string awkward_content() {
  std::string text(1'234'567, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>((i * 7 + i / 251 + i / 65537) & 0xFF);
  return text;
}

class PayloadsTest : public ::testing::Test {
 protected:
  PayloadsTest() { downloader_.files["https://x/f1"] = content_; }

  Attempt<ExtendedCode> fetch() {
    return payloads_.fetch(file_, folder_.path(), stop_.get_token(), [this](ByteCount done) { progress_ = done; });
  }
  std::string on_disk() const { return read_file(folder_.path() / "f1", 10'000'000).value_or(""); }

  TempFolder folder_;
  NullLog log_;
  FakeClock clock_;
  SeededRandom random_{5};
  FakePauses pauses_{clock_};
  FakeDownloader downloader_;
  FakeMaker maker_;
  std::string content_ = awkward_content();
  PlannedFile file_{.id = "f1", .name = "app.bin", .size = content_.size(), .sha256 = sha256(content_)};
  PayloadSettings settings_{.reserve = 0};
  Links links_{{{"f1", "https://x/f1"}}};
  Payloads payloads_{settings_, links_, downloader_, maker_, clock_, random_, pauses_, log_};
  std::stop_source stop_;
  ByteCount progress_ = 0;
};

TEST_F(PayloadsTest, fetches_checks_and_names_the_file) {
  ASSERT_TRUE(fetch());
  EXPECT_EQ(on_disk(), content_);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "f1.part"));
  EXPECT_EQ(progress_, content_.size());
}

/// Its content is two related files, one after the other.
class MadeTest : public PayloadsTest {
 protected:
  MadeTest() {
    file_.download_handler = "microsoft/delta:1";
    const std::string one = content_.substr(0, 600'000);
    const std::string two = content_.substr(600'000);
    downloader_.files["https://x/r1"] = one;
    downloader_.files["https://x/r2"] = two;
    file_.related = {{.id = "r1", .name = "one", .size = one.size(), .sha256 = sha256(one)},
                     {.id = "r2", .name = "two", .size = two.size(), .sha256 = sha256(two)}};
    maker_.wishes = {"r1", "r2"};
    urls_ = {{"f1", "https://x/f1"}, {"r1", "https://x/r1"}, {"r2", "https://x/r2"}};
  }
  Attempt<ExtendedCode> obtain() {
    links_.renew(urls_);
    return payloads_.obtain({.file = file_, .update = {}}, folder_.path(), stop_.get_token(),
                            [this](ByteCount done) { progress_ = done; });
  }
  Links::Urls urls_;
};

TEST_F(MadeTest, a_file_is_made_from_what_its_handler_chose_and_nothing_is_left_beside_it) {
  const auto obtained = obtain();
  ASSERT_TRUE(obtained) << obtained.error().details;
  EXPECT_EQ(*obtained, 0U);
  EXPECT_EQ(on_disk(), content_);
  EXPECT_EQ(progress_, content_.size());
  EXPECT_EQ(maker_.calls, (std::vector<std::string>{"choose f1", "make f1"}));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "f1.make"));
  ASSERT_TRUE(obtain());
  EXPECT_EQ(maker_.calls.size(), 2U) << "it is there";
}

// faults: 47
TEST_F(MadeTest, whatever_goes_wrong_the_whole_file_is_fetched_and_the_reason_is_told) {
  const auto run = [this](const char* what, ExtendedCode code) {
    std::filesystem::remove_all(folder_.path());
    ASSERT_TRUE(make_folders(folder_.path()));
    const auto obtained = obtain();
    ASSERT_TRUE(obtained) << what << ": " << obtained.error().details;
    EXPECT_EQ(*obtained, code) << what;
    EXPECT_EQ(on_disk(), content_) << what;
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "f1.make")) << what;
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "f1.made")) << what;
  };
  maker_.wishes = {};
  run("no source", 0x90800008);
  maker_.wishes = {"r1", "r2"};
  maker_.makes = false;
  run("the handler fails", erc::make_failed);
  maker_.makes = true;
  maker_.spoil = "x";
  run("it makes another file", erc::make_failed);
  maker_.spoil = "";
  urls_.erase("r1");
  run("the first part has no URL", erc::download_bad_url);
  urls_["r1"] = "https://x/r1";
  urls_.erase("r2");
  run("a part has no URL", erc::download_bad_url);
  downloader_.files["https://x/other"] = std::string(file_.related[1].size, 'z');
  urls_["r2"] = "https://x/other";
  run("a part is another file", erc::download_hash);
}

// faults: 47
TEST_F(MadeTest, pieces_that_the_handler_lacks_come_from_the_full_file_and_only_these) {
  maker_.lacks = {{.offset = 1000, .length = 5000}, {.offset = 700'000, .length = 64}};
  downloader_.tricks = {{.bytes = 600'000}, {.bytes = 634'567}, {.bytes = 300}};  // the pieces' line is cut too
  const auto obtained = obtain();
  ASSERT_TRUE(obtained) << obtained.error().details;
  EXPECT_EQ(*obtained, 0U);
  EXPECT_EQ(on_disk(), content_);
  EXPECT_EQ(maker_.calls, (std::vector<std::string>{"choose f1", "make f1", "make f1"}));
  EXPECT_EQ(downloader_.bytes_sent, content_.size() + 5064) << "both parts, the pieces, and nothing twice";
}

TEST_F(MadeTest, a_downloader_without_pieces_and_a_handler_never_satisfied_end_with_the_full_file) {
  maker_.lacks = {{.offset = 0, .length = 10}};
  downloader_.knows_no_ranges = true;
  auto obtained = obtain();
  ASSERT_TRUE(obtained) << obtained.error().details;
  EXPECT_NE(*obtained, 0U);
  EXPECT_EQ(on_disk(), content_);
  std::filesystem::remove(folder_.path() / "f1");
  downloader_.knows_no_ranges = false;
  maker_.is_never_satisfied = true;
  maker_.calls.clear();
  obtained = obtain();
  ASSERT_TRUE(obtained) << obtained.error().details;
  EXPECT_EQ(*obtained, erc::make_failed);
  EXPECT_EQ(on_disk(), content_);
  EXPECT_EQ(maker_.calls.size(), 5U) << "choose, make, and three rounds";
}

TEST_F(PayloadsTest, pieces_of_a_streamed_file_are_continued_and_make_room_for_the_next) {
  const std::vector<FileRange> first{{.offset = 10, .length = 300'000}, {.offset = 700'000, .length = 5}};
  downloader_.tricks.push_back({.bytes = 65'536});
  const auto fetch_pieces = [&](const std::vector<FileRange>& ranges) {
    return payloads_.fetch_pieces(file_, ranges, folder_.path(), stop_.get_token());
  };
  const auto one = fetch_pieces(first);
  ASSERT_TRUE(one) << one.error().details;
  EXPECT_EQ(*read_file(*one, 1 << 20), content_.substr(10, 300'000) + content_.substr(700'000, 5));
  EXPECT_EQ(downloader_.bytes_sent, 300'005U) << "no byte came twice";
  EXPECT_EQ(*fetch_pieces(first), *one);
  EXPECT_EQ(downloader_.bytes_sent, 300'005U) << "what is here whole is not fetched";
  const auto two = fetch_pieces({{.offset = 400'000, .length = 7}});
  ASSERT_TRUE(two);
  EXPECT_NE(*two, *one);
  EXPECT_FALSE(std::filesystem::exists(*one)) << "never more than one round lies here";
  links_.renew({});
  EXPECT_EQ(fetch_pieces(first).error().extended_code, erc::download_bad_url);
  links_.renew({{"f1", "https://x/gone"}});
  EXPECT_NE(fetch_pieces(first).error().details.find("HTTP 404"), std::string::npos);
}

TEST_F(PayloadsTest, a_link_that_is_renewed_under_way_is_used_from_the_next_try_on) {
  downloader_.tricks.push_back({.bytes = 65'536});
  downloader_.tricks.push_back({.bytes = 65'536, .answer = {.extended_code = 0x40301016, .details = "HTTP 403"}});
  downloader_.on_fetch = [this] {
    if (downloader_.tries == 1) links_.renew({{"f1", "https://x/second"}});
    if (downloader_.tries == 2) links_.renew({{"f1", "https://x/third"}});
  };
  downloader_.files["https://x/second"] = downloader_.files["https://x/third"] = content_;
  const auto fetched = fetch();
  ASSERT_TRUE(fetched) << fetched.error().details;
  EXPECT_EQ(downloader_.urls, (std::vector<std::string>{"https://x/f1", "https://x/second", "https://x/third"}));
  EXPECT_EQ(pauses_.waited.size(), 1U) << "a new link is not waited for";
  EXPECT_EQ(downloader_.bytes_sent, content_.size()) << "no byte came twice";
  EXPECT_EQ(on_disk(), content_);
}

TEST(PiecesOfAnAnswer, only_rising_pieces_inside_the_file_count) {
  const auto parsed = [](std::string_view text) { return ranges_from_answer(*json::parse_object(text), 100); };
  EXPECT_EQ(parsed(R"({"ranges":[{"offset":0,"length":10},{"offset":10,"length":90}]})"),
            (std::vector<FileRange>{{.offset = 0, .length = 10}, {.offset = 10, .length = 90}}));
  for (const std::string_view bad :
       {R"({})", R"({"ranges":7})", R"({"ranges":[7]})", R"({"ranges":[{"offset":0}]})",
        R"({"ranges":[{"offset":-1,"length":5}]})", R"({"ranges":[{"offset":0,"length":0}]})",
        R"({"ranges":[{"offset":0,"length":101}]})", R"({"ranges":[{"offset":9223372036854775807,"length":2}]})",
        R"({"ranges":[{"offset":5,"length":5},{"offset":9,"length":5}]})",
        R"({"ranges":[{"offset":50,"length":5},{"offset":1,"length":5}]})"})
    EXPECT_TRUE(parsed(bad).empty()) << bad;
  json::Array many;
  for (int i = 0; i < 4097; ++i) many.emplace_back(json::Object{{"offset", i}, {"length", 1}});
  EXPECT_TRUE(ranges_from_answer({{"ranges", many}}, 10'000).empty());
}

TEST_F(MadeTest, a_download_that_was_begun_whole_goes_on_whole) {
  ASSERT_TRUE(write_file_durably(folder_.path() / "f1.part", content_.substr(0, 700'001)));
  ASSERT_TRUE(obtain());
  EXPECT_TRUE(maker_.calls.empty());
  EXPECT_EQ(on_disk(), content_);
}

TEST_F(MadeTest, a_stop_is_no_reason_to_fetch_the_whole) {
  downloader_.on_fetch = [this] { stop_.request_stop(); };
  const auto obtained = obtain();
  ASSERT_FALSE(obtained);
  EXPECT_EQ(obtained.error().result_code, result::cancelled);
  EXPECT_EQ(downloader_.tries, 1);
}

TEST_F(MadeTest, the_handlers_are_shown_what_was_installed) {
  ASSERT_TRUE(obtain());
  payloads_.keep_sources({{.path = "step_0", .handler = "a/b:1", .files = {file_}}}, {}, folder_.path(), {});
  EXPECT_EQ(maker_.calls.back(), "completed f1");
}

TEST_F(PayloadsTest, a_file_that_is_there_is_not_fetched_again) {
  ASSERT_TRUE(fetch());
  ASSERT_TRUE(fetch());
  EXPECT_EQ(downloader_.tries, 1);
}

// faults: 23, 24
TEST_F(PayloadsTest, goes_on_where_it_was_cut_off_however_often) {
  for (ByteCount bytes = 65'536; bytes < content_.size(); bytes += 65'536)
    downloader_.tricks.push_back({.bytes = 65'536});
  ASSERT_TRUE(fetch());
  EXPECT_EQ(on_disk(), content_);
  EXPECT_EQ(downloader_.bytes_sent, content_.size()) << "no byte came twice";
  EXPECT_GT(downloader_.tries, 15);
}

TEST_F(PayloadsTest, goes_on_with_what_an_earlier_life_left) {
  ASSERT_TRUE(write_file_durably(folder_.path() / "f1.part", content_.substr(0, 700'001)));
  ASSERT_TRUE(fetch());
  EXPECT_EQ(on_disk(), content_);
  EXPECT_EQ(downloader_.bytes_sent, content_.size() - 700'001);
}

// faults: 25
TEST_F(PayloadsTest, a_partial_file_with_a_wrong_byte_is_fetched_from_the_start_once) {
  std::string spoiled = content_.substr(0, 700'001);
  spoiled[1234] = static_cast<char>(spoiled[1234] ^ 1);
  ASSERT_TRUE(write_file_durably(folder_.path() / "f1.part", spoiled));
  ASSERT_TRUE(fetch());
  EXPECT_EQ(on_disk(), content_);
  EXPECT_EQ(downloader_.tries, 2);
}

TEST_F(PayloadsTest, a_whole_file_with_a_wrong_byte_is_fetched_again) {
  std::string spoiled = content_;
  spoiled.back() = static_cast<char>(spoiled.back() ^ 1);
  ASSERT_TRUE(write_file_durably(folder_.path() / "f1", spoiled));
  ASSERT_TRUE(fetch());
  EXPECT_EQ(on_disk(), content_);
}

// faults: 5, 29
TEST_F(PayloadsTest, another_file_than_was_signed_is_refused_at_once) {
  downloader_.files["https://x/f1"] = std::string(content_.size(), 'x');
  const auto fetched = fetch();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().extended_code, erc::download_hash);
  EXPECT_NE(fetched.error().details.find("app.bin"), std::string::npos);
  EXPECT_EQ(downloader_.tries, 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << "nothing of it stays";
}

TEST_F(PayloadsTest, another_size_than_was_signed_is_refused) {
  downloader_.files["https://x/f1"] = content_.substr(1);
  const auto fetched = fetch();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().extended_code, erc::download_size);
}

/// Two sources before the service; the first is the site's medium.
class SourcesTest : public PayloadsTest {
 protected:
  SourcesTest() { settings_.sources = {"file:///medium/{name}", "https://cache/{sha256}"}; }
  Attempt<ExtendedCode> fetch_from_sources(const std::string& url = "https://x/f1") {
    const Links links({{"f1", url}});
    Payloads payloads(settings_, links, downloader_, maker_, clock_, random_, pauses_, log_);
    return payloads.fetch(file_, folder_.path(), stop_.get_token(), [](ByteCount) {});
  }
  std::string medium_ = "file:///medium/app.bin";
  std::string cache_ = "https://cache/" + hex_encode(file_.sha256);
};

TEST_F(SourcesTest, the_first_that_has_the_file_is_enough_and_nothing_is_told) {
  downloader_.files = {{medium_, content_}};
  const auto fetched = fetch_from_sources("");
  ASSERT_TRUE(fetched) << fetched.error().details;
  EXPECT_EQ(*fetched, 0U);
  EXPECT_EQ(downloader_.tries, 1);
  EXPECT_EQ(on_disk(), content_);
}

// faults: 33
TEST_F(SourcesTest, another_file_than_was_signed_is_followed_by_the_next_and_told) {
  downloader_.files[medium_] = std::string(content_.size(), 'x');
  downloader_.files[cache_] = content_;
  const auto fetched = fetch_from_sources();
  ASSERT_TRUE(fetched) << fetched.error().details;
  EXPECT_EQ(*fetched, kSourceWrong);
  EXPECT_EQ(downloader_.tries, 2);
  EXPECT_EQ(on_disk(), content_);
}

TEST_F(SourcesTest, what_came_from_one_that_broke_is_continued_by_the_next_without_its_version) {
  downloader_.files[medium_] = content_;
  downloader_.tricks = {{.bytes = 700'000}, {.bytes = 0}, {.bytes = 0}};
  downloader_.on_fetch = [this] {
    const Path meta = folder_.path() / "f1.part.meta";
    if (downloader_.tries > 3) {
      EXPECT_FALSE(std::filesystem::exists(meta));
    } else {
      ASSERT_TRUE(write_file_durably(meta, "{}"));
    }
  };
  const auto fetched = fetch_from_sources();
  ASSERT_TRUE(fetched) << fetched.error().details;
  EXPECT_EQ(*fetched, kSourceFailed);
  EXPECT_EQ(downloader_.bytes_sent, content_.size());
}

// faults: 22
TEST_F(SourcesTest, one_that_trickles_is_followed_by_the_next_though_there_is_headway) {
  downloader_.files[medium_] = content_;
  downloader_.tricks.assign(100, {.bytes = 100});
  downloader_.on_fetch = [this] {
    if (downloader_.tries > 3) downloader_.tricks.clear();
  };
  ASSERT_TRUE(fetch_from_sources());
  EXPECT_EQ(downloader_.tries, 5) << "three at the medium, one in vain at the cache, one at the service";
  EXPECT_EQ(on_disk(), content_);
}

TEST_F(SourcesTest, one_that_asks_for_a_long_wait_does_not_get_it) {
  downloader_.files[cache_] = content_;
  downloader_.files[medium_] = content_;
  downloader_.tricks = {{.answer = {.extended_code = 0x40301016, .is_retryable = true, .retry_after = minutes(10)}},
                        {.answer = {.extended_code = 0x40301016, .is_retryable = true, .retry_after = minutes(10)}}};
  ASSERT_TRUE(fetch_from_sources());
  EXPECT_LE(clock_.monotonic(), seconds(30));
}

TEST_F(SourcesTest, when_nobody_has_it_both_reasons_are_told) {
  downloader_.files.clear();
  const auto fetched = fetch_from_sources();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().extended_code, 0x40301016U);
  EXPECT_NE(fetched.error().details.find("before it, " + cache_), std::string::npos) << fetched.error().details;
}

// faults: 28
TEST_F(PayloadsTest, gives_up_only_when_nothing_came_for_long) {
  for (int i = 0; i < 1000; ++i) downloader_.tricks.push_back({.bytes = 0});
  const auto begun = clock_.monotonic();
  const auto fetched = fetch();
  ASSERT_FALSE(fetched);
  EXPECT_NE(fetched.error().details.find("no byte came for"), std::string::npos) << fetched.error().details;
  EXPECT_GE(clock_.monotonic() - begun, minutes(30));
  EXPECT_LT(clock_.monotonic() - begun, minutes(32));
  for (const auto pause : pauses_.waited) EXPECT_LE(pause, minutes(1));
  EXPECT_LT(downloader_.tries, 100);
}

TEST_F(PayloadsTest, waits_as_long_as_the_server_asks_within_reason) {
  downloader_.tricks.push_back({.bytes = 1, .answer = {.is_retryable = true, .retry_after = seconds(90)}});
  downloader_.tricks.push_back({.bytes = 1, .answer = {.is_retryable = true, .retry_after = std::chrono::hours(48)}});
  ASSERT_TRUE(fetch());
  ASSERT_EQ(pauses_.waited.size(), 2U);
  EXPECT_EQ(pauses_.waited[0], seconds(90));
  EXPECT_EQ(pauses_.waited[1], minutes(10));
}

TEST_F(PayloadsTest, what_cannot_get_better_is_not_tried_again) {
  downloader_.files.clear();
  const auto fetched = fetch();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().extended_code, 0x40301016U);
  EXPECT_EQ(fetched.error().details, "download app.bin: HTTP 404");
  EXPECT_EQ(downloader_.tries, 1);
}

TEST_F(PayloadsTest, a_stop_ends_it_and_keeps_what_came) {
  downloader_.tricks.push_back({.bytes = 1000});
  downloader_.on_fetch = [this] {
    if (downloader_.tries == 2) stop_.request_stop();
  };
  const auto fetched = fetch();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().result_code, result::cancelled);
  EXPECT_EQ(std::filesystem::file_size(folder_.path() / "f1.part"), 1000U);
}

TEST_F(PayloadsTest, a_missing_url_names_the_file) {
  links_.renew({});
  const auto fetched = payloads_.fetch(file_, folder_.path(), {}, [](ByteCount) {});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().extended_code, erc::download_bad_url);
}

// faults: 56
TEST_F(PayloadsTest, a_full_disk_is_known_before_the_first_byte) {
  const PlannedFile huge{.id = "f2", .name = "huge.bin", .size = 1ULL << 60, .sha256 = sha256("")};
  const auto space = payloads_.reserve_space({&huge}, folder_.path(), 0);
  ASSERT_FALSE(space);
  EXPECT_EQ(space.error().extended_code, erc::disk_full);
  EXPECT_NE(space.error().details.find("are needed"), std::string::npos);
  EXPECT_TRUE(payloads_.reserve_space({&file_}, folder_.path(), 0));
  struct stat info {};
  ASSERT_EQ(::stat((folder_.path() / "f1.part").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 0) << "nothing is here yet";
  EXPECT_GE(static_cast<ByteCount>(info.st_blocks) * 512, file_.size) << "and its room is taken";
  ASSERT_TRUE(fetch());
  EXPECT_EQ(on_disk(), content_);
}

// faults: 56
TEST_F(PayloadsTest, the_installers_copy_on_the_same_disk_is_counted) {
  struct statvfs disk {};
  struct stat info {};
  ASSERT_EQ(::statvfs(folder_.path().c_str(), &disk), 0);
  ASSERT_EQ(::stat(folder_.path().c_str(), &info), 0);
  constexpr ByteCount kSize = 256ULL << 20U;
  const ByteCount free = static_cast<ByteCount>(disk.f_bavail) * disk.f_frsize;
  const Payloads careful({.reserve = free - kSize * 3 / 2}, links_, downloader_, maker_, clock_, random_, pauses_,
                         log_);
  const PlannedFile large{.id = "large", .name = "large", .size = kSize, .sha256 = sha256("")};
  EXPECT_TRUE(careful.reserve_space({&large}, folder_.path(), info.st_dev + 1));
  std::filesystem::remove(folder_.path() / "large.part");
  const auto twice = careful.reserve_space({&large}, folder_.path(), info.st_dev);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().extended_code, erc::disk_full);
  EXPECT_NE(twice.error().details.find("with the installer's copy"), std::string::npos) << twice.error().details;
  EXPECT_EQ(downloader_.tries, 0);
}

TEST_F(PayloadsTest, a_short_text_is_always_fetched_anew_and_leaves_no_file) {
  downloader_.files["https://x/keys"] = "{}";
  ASSERT_TRUE(write_file_durably(folder_.path() / "keys.json", "something old and longer"));
  const auto text = payloads_.fetch_text("https://x/keys", folder_.path() / "keys.json", 100, {});
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "{}");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

}  // namespace
}  // namespace godwit::agent
