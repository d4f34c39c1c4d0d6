// What hostile deltas say, and the sentence that refuses it. faults: 46, 47
#include "core/delta/format.hpp"

#include <gtest/gtest.h>
#include <zstd.h>

#include <cstring>

#include "core/delta/apply.hpp"

namespace godwit::delta {
namespace {

const Header kHeader{.source_size = 100000,
                     .source_sha256 = Bytes(32, 's'),
                     .target_size = 2 * 4096 + 10,
                     .target_sha256 = Bytes(32, 't'),
                     .group_size = 4096};

std::string refusal_of(const Record& record, std::string_view frame, const Header& header = kHeader) {
  const Bytes delta = print_header(header) + print_record(record, frame);
  const auto surveyed = survey(
      [&delta](ByteCount offset, std::span<char> into) -> Result<void> {
        std::memcpy(into.data(), delta.data() + offset, into.size());
        return {};
      },
      delta.size(), [](const GroupInfo&) {});
  return surveyed ? "" : surveyed.error().message;
}

Record record(Kind kind, std::vector<Window> windows, std::uint32_t frame_size = 0) {
  return {.kind = kind, .windows = std::move(windows), .frame_size = frame_size, .output_sha256 = Bytes(32, 'o')};
}

TEST(DeltaFormat, a_header_reads_as_it_was_printed) {
  const Bytes bytes = print_header(kHeader);
  ASSERT_EQ(bytes.size(), kHeaderSize);
  const auto read = parse_header(bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, kHeader);
  EXPECT_EQ(read->group_count(), 3U);
  EXPECT_EQ(read->group_length(1), 4096U);
  EXPECT_EQ(read->group_length(2), 10U);
}

TEST(DeltaFormat, headers_of_others_are_refused_in_words) {
  EXPECT_NE(parse_header("GIF89a").error().message.find("no Godwit delta"), std::string::npos);
  Bytes newer = print_header(kHeader);
  newer[8] = 2;
  EXPECT_EQ(parse_header(newer).error().message, "the delta has format version 2, this program knows version 1");
  Header header = kHeader;
  header.group_size = 2 * 1024 * 1024;
  EXPECT_NE(parse_header(print_header(header)).error().message.find("group size is 2097152"), std::string::npos);
  header.group_size = 0;
  EXPECT_EQ(parse_header(print_header(header)).error().code, Code::invalid_argument);
  header = kHeader;
  header.target_size = kImageSizeMax + 1;
  EXPECT_EQ(parse_header(print_header(header)).error().code, Code::too_large);
}

TEST(DeltaFormat, records_beyond_the_limits_are_refused_in_words) {
  EXPECT_NE(refusal_of(record(Kind::copy, {{99999, 2}}), "").find("reads 2 bytes at 99999 of a source of 100000"),
            std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::copy, {{~0ULL, 4096}}), "").find("of a source of"), std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::copy, {{0, 0}}), "").find("empty window"), std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::copy, {{0, 4097}}), "").find("copies 4097 bytes where 4096 belong"),
            std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::copy, {}), "").find("copy with 0 windows"), std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::zeros, {{0, 1}}), "").find("zeros with 1 windows"), std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::zeros, {}, 3), "abc").find("a frame that its kind does not use"),
            std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::frame, {}), "").find("has no frame"), std::string::npos);
  EXPECT_NE(refusal_of(record(static_cast<Kind>(3), {}), "").find("unknown kind 3"), std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::frame, std::vector<Window>(1025, {0, 1}), 1), "x").find("1025 windows"),
            std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::frame, std::vector<Window>(50, {0, 90000}), 1), "x").find("reads 4500000 bytes"),
            std::string::npos);
  EXPECT_NE(refusal_of(record(Kind::frame, {}, 900000), "x").find("a frame of 900000 bytes for 4096"),
            std::string::npos);
}

/// Applies one group that is `frame`, whatever it says.
Result<Applied> applied(const Bytes& frame, std::size_t target_size) {
  Header header = kHeader;
  header.target_size = target_size;
  const Bytes delta =
      print_header(header) + print_record(record(Kind::frame, {}, static_cast<std::uint32_t>(frame.size())), frame);
  return apply(
      [&delta](ByteCount offset, std::span<char> into) -> Result<void> {
        std::memcpy(into.data(), delta.data() + offset, into.size());
        return {};
      },
      delta.size(), [](ByteCount, std::span<char>) -> Result<void> { return fail(Code::io_failed, "no source"); },
      [](ByteCount, std::string_view) -> Result<void> { return fail(Code::internal, "nothing may be written"); }, {});
}

TEST(DeltaFormat, a_frame_that_grows_skips_or_goes_on_is_never_written) {
  Bytes bomb(1000000, '\0');
  const Bytes zeros(50000000, '\0');
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), zeros.data(), zeros.size(), 1));
  ASSERT_LT(bomb.size(), 8000U);
  const Bytes one = "hello";
  Bytes good(100, '\0');
  good.resize(ZSTD_compress(good.data(), good.size(), one.data(), one.size(), 1));
  const Bytes skippable{"\x50\x2A\x4D\x18\x01\x00\x00\x00z", 9};
  for (const Bytes& frame : {bomb, good + good, good + "x", skippable + good, skippable, Bytes("nonsense"),
                             good.substr(0, good.size() - 1)}) {
    const auto outcome = applied(frame, 5);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->damaged, (std::vector<TargetRange>{{0, 5}}));
  }
}

}  // namespace
}  // namespace godwit::delta
