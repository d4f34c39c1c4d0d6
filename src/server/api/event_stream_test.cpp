#include "server/api/event_stream.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace godwit::api {
namespace {

std::string taken(EventQueue& queue, std::size_t most = 1'000'000) {
  std::string text;
  queue.take(text, most);
  return text;
}

Event numbered(int number) { return Event{.id = std::to_string(number), .data = "n" + std::to_string(number)}; }

TEST(EventFormat, fields_stand_in_lines_and_end_with_an_empty_one) {
  EXPECT_EQ(format_event(Event{.id = "7", .name = "telemetry", .data = "{}"}), "id: 7\nevent: telemetry\ndata: {}\n\n");
  EXPECT_EQ(format_event(Event{.data = ""}), "data: \n\n");
}

TEST(EventFormat, every_kind_of_line_break_stays_inside_the_data) {
  EXPECT_EQ(format_event(Event{.data = "a\r\nb\nc\rd\n"}), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
}

TEST(EventFormat, an_id_or_a_name_cannot_begin_a_field_of_its_own) {
  EXPECT_EQ(format_event(Event{.id = "1\ndata: x", .name = "a\r\nid: 9", .data = "y"}),
            "id: 1 data: x\nevent: a  id: 9\ndata: y\n\n");
}

TEST(EventStream, every_reader_gets_what_its_filter_lets_through) {
  EventStream stream;
  const auto all = stream.subscribe().value();
  const auto mine = stream.subscribe([](const Event& event) { return event.subject == "dev1"; }).value();
  stream.push(Event{.data = "one", .subject = "dev1"});
  stream.push(Event{.data = "two", .subject = "dev2"});
  EXPECT_EQ(taken(*all), "data: one\n\ndata: two\n\n");
  EXPECT_EQ(taken(*mine), "data: one\n\n");
}

TEST(EventStream, what_was_missed_comes_first_and_through_the_same_filter) {
  EventStream stream;
  const auto queue =
      stream.subscribe([](const Event& event) { return event.data != "n2"; }, {numbered(1), numbered(2), numbered(3)})
          .value();
  stream.push(numbered(4));
  EXPECT_EQ(taken(*queue), "id: 1\ndata: n1\n\nid: 3\ndata: n3\n\nid: 4\ndata: n4\n\n");
}

TEST(EventStream, a_slow_reader_loses_the_oldest_and_is_told_how_many_in_their_place) {
  EventStream stream(EventStream::Limits{.queue = {.events = 2}});
  const auto queue = stream.subscribe().value();
  for (int i = 1; i <= 5; ++i) stream.push(numbered(i));
  EXPECT_EQ(taken(*queue), "event: lost\ndata: {\"count\":3}\n\nid: 4\ndata: n4\n\nid: 5\ndata: n5\n\n");
  stream.push(numbered(6));
  EXPECT_EQ(taken(*queue), "id: 6\ndata: n6\n\n") << "told once";
}

TEST(EventStream, a_queue_is_bounded_in_bytes_too) {
  EventStream stream(EventStream::Limits{.queue = {.bytes = 1000}});
  const auto queue = stream.subscribe().value();
  stream.push(Event{.data = std::string(600, 'a')});
  stream.push(Event{.data = std::string(600, 'b')});
  EXPECT_EQ(taken(*queue), "event: lost\ndata: {\"count\":1}\n\ndata: " + std::string(600, 'b') + "\n\n");
  stream.push(Event{.data = std::string(2000, 'c')});
  EXPECT_EQ(taken(*queue), "event: lost\ndata: {\"count\":1}\n\n") << "larger than the whole queue";
}

TEST(EventStream, a_turn_takes_whole_events_up_to_its_bound) {
  EventStream stream;
  const auto queue = stream.subscribe().value();
  for (int i = 1; i <= 3; ++i) stream.push(numbered(i));
  EXPECT_EQ(taken(*queue, 1), "id: 1\ndata: n1\n\n");
  EXPECT_EQ(taken(*queue, 20), "id: 2\ndata: n2\n\nid: 3\ndata: n3\n\n");
}

TEST(EventStream, readers_are_limited_and_one_that_leaves_makes_room) {
  EventStream stream(EventStream::Limits{.readers = 2});
  const auto one = stream.subscribe().value();
  const auto two = stream.subscribe().value();
  const auto three = stream.subscribe();
  ASSERT_FALSE(three);
  EXPECT_EQ(three.error().code, Code::too_many);
  one->leave();
  EXPECT_EQ(stream.readers(), 1U);
  EXPECT_TRUE(stream.subscribe());
  two->leave();
}

TEST(EventStream, knows_when_nobody_listens) {
  EventStream stream;
  EXPECT_FALSE(stream.has_readers());
  const auto queue = stream.subscribe().value();
  EXPECT_TRUE(stream.has_readers());
  queue->leave();
  stream.push(numbered(1));
  EXPECT_FALSE(stream.has_readers());
}

TEST(EventStream, a_reader_is_woken_once_for_each_time_it_found_nothing) {
  EventStream stream;
  const auto queue = stream.subscribe().value();
  int woken = 0;
  queue->set_wake([&] { ++woken; });
  stream.push(numbered(1));
  EXPECT_EQ(woken, 0) << "it has not looked yet";
  EXPECT_NE(taken(*queue), "");
  EXPECT_EQ(taken(*queue), "");
  stream.push(numbered(2));
  stream.push(numbered(3));
  EXPECT_EQ(woken, 1);
  EXPECT_NE(taken(*queue), "");
  EXPECT_EQ(taken(*queue), "");
  stream.stop();
  EXPECT_EQ(woken, 2) << "the end is news as well";
}

TEST(EventStream, the_end_comes_after_what_was_queued_and_nobody_new_is_taken) {
  EventStream stream;
  const auto queue = stream.subscribe().value();
  stream.push(numbered(1));
  stream.stop();
  stream.push(numbered(2));
  std::string text;
  EXPECT_TRUE(queue->take(text, 1000));
  EXPECT_EQ(text, "id: 1\ndata: n1\n\n");
  EXPECT_FALSE(queue->take(text, 1000));
  EXPECT_EQ(stream.subscribe().error().code, Code::unavailable);
}

TEST(EventStream, many_threads_push_while_one_reads) {
  EventStream stream(EventStream::Limits{.queue = {.events = 50}});
  const auto queue = stream.subscribe().value();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) stream.push(Event{.data = "x"});
    });
  std::string text;
  std::thread reader([&] {
    while (queue->take(text, SIZE_MAX)) std::this_thread::yield();
  });
  for (auto& thread : threads) thread.join();
  stream.stop();
  reader.join();
  // Whatever the threads did: each event was either read or counted as lost.
  std::size_t seen = 0;
  for (std::size_t at = 0; (at = text.find("data: x", at)) != std::string::npos; ++at) ++seen;
  for (std::size_t at = 0; (at = text.find("\"count\":", at)) != std::string::npos; ++at)
    seen += std::stoull(text.substr(at + 8));
  EXPECT_EQ(seen, 6000U);
}

}  // namespace
}  // namespace godwit::api
