#include "device/slots/grub_switch.hpp"

#include <fmt/format.h>

namespace godwit::slots {
namespace {

constexpr std::string_view kHead = "# GRUB Environment Block\n";

/// GRUB writes a newline in a value as "\\\n" and a backslash as "\\\\"; values with either are kept as they stand,
/// since a line that ends in a backslash goes on.
std::size_t end_of_line(std::string_view block, std::size_t begin) {
  for (std::size_t i = begin; i < block.size(); ++i) {
    if (block[i] == '\\')
      ++i;
    else if (block[i] == '\n')
      return i;
  }
  return std::string_view::npos;
}

}  // namespace

Result<BootWords> parse_grub_block(std::string_view block) {
  if (block.size() != kGrubBlock)
    return fail(Code::refused,
                fmt::format("a GRUB environment block has {} bytes, this one {}", kGrubBlock, block.size()));
  if (!block.starts_with(kHead))
    return fail(Code::refused, "this is no GRUB environment block: its first line is missing");
  BootWords words;
  for (std::size_t begin = kHead.size(); begin < block.size();) {
    const std::size_t end = end_of_line(block, begin);
    const bool is_comment = block[begin] == '#';  // or the filling, which has no end
    if (end == std::string_view::npos && is_comment) break;
    if (end == std::string_view::npos)
      return fail(Code::refused, "the last line of the GRUB environment block has no end");
    if (!is_comment) add_word(words, block.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

Result<Bytes> print_grub_block(const BootWords& words) {
  Bytes block(kHead);
  for (const auto& [key, value] : words) block += key + "=" + value + "\n";
  if (block.size() > kSector)
    return fail(Code::too_large, fmt::format("the words of the GRUB environment need {} bytes and must fit into one "
                                             "sector of {}; remove words with grub-editenv unset",
                                             block.size(), kSector));
  block.resize(kGrubBlock, '#');
  return block;
}

Result<BootState> GrubSwitch::read() {
  const auto read_state = [&]() -> Result<BootState> {
    GODWIT_TRY(const Bytes block, read_whole(disk_, path_, kGrubBlock));
    GODWIT_TRY(const BootWords words, parse_grub_block(block));
    return state_in(words);
  };
  auto state = read_state();
  if (!state) return with_context(path_.string(), state.error());
  return state;
}

Result<void> GrubSwitch::write(const BootState& state) {
  const auto write_state = [&]() -> Result<void> {
    GODWIT_TRY(const Bytes before, read_whole(disk_, path_, kGrubBlock));
    GODWIT_TRY(BootWords words, parse_grub_block(before));
    GODWIT_TRY(const Bytes block, print_grub_block(with_state(std::move(words), state)));
    if (block == before) return {};
    GODWIT_TRY(const auto file, disk_.open(path_, OpenMode::write));
    GODWIT_TRY_VOID(file->write_at(0, block));
    return file->sync();
  };
  if (auto written = write_state(); !written) return with_context(path_.string(), written.error());
  return {};
}

}  // namespace godwit::slots
