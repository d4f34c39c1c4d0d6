#include "device/agent/log_uploader.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "device/extension/testing/test_extensions.hpp"

namespace godwit::agent {
namespace {

class FakeUploader final : public ContentUploader {
 public:
  Answer put(const std::string& url, const Path& file, const std::map<std::string, std::string>& headers,
             const std::stop_token&) override {
    ++tries;
    type = headers.at("x-ms-blob-type");
    if (!answers.empty()) {
      Answer answer = answers.front();
      answers.erase(answers.begin());
      if (!answer.is_taken) return answer;
    }
    got[url] = read_file(file, 100'000'000).value();
    return {.is_taken = true};
  }
  std::vector<Answer> answers;
  std::map<std::string, std::string> got;
  std::string type;
  int tries = 0;
};

class FakePauses final : public Pauses {
 public:
  bool wait(Duration duration, const std::stop_token&) override {
    waited += duration;
    return true;
  }
  Duration waited{};
};

class LogUploads : public ::testing::Test {
 protected:
  LogUploads() {
    settings.device_id = "dev:1";
    settings.folder = folder / "copies";
    settings.limits.bytes_per_source = 1000;
    settings.limits.files_per_source = 2;
    settings.limits.journalctl = "/nonexistent";
  }
  std::int64_t collect(const std::string& operation = "op-1", const std::string& url = "https://h/c?sig=s%2F1") {
    const auto outcome = collect_logs(settings, {.operation_id = operation, .upload_url = url}, uploader, pauses,
                                      std::stop_token(), log);
    details = outcome->details;
    return outcome->result_code;
  }
  void put(const std::string& name, const std::string& text) { ASSERT_TRUE(write_file_durably(folder / name, text)); }

  extension::testing::TemporaryFolder folder;
  LogUploadSettings settings;
  FakeUploader uploader;
  FakePauses pauses;
  NullLog log;
  std::string details;
};

TEST_F(LogUploads, a_file_goes_to_the_blob_that_its_name_says) {
  put("app one.log", "hello");
  settings.sources = {{.name = "app", .path = folder / "app one.log"}};
  EXPECT_EQ(collect(), twin::log_code::ok);
  ASSERT_EQ(uploader.got.size(), 1U);
  EXPECT_EQ(uploader.got.begin()->first, "https://h/c/dev%3A1/op-1/app/app%20one.log?sig=s%2F1");
  EXPECT_EQ(uploader.got.begin()->second, "hello");
  EXPECT_EQ(uploader.type, "BlockBlob");
}

TEST_F(LogUploads, of_a_folder_the_newest_files_go_and_of_a_long_one_the_end) {
  ASSERT_TRUE(make_folders(folder / "logs"));
  for (int i = 0; i < 4; ++i) {
    const std::string name = "logs/" + std::to_string(i);
    put(name, std::string(600, static_cast<char>('a' + i)));
    const timespec times[2] = {{100 + i, 0}, {100 + i, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (folder / name).c_str(), times, 0), 0);
  }
  put("secret", "secret");
  std::filesystem::create_symlink(folder / "secret", folder / "logs" / "zlink");
  settings.sources = {{.name = "app", .path = folder / "logs"}};
  EXPECT_EQ(collect(), twin::log_code::ok);
  ASSERT_EQ(uploader.got.size(), 2U) << "two files, 1000 bytes";
  EXPECT_EQ(uploader.got.at("https://h/c/dev%3A1/op-1/app/3?sig=s%2F1"), std::string(600, 'd'));
  EXPECT_EQ(uploader.got.at("https://h/c/dev%3A1/op-1/app/2?sig=s%2F1"), std::string(400, 'c'));
}

TEST_F(LogUploads, the_journal_of_a_unit_is_sent_oldest_line_first_and_bounded_by_the_newest) {
  put("journalctl",
      "#!/bin/sh\n[ \"$4\" = --output=short-iso-precise ] || exit 1\n[ \"$5\" = --unit=x.service ] || exit 1\n"
      "for i in 9 8 7 6 5 4 3 2 1; do echo \"line $i\"; done\nyes endless\n");
  ASSERT_EQ(::chmod((folder / "journalctl").c_str(), 0755), 0);
  settings.limits.journalctl = folder / "journalctl";
  settings.limits.bytes_per_source = 30;
  settings.sources = {{.name = "journal", .unit = "x.service"}};
  EXPECT_EQ(collect(), twin::log_code::ok) << details;
  EXPECT_EQ(uploader.got.at("https://h/c/dev%3A1/op-1/journal/x.service.log?sig=s%2F1"),
            "line 6\nline 7\nline 8\nline 9\n");
}

TEST_F(LogUploads, a_source_without_logs_does_not_keep_the_others_back_and_none_at_all_is_said) {
  settings.sources = {{.name = "gone", .path = folder / "gone"}, {.name = "journal", .unit = "x.service"}};
  EXPECT_EQ(collect(), twin::log_code::no_logs);
  EXPECT_NE(details.find("gone"), std::string::npos);
  put("there", "x");
  settings.sources.push_back({.name = "there", .path = folder / "there"});
  EXPECT_EQ(collect(), twin::log_code::ok);
  settings.sources.clear();
  EXPECT_EQ(collect(), twin::log_code::no_components);
  EXPECT_EQ(collect("op-1", ""), twin::log_code::no_url);
  EXPECT_EQ(collect(""), twin::log_code::no_operation);
}

TEST_F(LogUploads, an_upload_is_tried_three_times_while_that_can_help) {
  put("a", "x");
  settings.sources = {{.name = "a", .path = folder / "a"}};
  uploader.answers.assign(2, {.is_retryable = true, .http_status = 503, .details = "busy"});
  EXPECT_EQ(collect(), twin::log_code::ok);
  EXPECT_EQ(uploader.tries, 3);
  EXPECT_EQ(pauses.waited, std::chrono::seconds(4));
  uploader.answers.assign(5, {.is_retryable = true, .details = "no route"});
  EXPECT_EQ(collect(), twin::log_code::upload_failed);
  EXPECT_EQ(uploader.tries, 6);
  EXPECT_EQ(details, "send a: no route");
  uploader.answers.assign(1, {.http_status = 403, .details = "expired"});
  EXPECT_EQ(collect(), twin::log_code::bad_credential);
  EXPECT_EQ(uploader.tries, 7) << "a refused credential is not tried again";
}

TEST_F(LogUploads, a_path_in_the_configuration_says_its_name) {
  EXPECT_EQ(parse_log_path("app=/var/log/a=b")->path, "/var/log/a=b");
  for (const char* text : {"", "app", "app=", "app=log", "=/x", "a/b=/x", "..=/x"})
    EXPECT_FALSE(parse_log_path(text)) << text;
}

}  // namespace
}  // namespace godwit::agent
