#include "tools/cli/table.hpp"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

TEST(Table, columns_are_as_wide_as_their_widest_cell) {
  Table table({"A", "B"});
  table.add({"long cell", "x"});
  EXPECT_EQ(table.print(0), "A          B\n---------  -\nlong cell  x\n");
}

TEST(Table, the_last_column_is_cut_at_the_edge) {
  Table table({"A", "B"});
  table.add({"a", "0123456789012345678901234567890"});
  EXPECT_NE(table.print(20).find("01234567890123..."), std::string::npos) << table.print(20);
}

TEST(Table, a_long_sentence_at_the_end_does_not_lengthen_the_rule) {
  Table table({"A", "B"});
  table.add({"a", std::string(500, 'x')});
  const std::string text = table.print(0);
  EXPECT_EQ(text.find("-  " + std::string(40, '-') + "\n"), 5U) << text;
  EXPECT_NE(text.find(std::string(500, 'x')), std::string::npos);
}

TEST(Table, control_characters_from_a_device_do_not_reach_the_terminal) {
  Table table({"A"});
  table.add({"\x1b[31mred"});
  EXPECT_EQ(table.print(0).find('\x1b'), std::string::npos);
}

TEST(Table, letters_of_several_bytes_count_once) {
  Table table({"A", "B"});
  table.add({"\xC3\xA4\xC3\xB6", "x"});
  EXPECT_NE(table.print(0).find("\xC3\xA4\xC3\xB6  x"), std::string::npos);
}

TEST(Counted, one_thing_is_no_plural) {
  EXPECT_EQ(counted(0, "device"), "0 devices");
  EXPECT_EQ(counted(1, "device"), "1 device");
  EXPECT_EQ(counted(2, "device"), "2 devices");
}

}  // namespace
}  // namespace godwit::cli
