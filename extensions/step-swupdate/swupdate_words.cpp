#include "swupdate_words.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"

namespace godwit::step_swupdate {
namespace {

constexpr std::size_t kTextLimit = 700;
constexpr std::uint32_t kStepsLimit = 100'000;

/// magic, status, dwl_percent, 4 bytes of padding, dwl_bytes, nsteps, cur_step, cur_percent, cur_image[256], ...
constexpr std::size_t kStepsAt = 24;
constexpr std::size_t kImageAt = 36;
constexpr std::size_t kImageSize = 256;

std::uint32_t number_at(std::string_view message, std::size_t at) {
  std::uint32_t number = 0;
  std::memcpy(&number, message.data() + at, sizeof number);
  return number;
}

struct Cause {
  std::string_view part;
  std::uint32_t extended_code;
};
constexpr auto kCauses = std::to_array<Cause>({
    {"uthentication", code::not_trusted},
    {"ignature", code::not_trusted},
    {"ertificate", code::not_trusted},
    {"not compatible with hardware", code::other_hardware},
    {"HW compatibility not found", code::other_hardware},
    {"hecksum", code::bad_image},
    {"HASH mismatch", code::bad_image},
    {"hash", code::bad_image},
    {"CPIO", code::bad_image},
    {"cpio", code::bad_image},
    {"orrupted", code::bad_image},
    {"end of file", code::bad_image},
});

}  // namespace

void SwupdateErrors::take(std::string_view line) {
  if (line.find("SWUPDATE successful !") != std::string_view::npos) says_success_ = true;
  if (line.find("[ERROR]") == std::string_view::npos || text_.size() >= kTextLimit) return;
  auto said = line.find("ERROR : ");
  std::string_view plain = trimmed(said == line.npos ? line.substr(line.find(']') + 1) : line.substr(said + 8));
  if (plain.find("SWUpdate *failed*") != plain.npos) return;  // known by then
  if (!text_.empty()) text_ += " | ";
  text_ += plain.substr(0, kTextLimit);
}

std::uint32_t SwupdateErrors::extended_code(unsigned status) const {
  const auto cause = std::find_if(kCauses.begin(), kCauses.end(),
                                  [&](const Cause& c) { return text_.find(c.part) != std::string::npos; });
  return cause == kCauses.end() ? code::swupdate_exit + (status & 0xFFU) : cause->extended_code;
}

std::optional<Progress> parse_progress(std::string_view message) {
  if (message.size() != kProgressMessageSize) return std::nullopt;
  Progress progress{.step = number_at(message, kStepsAt + 4),
                    .steps = number_at(message, kStepsAt),
                    .percent = number_at(message, kStepsAt + 8)};
  if (progress.steps > kStepsLimit || progress.step > progress.steps || progress.percent > 100) return std::nullopt;
  const std::string_view image = message.substr(kImageAt, kImageSize);
  progress.image = image.substr(0, image.find('\0'));
  if (!is_valid_utf8(progress.image)) progress.image.clear();
  return progress;
}

}  // namespace godwit::step_swupdate
