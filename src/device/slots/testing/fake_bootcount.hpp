// What U-Boot with CONFIG_BOOTCOUNT_ENV and a redundant environment does at each start: counts while upgrade_available
// is 1, saves, and runs bootcmd, or altbootcmd once the limit is exceeded. It reads the words itself, after U-Boot's
// documentation, so that it is no mirror of boot_words.cpp. For tests; one thread.
#pragma once

#include <string>

#include "device/slots/uboot_switch.hpp"

namespace godwit::slots::testing {

class FakeBootCount {
 public:
  FakeBootCount(Disk& disk, Path environment) : disk_(disk), path_(std::move(environment)) {}

  /// The side that this start boots. Errors: no copy is whole, or a word is missing: a device that does not start.
  [[nodiscard]] Result<Side> pick() {
    GODWIT_TRY_VOID(load());
    if (get("upgrade_available") != "1") return side_of("good");
    const int count = std::stoi("0" + get("bootcount")) + 1;
    set("bootcount", std::to_string(count));
    GODWIT_TRY_VOID(save());
    const int limit = std::stoi("0" + get("bootlimit"));
    if (limit == 0 || count <= limit) return side_of("try");
    // altbootcmd: setenv failed ${try}; setenv try; setenv upgrade_available 0; saveenv; start ${good}
    set("failed", get("try"));
    set("try", "");
    set("upgrade_available", "0");
    GODWIT_TRY_VOID(save());
    return side_of("good");
  }

 private:
  static constexpr std::size_t kCopy = 512;

  Result<void> load() {
    GODWIT_TRY(const Bytes both, read_whole(disk_, path_, 2 * kCopy));
    bool is_found = false;
    for (const std::size_t copy : {std::size_t{0}, std::size_t{1}}) {
      auto parsed = parse_uboot(std::string_view(both).substr(copy * kCopy, kCopy), UBootFormat::redundant);
      if (!parsed) continue;
      if (is_found && static_cast<std::int8_t>(parsed->flag - now_.flag) <= 0) continue;
      now_ = *std::move(parsed);
      current_ = copy;
      is_found = true;
    }
    return is_found ? Result<void>{} : fail(Code::refused, "bad CRC, using default environment");
  }
  Result<void> save() {
    ++now_.flag;
    current_ = 1 - current_;
    GODWIT_TRY(const Bytes copy, print_uboot(now_, kCopy, UBootFormat::redundant));
    GODWIT_TRY(const auto file, disk_.open(path_, OpenMode::write));
    GODWIT_TRY_VOID(file->write_at(current_ * kCopy, copy));
    return file->sync();
  }
  [[nodiscard]] std::string get(std::string_view key) const {
    for (const auto& [name, value] : now_.words)
      if (name == key) return value;
    return "";
  }
  void set(std::string_view key, std::string value) {
    std::erase_if(now_.words, [&](const auto& word) { return word.first == key; });
    if (!value.empty()) now_.words.emplace_back(std::string(key), std::move(value));
  }
  [[nodiscard]] Result<Side> side_of(std::string_view key) const {
    if (const auto side = parse_side(get(key))) return *side;
    return fail(Code::refused, std::string(key) + " names no side");
  }

  Disk& disk_;
  Path path_;
  UBootEnvironment now_{};
  std::size_t current_ = 0;
};

}  // namespace godwit::slots::testing
