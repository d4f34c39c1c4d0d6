// A boot switch that somebody else's program knows: for boot loaders that Godwit has no format for.
//   PROGRAM get            prints "good=A", "try=B", "left=3", "failed=B", a line each; absent ones may be left out
//   PROGRAM set WORDS...   the same four words, an empty value for an absent one; durable before it ends
// Exit code 0 is success; anything else fails the step with what was printed. The program runs as root, without a
// shell, for at most a minute, and must itself bear a cut at any moment.
#pragma once

#include <vector>

#include "device/slots/boot_switch.hpp"

namespace godwit::slots {

class CustomSwitch final : public BootSwitch {
 public:
  explicit CustomSwitch(std::vector<std::string> command) : command_(std::move(command)) {}
  [[nodiscard]] Result<BootState> read() override;
  [[nodiscard]] Result<void> write(const BootState& state) override;

 private:
  [[nodiscard]] Result<std::string> run(const std::vector<std::string>& arguments) const;
  std::vector<std::string> command_;
};

}  // namespace godwit::slots
