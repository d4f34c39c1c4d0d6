#include "tools/cli/event_reader.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace godwit::cli {
namespace {

/// Feeds `text` in pieces of `size` and prints what came.
std::string read(std::string_view text, std::size_t size) {
  std::string out;
  EventReader reader([&](const ServerEvent& event) { out += event.id + "|" + event.name + "|" + event.data + ";"; });
  for (std::size_t at = 0; at < text.size(); at += size) EXPECT_TRUE(reader.feed(text.substr(at, size)));
  return out;
}

TEST(EventReader, reads_events_however_the_bytes_are_cut) {
  const std::string text =
      ": a comment\n\nid: 7\nevent: telemetry\ndata: {\"a\":1}\n\ndata:one\r\ndata:  two\r\n\r\nevent: lost\ndata: "
      "3\n\n"
      "data: unfinished";
  for (const std::size_t size : {1UL, 2UL, 7UL, 1000UL})
    EXPECT_EQ(read(text, size), "7|telemetry|{\"a\":1};7|message|one\n two;7|lost|3;") << size;
}

TEST(EventReader, an_event_without_data_is_none_and_one_without_end_is_refused) {
  EXPECT_EQ(read("id: 3\nevent: x\n\ndata\n\n", 3), "3|message|;");
  EventReader reader([](const ServerEvent&) {});
  const std::string piece(1024 * 1024, 'x');
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(reader.feed(piece));
  EXPECT_FALSE(reader.feed(piece));
}

}  // namespace
}  // namespace godwit::cli
