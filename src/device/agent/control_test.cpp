// Goal: the local socket answers whoever may open it, refuses nonsense with a sentence, and is not held up by a client
// that stalls, floods or goes away. faults: 37, 51
#include "device/agent/control.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::agent {
namespace {

class ControlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(server_.listen(socket_, 0600));
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        auto watched = server_.fds();
        ::poll(watched.data(), watched.size(), 20);
        server_.attend(watched);
      }
    });
  }
  void TearDown() override { thread_ = {}; }

  [[nodiscard]] UniqueFd dial() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.c_str(), socket_.native().size() + 1);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static std::string read_all(const UniqueFd& fd) {
    std::string text;
    char chunk[4096];
    for (ssize_t got = 0; (got = ::recv(fd.get(), chunk, sizeof chunk, 0)) > 0;)
      text.append(chunk, static_cast<std::size_t>(got));
    return text;
  }

  TempFolder folder_;
  Path socket_ = folder_.path() / "agent.sock";
  SystemClock clock_;
  NullLog log_;
  std::string big_ = std::string(2'000'000, 'x');
  ControlServer server_{[this](const std::string& op, const json::Object&) -> Result<json::Object> {
                          if (op == "status") return json::Object{{"state", "idle"}};
                          if (op == "big") return json::Object{{"text", big_}};
                          return fail(Code::conflict, "no update is under way");
                        },
                        clock_, log_};
  std::jthread thread_;
};

TEST_F(ControlTest, answers_a_request) {
  const auto answer = ask_agent(socket_, {{"op", "status"}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(json::text_or_nothing(*answer, "state"), "idle");
  const auto refused = ask_agent(socket_, {{"op", "cancel"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "no update is under way");
}

TEST_F(ControlTest, is_guarded_by_its_mode) {
  struct stat info {};
  ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(ControlTest, refuses_nonsense_with_a_sentence) {
  for (const std::string& line : {std::string("{}"), std::string("nonsense"), std::string("{\"op\":7}"),
                                  std::string("[[[[[[[[[[]]]]]]]]]]"), std::string("\xff\xfe")}) {
    const UniqueFd fd = dial();
    ASSERT_TRUE(write_all(fd.get(), line + "\n"));
    const auto answer = json::parse_object(read_all(fd));
    ASSERT_TRUE(answer) << line;
    EXPECT_NE(json::text_or_nothing(*answer, "message").value_or(""), "") << line;
  }
}

TEST_F(ControlTest, a_flood_is_refused_and_dropped) {
  const UniqueFd fd = dial();
  const std::string flood(64 * 1024, 'a');
  (void)::send(fd.get(), flood.data(), flood.size(), MSG_NOSIGNAL);
  const std::string text = read_all(fd);
  EXPECT_NE(text.find("a line of more than 16384 bytes"), std::string::npos) << text;
}

TEST_F(ControlTest, clients_that_stall_hold_up_nobody) {
  const UniqueFd silent = dial();
  const UniqueFd slow = dial();
  ASSERT_TRUE(write_all(slow.get(), R"({"op":"big"})"
                                    "\n"));  // and does not read
  EXPECT_TRUE(ask_agent(socket_, {{"op", "status"}}));
  { const UniqueFd gone = dial(); }
  EXPECT_TRUE(ask_agent(socket_, {{"op", "status"}}));
}

TEST_F(ControlTest, a_large_answer_arrives_whole) {
  const auto answer = ask_agent(socket_, {{"op", "big"}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(json::text_or_nothing(*answer, "text")->size(), big_.size());
}

TEST(Control, takes_the_place_of_a_dead_socket_but_of_nothing_else) {
  const TempFolder folder;
  const SystemClock clock;
  NullLog log;
  const auto nothing = [](const std::string&, const json::Object&) -> Result<json::Object> { return json::Object{}; };
  {
    ControlServer first(nothing, clock, log);
    ASSERT_TRUE(first.listen(folder.path() / "s", 0600));
    ControlServer second(nothing, clock, log);
    ASSERT_TRUE(second.listen(folder.path() / "s", 0600)) << "as after a kill -9";
  }
  ASSERT_TRUE(write_file_durably(folder.path() / "file", "precious"));
  ControlServer third(nothing, clock, log);
  EXPECT_EQ(third.listen(folder.path() / "file", 0600).error().code, Code::refused);
  EXPECT_EQ(third.listen(folder.path() / std::string(200, 'x'), 0600).error().code, Code::invalid_argument);
  EXPECT_EQ(ask_agent(folder.path() / "nobody", {{"op", "status"}}).error().code, Code::unavailable);
}

}  // namespace
}  // namespace godwit::agent
