#include "device/slots/uboot_switch.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "core/base/little_endian.hpp"

namespace godwit::slots {
namespace {

constexpr std::size_t kSum = 4;

std::size_t head_size(UBootFormat format) { return format == UBootFormat::redundant ? kSum + 1 : kSum; }

/// Counting goes round: after 255 comes 0.
bool is_newer(std::uint8_t a, std::uint8_t b) { return a != b && static_cast<std::uint8_t>(a - b) < 128; }

}  // namespace

std::uint32_t crc32_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

Result<UBootEnvironment> parse_uboot(std::string_view copy, UBootFormat format) {
  const std::size_t head = head_size(format);
  if (copy.size() <= head) return fail(Code::refused, "a copy of the U-Boot environment is too short");
  // Little endian, as every loader that we serve has it.
  if (crc32_of(copy.substr(head)) != little_endian<std::uint32_t>(copy))
    return fail(Code::refused, "the check sum of the U-Boot environment does not hold");
  UBootEnvironment environment;
  if (format == UBootFormat::redundant) environment.flag = static_cast<std::uint8_t>(copy[kSum]);
  for (std::size_t begin = head; begin < copy.size() && copy[begin] != '\0';) {
    const std::size_t end = std::min(copy.find('\0', begin), copy.size());
    add_word(environment.words, copy.substr(begin, end - begin));
    begin = end + 1;
  }
  return environment;
}

Result<Bytes> print_uboot(const UBootEnvironment& environment, std::size_t size, UBootFormat format) {
  Bytes body;
  for (const auto& [key, value] : environment.words) {
    body += key + "=" + value;
    body += '\0';
  }
  const std::size_t head = head_size(format);
  if (head + body.size() + 1 > size)
    return fail(Code::too_large, fmt::format("the words of the U-Boot environment need {} bytes; a copy has {}",
                                             head + body.size() + 1, size));
  body.resize(size - head, '\0');
  Bytes copy;
  const std::uint32_t sum = crc32_of(body);
  for (std::size_t i = 0; i < kSum; ++i) copy += static_cast<char>(sum >> (8 * i) & 0xFFU);
  if (format == UBootFormat::redundant) copy += static_cast<char>(environment.flag);
  return copy + body;
}

Result<UBootSwitch::Found> UBootSwitch::find() {
  Found found{.copies = {fail(Code::refused, "unread"), fail(Code::refused, "unread")}, .raw = {}, .current = 0};
  for (std::size_t i = 0; i < 2; ++i) {
    GODWIT_TRY(const auto file, disk_.open(place_.copies[i].path, OpenMode::read));
    found.raw[i].resize(place_.size);
    GODWIT_TRY(const std::size_t got, file->read_at(place_.copies[i].offset, found.raw[i]));
    found.raw[i].resize(got);
    found.copies[i] = got == place_.size
                          ? parse_uboot(found.raw[i], place_.format)
                          : Result<UBootEnvironment>(fail(Code::refused, "the copy reaches beyond the end"));
  }
  if (!found.copies[0] && !found.copies[1])
    return fail(Code::refused, fmt::format("no copy of the U-Boot environment on {} is whole: {}",
                                           place_.copies[0].path.string(), found.copies[0].error().message));
  const bool is_second = !found.copies[0] || (found.copies[1] && place_.format == UBootFormat::redundant &&
                                              is_newer(found.copies[1]->flag, found.copies[0]->flag));
  found.current = is_second ? 1 : 0;
  return found;
}

Result<BootState> UBootSwitch::read() {
  GODWIT_TRY(const Found found, find());
  return state_in(found.copies[found.current]->words, place_.counter);
}

Result<void> UBootSwitch::put(std::size_t copy, const UBootEnvironment& environment, const Found& found) {
  GODWIT_TRY(const Bytes bytes, print_uboot(environment, place_.size, place_.format));
  if (bytes == found.raw[copy]) return {};
  GODWIT_TRY(const auto file, disk_.open(place_.copies[copy].path, OpenMode::write));
  GODWIT_TRY_VOID(file->write_at(place_.copies[copy].offset, bytes));
  return file->sync();
}

Result<void> UBootSwitch::write(const BootState& state) {
  GODWIT_TRY(const Found found, find());
  UBootEnvironment next = *found.copies[found.current];
  const BootWords before = next.words;
  next.words = with_state(std::move(next.words), state, place_.counter);
  if (place_.format == UBootFormat::plain) {
    // The copy that was not read may be torn already: it goes first, so that one whole copy is there at any moment.
    GODWIT_TRY_VOID(put(1 - found.current, next, found));
    return put(found.current, next, found);
  }
  if (next.words == before) return {};
  ++next.flag;
  return put(1 - found.current, next, found);
}

}  // namespace godwit::slots
