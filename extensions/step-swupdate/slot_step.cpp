#include "slot_step.hpp"

#include <fmt/format.h>

#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "device/slots/health.hpp"
#include "device/slots/layout.hpp"
#include "device/slots/slots.hpp"
#include "swupdate_words.hpp"

namespace godwit::step_swupdate {
namespace {

using author::Outcome;
using slots::Answer;

constexpr std::int32_t kRestoreReboot = 1105;

Outcome failed(const Error& error, std::uint32_t otherwise = erc::handler_refused) {
  if (error.code == Code::cancelled) return {result::cancelled, 0, error.message};
  return {result::failure, error.code == Code::digest_mismatch ? code::bad_image : otherwise, error.message};
}

/// What the running side says of itself.
Result<std::string> running_version(const SwupdateConfig& config) {
  const auto text = read_file(config.version_file, 4096);
  if (!text && text.error().code == Code::not_found) return std::string();
  if (!text) return tl::unexpected<Error>{text.error()};
  return std::string(trimmed(*text).substr(0, 200));
}

struct Expected {
  ByteCount size = 0;  // 0: the whole partition
  Bytes sha256{};      // empty: whatever was written
};

/// imageSize and imageSha256, which may both be left out: the image's signature has been checked by SWUpdate.
Result<Expected> expected_of(const godwit_step& step) {
  Expected expected;
  if (step.handler_properties_json.size == 0) return expected;
  GODWIT_TRY(const json::Object object, json::parse_object(author::view(step.handler_properties_json)));
  const auto size = json::text_or_nothing(object, "imageSize");
  const auto digest = json::text_or_nothing(object, "imageSha256");
  if (!size && !digest) return expected;
  const auto number = to_number<ByteCount>(size.value_or(""));
  auto raw = hex_decode(digest.value_or(""));
  if (!number || *number == 0 || !raw || raw->size() != 32)
    return fail(Code::bad_manifest,
                "handlerProperties: imageSize (digits in a text) and imageSha256 (64 hexadecimal "
                "digits) belong together: what the side must hold once it is written");
  return Expected{.size = *number, .sha256 = *std::move(raw)};
}

/// The device's slots, opened, and what its running side says.
struct Scene {
  slots::Device device{};
  std::string version{};
};

Result<void> open(Scene& scene, const SlotCall& call) {
  GODWIT_TRY_VOID(slots::open_device(scene.device, call.slots_file));
  GODWIT_TRY_VOID(make_folders(scene.device.config.data));
  GODWIT_TRY(scene.version, running_version(call.config));
  return {};
}

slots::Slots door_of(Scene& scene) { return {scene.device.disk, *scene.device.boot, scene.device.places}; }

Outcome no(const Answer& answer, std::uint32_t extended_code = erc::handler_refused) {
  return {result::failure, extended_code, answer.details};
}

}  // namespace

Outcome slot_is_installed(const SlotCall& call) {
  Scene scene;
  if (const auto opened = open(scene, call); !opened) return failed(opened.error(), code::bad_config);
  const auto state = scene.device.boot->read();
  if (!state) return failed(state.error());
  const bool is_confirmed = state->good == scene.device.places.running;
  if (is_confirmed && scene.version == author::view(call.step.installed_criteria)) return {result::is_installed, 0, ""};
  return {result::not_installed, 0,
          fmt::format("side {} runs{}, {} says '{}'", slots::side_name(scene.device.places.running),
                      is_confirmed ? "" : " on trial", call.config.version_file, scene.version)};
}

Outcome slot_install(const SlotCall& call, const RunSwupdate& run) {
  Scene scene;
  if (const auto opened = open(scene, call); !opened) return failed(opened.error(), code::bad_config);
  const auto expected = expected_of(call.step);
  if (!expected) return failed(expected.error());
  auto door = door_of(scene);
  const auto freed = door.free_other();
  if (!freed) return failed(freed.error(), code::switch_failed);
  if (freed->kind == Answer::Kind::blocked) {
    // A restart came before the answer was written down: the side on trial is this update's own.
    if (scene.version == author::view(call.step.installed_criteria)) return {result::install_ok, 0, ""};
    return no(*freed);
  }
  slots::forget_panic(scene.device.config);
  const slots::Side target = slots::other(scene.device.places.running);
  const std::string& select = target == slots::Side::a ? call.config.select_a : call.config.select_b;
  call.host.info(fmt::format("swupdate writes side {} ({})", slots::side_name(target), select));
  if (Outcome written = run(select); written.result_code != result::install_ok) return written;
  const slots::Watch watch{.on_progress = [](ByteCount, ByteCount) {},
                           .is_cancelled = [&] { return call.host.is_cancelled(); }};
  const auto taken = door.take_over(expected->size, expected->sha256, watch);
  if (!taken) return failed(taken.error(), code::switch_failed);
  if (taken->kind != Answer::Kind::restart) return no(*taken, code::switch_failed);
  return {result::install_reboot, 0, taken->details};
}

Outcome slot_apply(const SlotCall& call) {
  Scene scene;
  if (const auto opened = open(scene, call); !opened) return failed(opened.error(), code::bad_config);
  const slots::HealthWatch watch{.on_no = [&](const std::string& why) { call.host.info("not healthy yet: " + why); },
                                 .is_cancelled = [&] { return call.host.is_cancelled(); }};
  const auto is_healthy = [&]() -> Result<void> {
    const std::string_view wanted = author::view(call.step.installed_criteria);
    if (scene.version != wanted)
      return fail(Code::invalid_argument, fmt::format("{} says '{}', not '{}' as installedCriteria wants it",
                                                      call.config.version_file, scene.version, wanted));
    return slots::wait_until_healthy(scene.device.config, watch);
  };
  auto door = door_of(scene);
  const auto answer = door.settle(is_healthy);
  if (!answer) return failed(answer.error());
  switch (answer->kind) {
    case Answer::Kind::done: return {result::apply_ok, 0, ""};
    case Answer::Kind::not_tried: return no(*answer, erc::not_in_place_after_restart);
    case Answer::Kind::fell_back:
      return {result::failure, erc::not_in_place_after_restart,
              answer->details + slots::panic_words(scene.device.config)};
    default: return no(*answer);
  }
}

Outcome slot_restore(const SlotCall& call) {
  Scene scene;
  if (const auto opened = open(scene, call); !opened) return failed(opened.error(), code::bad_config);
  auto door = door_of(scene);
  const auto answer = door.take_back();
  if (!answer) return failed(answer.error(), code::switch_failed);
  if (answer->kind == Answer::Kind::restart) return {kRestoreReboot, 0, answer->details};
  return answer->kind == Answer::Kind::done ? Outcome{result::restore_ok, 0, ""} : no(*answer);
}

}  // namespace godwit::step_swupdate
