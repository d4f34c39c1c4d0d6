// The part of Slots for images that somebody else writes: SWUpdate, a script, a person.
#include <fmt/format.h>

#include "device/slots/slots.hpp"

namespace godwit::slots {
namespace {

/// No image is like it, so that its stage says only whether the other side is free.
const Image kNoImage{};

}  // namespace

Result<Answer> Slots::free_other() {
  std::optional<PairTransfer> pairs;
  for (;;) {
    GODWIT_TRY(const Facts facts, look());
    switch (next(Ask::install, stage_of(facts, kNoImage))) {
      case Act::close:
        GODWIT_TRY_VOID(plan_pairs(pairs, facts, {}, {}));
        GODWIT_TRY_VOID(close(facts));
        break;
      case Act::write: {
        GODWIT_TRY_VOID(plan_pairs(pairs, facts, {}, {}));
        GODWIT_TRY(const Written copied, pairs->write());
        GODWIT_TRY(const PairContents contents, pairs->read_back());
        return Answer{.kind = Answer::Kind::done, .details = {}, .written = copied};
      }
      default: return answer(Act::say_blocked, facts);
    }
  }
}

Result<Image> Slots::read_other(Side side, ByteCount size, const Watch& watch) {
  GODWIT_TRY(const auto file, open_side(side, Image{.size = size, .sha256 = {}}));
  GODWIT_TRY(const ByteCount room, file->size());
  GODWIT_TRY_VOID(file->sync());  // what the other program wrote may be in memory only
  Image image{.size = size == 0 ? room : size, .sha256 = {}};
  GODWIT_TRY(image.sha256, digest_of(*file, image.size, places_.writer, watch));
  return image;
}

Result<Answer> Slots::take_over(ByteCount size, const Bytes& sha256, const Watch& watch) {
  GODWIT_TRY(const Facts facts, look());
  const Side there = other(facts.running);
  const Stage at = stage_of(facts, kNoImage);
  if (at == Stage::blocked) return answer(Act::say_blocked, facts);
  if (at != Stage::closed)
    return Answer{.kind = Answer::Kind::not_there,
                  .details = fmt::format("side {} was not freed before it was written ({}), so it is unknown what it "
                                         "holds; free it and write it anew",
                                         side_name(there), in_words(facts.boot))};
  GODWIT_TRY(const Image image, read_other(there, size, watch));
  if (!sha256.empty() && image.sha256 != sha256)
    return fail(Code::digest_mismatch, fmt::format("side {} holds an image with the hash {}, not {}", side_name(there),
                                                   hex_encode(image.sha256), hex_encode(sha256)));
  GODWIT_TRY(PairContents pairs, read_pairs(disk_, places_.pairs, there, places_.writer, watch));
  GODWIT_TRY_VOID(record(facts, image, std::move(pairs)));
  GODWIT_TRY(const Facts now, look());
  GODWIT_TRY_VOID(mark_try(now));
  return answer(Act::restart, now);
}

Result<Answer> Slots::settle(const HealthCheck& is_healthy) {
  GODWIT_TRY(const Facts facts, look());
  const Side here = facts.running;
  if (facts.boot.good != here) {
    const auto& held = facts.contents.of(here);
    if (held) return apply(held->image, is_healthy);
    return Answer{.kind = Answer::Kind::not_there,
                  .details = fmt::format("side {} runs, but is not the good one, and no update has recorded it ({})",
                                         side_name(here), in_words(facts.boot))};
  }
  const auto& held = facts.contents.of(other(here));
  if (held && (facts.boot.trial == other(here) || facts.boot.failed == other(here)))
    return apply(held->image, is_healthy);
  return Answer{.kind = Answer::Kind::done, .details = {}};
}

Result<Answer> Slots::take_back() {
  GODWIT_TRY(const Facts facts, look());
  const Side tried = facts.boot.good == facts.running ? other(facts.running) : facts.running;
  const auto& held = facts.contents.of(tried);
  return held ? restore(held->image) : Answer{.kind = Answer::Kind::done, .details = {}};
}

}  // namespace godwit::slots
