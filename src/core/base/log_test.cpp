#include "core/base/log.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/base/file.hpp"
#include "core/base/json.hpp"

using namespace godwit;

namespace {

class Lines : public testing::Test {
 protected:
  Lines() {
    int fds[2];
    GODWIT_CHECK(::pipe(fds) == 0);
    read_.reset(fds[0]);
    write_.reset(fds[1]);
  }
  std::string written() {
    write_.reset();
    std::string all;
    char buffer[4096];
    for (;;) {
      const auto got = ::read(read_.get(), buffer, sizeof buffer);
      if (got <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(got));
    }
  }
  UniqueFd read_;
  UniqueFd write_;
};

}  // namespace

TEST_F(Lines, text_has_time_level_event_and_fields) {
  FdLog log(write_.get(), LogLevel::info, LogFormat::text);
  log.info("hub.connected", {{"device", "fjord-1"}, {"port", 8883}, {"tls", true}, {"why", "two words"}});
  const auto line = written();
  EXPECT_EQ(line.substr(24), " info hub.connected device=fjord-1 port=8883 tls=true why=\"two words\"\n") << line;
  EXPECT_EQ(line[10], 'T');
}

TEST_F(Lines, below_the_minimum_is_dropped) {
  FdLog log(write_.get(), LogLevel::warning, LogFormat::text);
  log.debug("a");
  log.info("b");
  log.error("c");
  const auto lines = written();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1);
  EXPECT_NE(lines.find(" error c\n"), std::string::npos);
}

TEST_F(Lines, a_value_cannot_forge_a_line_or_a_field) {
  FdLog log(write_.get(), LogLevel::info, LogFormat::text);
  log.info("e", {{"v", "x\n2026 error forged a=b \x1b[31m \"q\""}, {"bytes", std::string("\xff\0", 2)}});
  const auto line = written();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_NE(line.find(R"(v="x\n2026 error forged a=b \x1b[31m \"q\"" bytes="\xff\x00")"), std::string::npos) << line;
}

TEST_F(Lines, json_is_one_object_a_line_whatever_the_values) {
  FdLog log(write_.get(), LogLevel::debug, LogFormat::json);
  log.warning("e", {{"v", "x\n\"\\\x01 \xc3\xa9"}, {"bytes", std::string("\xff\xfe")}, {"n", -3}});
  auto line = written();
  const auto object = json::parse_object(line);
  ASSERT_TRUE(object) << object.error().message << line;
  EXPECT_EQ(json::text(*object, "level", "").value(), "warning");
  EXPECT_EQ(json::text(*object, "v", "").value(), "x\n\"\\\x01 \xc3\xa9");
  EXPECT_EQ(json::text(*object, "n", "").value(), "-3");
}

TEST_F(Lines, an_endless_value_is_cut) {
  FdLog log(write_.get(), LogLevel::info, LogFormat::text);
  log.info("e", {{"v", std::string(50'000, 'x')}});
  const auto line = written();
  EXPECT_LT(line.size(), 9000U);
  EXPECT_EQ(line.substr(line.size() - 5), "...\"\n");
}

TEST_F(Lines, threads_do_not_mix_their_lines) {
  FdLog log(write_.get(), LogLevel::info, LogFormat::text);
  const auto speak = [&log](const char* event) {
    for (int i = 0; i < 200; ++i) log.info(event, {{"v", "0123456789"}});
  };
  std::string lines;
  {
    std::thread reader([&] {
      lines = [this] {
        std::string all;
        char buffer[4096];
        while (std::count(all.begin(), all.end(), '\n') < 400)
          all.append(buffer,
                     static_cast<std::size_t>(std::max<ssize_t>(0, ::read(read_.get(), buffer, sizeof buffer))));
        return all;
      }();
    });
    std::thread a(speak, "aaa");
    std::thread b(speak, "bbb");
    a.join();
    b.join();
    reader.join();
  }
  for (std::size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1) {
    const auto line = lines.substr(at, lines.find('\n', at) - at);
    EXPECT_EQ(line.size(), std::string("2026-11-22T10:15:00.123Z info aaa v=0123456789").size()) << line;
  }
}

TEST(LogLevel, is_parsed_from_its_name_only) {
  EXPECT_EQ(parse_log_level("warning").value(), LogLevel::warning);
  EXPECT_NE(parse_log_level("warn").error().message.find("say debug"), std::string::npos);
}
