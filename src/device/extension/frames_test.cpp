#include "device/extension/frames.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "core/base/file.hpp"

namespace godwit::extension {
namespace {

struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    GODWIT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    a.reset(fds[0]);
    b.reset(fds[1]);
  }
  UniqueFd a;
  UniqueFd b;
};

TEST(Frames, a_message_survives_any_cutting) {
  const auto bytes = frame({{"op", "status"}, {"n", 7}});
  ASSERT_TRUE(bytes);
  FrameSplitter splitter;
  for (std::size_t i = 0; i + 1 < bytes->size(); ++i) {
    splitter.feed(std::string_view(*bytes).substr(i, 1));
    const auto none = splitter.next();
    ASSERT_TRUE(none);
    EXPECT_FALSE(none->has_value()) << i;
  }
  splitter.feed(std::string_view(*bytes).substr(bytes->size() - 1));
  const auto message = splitter.next();
  ASSERT_TRUE(message && *message);
  EXPECT_EQ((*message)->at("n").as_int64(), 7);
  EXPECT_TRUE(splitter.is_between_frames());
}

TEST(Frames, a_length_above_the_limit_is_refused_before_its_bytes_come) {
  FrameSplitter splitter(100);
  splitter.feed(std::string_view("\x00\x00\x00\x65", 4));
  const auto refused = splitter.next();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_large);
}

TEST(Frames, what_is_not_one_object_is_refused) {
  for (const std::string_view body : {"[1]", "nope", "{}{}", "", "\"x\""}) {
    FrameSplitter splitter;
    std::string bytes{'\0', '\0', '\0', static_cast<char>(body.size())};
    splitter.feed(bytes + std::string(body));
    EXPECT_FALSE(splitter.next()) << body;
  }
}

TEST(Frames, a_closed_peer_is_told_from_a_cut_message) {
  Pair whole;
  whole.b.reset();
  FrameSplitter splitter;
  const auto nothing = read_frame(whole.a.get(), splitter, std::chrono::seconds(5));
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->has_value());

  Pair cut;
  ASSERT_EQ(2, ::write(cut.b.get(), "\0\0", 2));
  cut.b.reset();
  FrameSplitter other;
  const auto broken = read_frame(cut.a.get(), other, std::chrono::seconds(5));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Code::unavailable);
}

TEST(Frames, a_silent_peer_is_given_up_and_a_gone_one_raises_no_signal) {
  Pair pair;
  FrameSplitter splitter;
  const auto late = read_frame(pair.a.get(), splitter, std::chrono::milliseconds(20));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::timed_out);
  pair.b.reset();
  const auto gone = write_frame(pair.a.get(), {{"x", 1}});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::unavailable);
}

TEST(Frames, a_peer_that_does_not_read_ends_the_patience_of_the_writer) {
  Pair pair;
  const json::Object large{{"text", std::string(1'500'000, 'x')}};
  const auto stuck = write_frame(pair.a.get(), large, std::chrono::milliseconds(50));
  ASSERT_FALSE(stuck);
  EXPECT_EQ(stuck.error().code, Code::timed_out);
  EXPECT_EQ(write_frame(pair.a.get(), {{"text", std::string(kFrameLimit, 'x')}}).error().code, Code::too_large);
}

TEST(Frames, large_messages_arrive_through_a_small_socket_buffer) {
  Pair pair;
  const json::Object large{{"text", std::string(1'500'000, 'x')}};
  std::thread writer([&] { EXPECT_TRUE(write_frame(pair.a.get(), large)); });
  FrameSplitter splitter;
  const auto message = read_frame(pair.b.get(), splitter, std::chrono::seconds(20));
  writer.join();
  ASSERT_TRUE(message && *message);
  EXPECT_EQ((*message)->at("text").as_string().size(), 1'500'000U);
}

}  // namespace
}  // namespace godwit::extension
