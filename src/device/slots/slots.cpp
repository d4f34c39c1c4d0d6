#include "device/slots/slots.hpp"

#include <fmt/format.h>

namespace godwit::slots {
namespace {

std::string attempts_used(const Facts& facts, Side side) {
  const auto& held = facts.contents.of(side);
  const int given = held ? held->attempts : 0;
  return fmt::format("{} of {} attempts used", std::max(0, given - facts.boot.attempts_left), given);
}

std::string last_words(const Facts& facts, Side side) {
  const auto& held = facts.contents.of(side);
  return held && !held->last_words.empty() ? "; " + held->last_words : "";
}

template <class T>
Result<T> in_side(std::string_view doing, Side side, Result<T> result) {
  if (!result) return with_context(fmt::format("{} side {}", doing, side_name(side)), result.error());
  return result;
}

Result<void> check_room(DiskFile& side, const Image& image) {
  GODWIT_TRY(const ByteCount room, side.size());
  if (image.size <= room) return {};
  return fail(Code::too_large, fmt::format("the image has {} bytes; the partition only {}", image.size, room));
}

}  // namespace

Result<Facts> Slots::look() {
  Facts facts;
  facts.running = places_.running;
  GODWIT_TRY(facts.boot, boot_.read());
  GODWIT_TRY(facts.contents, load_contents(disk_, places_.contents));
  return facts;
}

Result<Stage> Slots::stage(const Image& image) {
  GODWIT_TRY(const Facts facts, look());
  return stage_of(facts, image);
}

Result<Answer> Slots::install(const Image& image, const OpenSource& open, const BlockHashes* hashes, const Watch& watch,
                              const PairSources& pairs) {
  const Fill fill = [&](DiskFile& target, const Path&) -> Result<Filled> {
    GODWIT_TRY(const auto source, open());
    GODWIT_TRY(const Written written, write_image(target, *source, image, hashes, places_.writer, watch));
    return Filled{.is_whole = true, .written = written};
  };
  return install(image, fill, watch, pairs);
}

Result<Answer> Slots::install(const Image& image, const Fill& fill, const Watch& watch, const PairSources& sources) {
  for (const auto& [name, file] : image.pairs) GODWIT_CHECK(sources.contains(name));
  Filled filled;
  bool has_written = false;
  std::optional<PairTransfer> pairs;
  for (;;) {
    GODWIT_TRY(const Facts facts, look());
    Stage at = stage_of(facts, image);
    if (at == Stage::closed && has_written) at = Stage::written;
    const Side target = other(facts.running);
    switch (const Act act = next(Ask::install, at); act) {
      case Act::close: {
        // What does not fit is refused before anything has changed.
        GODWIT_TRY(const auto fits, in_side("look at", target, open_side(target, image)));
        GODWIT_TRY_VOID(plan_pairs(pairs, facts, sources, watch));
        GODWIT_TRY_VOID(in_side("close", target, close(facts)));
        break;
      }
      case Act::write: {
        GODWIT_TRY(const auto file, in_side("write", target, open_side(target, image)));
        GODWIT_TRY_VOID(plan_pairs(pairs, facts, sources, watch));
        GODWIT_TRY(filled, in_side("write", target, fill(*file, places_.of(facts.running))));
        if (!filled.is_whole) return Answer{.kind = Answer::Kind::unfinished, .details = "", .written = filled.written};
        GODWIT_TRY(const Written with_it, pairs->write());
        filled.written.written += with_it.written;
        filled.written.skipped += with_it.skipped;
        has_written = true;
        break;
      }
      case Act::read_back: GODWIT_TRY_VOID(in_side("read back", target, read_back(facts, image, *pairs, watch))); break;
      case Act::mark_try: GODWIT_TRY_VOID(in_side("let the boot loader try", target, mark_try(facts))); break;
      default: {
        GODWIT_CHECK(is_answer(act));
        Answer ended = answer(act, facts);
        ended.written = filled.written;
        return ended;
      }
    }
  }
}

Result<Answer> Slots::apply(const Image& image, const HealthCheck& is_healthy) {
  bool was_healthy = false;
  for (;;) {
    GODWIT_TRY(const Facts facts, look());
    Stage at = stage_of(facts, image);
    if (at == Stage::on_trial && was_healthy) at = Stage::healthy;
    switch (const Act act = next(Ask::apply, at); act) {
      case Act::check_health:
        if (const auto health = is_healthy(); !health) {
          if (health.error().code == Code::cancelled) return tl::unexpected<Error>{health.error()};
          return Answer{.kind = Answer::Kind::unhealthy,
                        .details = fmt::format("side {} runs, but is not healthy: {}", side_name(facts.running),
                                               health.error().message)};
        }
        was_healthy = true;
        break;
      case Act::confirm: GODWIT_TRY_VOID(in_side("confirm", facts.running, confirm(facts))); break;
      default: GODWIT_CHECK(is_answer(act)); return answer(act, facts);
    }
  }
}

Result<Answer> Slots::restore(const Image& image) {
  for (;;) {
    GODWIT_TRY(const Facts facts, look());
    const Stage at = stage_of(facts, image);
    switch (const Act act = next(Ask::restore, at); act) {
      case Act::close: GODWIT_TRY_VOID(in_side("close", other(facts.running), close(facts))); break;
      case Act::give_back:
        GODWIT_TRY_VOID(in_side("end the trial of", facts.running, give_back(facts)));
        return Answer{.kind = Answer::Kind::restart,
                      .details = fmt::format("side {} boots next", side_name(other(facts.running)))};
      default: GODWIT_CHECK(is_answer(act)); return answer(act, facts);
    }
  }
}

/// The boot loader first: what is claimed of the side still holds while it could be booted.
Result<void> Slots::close(const Facts& facts) {
  BootState closed{.good = facts.running, .trial = {}, .attempts_left = 0, .failed = {}, .verity = facts.boot.verity};
  closed.verity_of(other(facts.running)).reset();
  GODWIT_TRY_VOID(boot_.write(closed));
  Contents contents = facts.contents;
  contents.of(other(facts.running)).reset();
  return store_contents(disk_, places_.contents, contents);
}

Result<void> Slots::plan_pairs(std::optional<PairTransfer>& pairs, const Facts& facts, const PairSources& sources,
                               const Watch& watch) {
  if (pairs) return {};
  const auto& held = facts.contents.of(facts.running);
  pairs.emplace(disk_, places_.pairs, other(facts.running), held ? held->pairs : PairContents{}, places_.writer, watch);
  return pairs->check(sources);
}

Result<void> Slots::read_back(const Facts& facts, const Image& image, PairTransfer& pairs, const Watch& watch) {
  GODWIT_TRY(const auto target, open_side(other(facts.running), image));
  GODWIT_TRY_VOID(verify_image(*target, image, places_.writer, watch));
  GODWIT_TRY(PairContents contents, pairs.read_back());
  return record(facts, image, std::move(contents));
}

Result<void> Slots::record(const Facts& facts, const Image& image, PairContents pairs) {
  Contents contents = facts.contents;
  contents.of(other(facts.running)) =
      Held{.image = image, .attempts = places_.attempts, .last_words = {}, .pairs = std::move(pairs)};
  return store_contents(disk_, places_.contents, contents);
}

Result<void> Slots::mark_try(const Facts& facts) {
  const Side target = other(facts.running);
  // The attempts that were recorded with the side: the configuration may have changed since.
  const Held& held = *facts.contents.of(target);
  BootState tried{.good = facts.running,
                  .trial = target,
                  .attempts_left = held.attempts,
                  .failed = {},
                  .verity = facts.boot.verity};
  tried.verity_of(target) = held.image.verity;
  return boot_.write(tried);
}

Result<void> Slots::confirm(const Facts& facts) {
  return boot_.write(
      {.good = facts.running, .trial = {}, .attempts_left = 0, .failed = {}, .verity = facts.boot.verity});
}

Result<void> Slots::check_places(const Image& image) {
  GODWIT_TRY(const auto file, disk_.open(places_.of(other(places_.running)), OpenMode::read));
  GODWIT_TRY_VOID(check_room(*file, image));
  for (const auto& pair : image.pairs) GODWIT_TRY_VOID(check_name(places_.pairs, pair.first));
  return {};
}

Result<void> Slots::give_back(const Facts& facts) {
  return boot_.write({.good = other(facts.running),
                      .trial = {},
                      .attempts_left = facts.boot.attempts_left,
                      .failed = facts.running,
                      .verity = facts.boot.verity});
}

Result<std::unique_ptr<DiskFile>> Slots::open_side(Side side, const Image& image) {
  GODWIT_CHECK(side != places_.running);
  GODWIT_TRY(auto file, disk_.open(places_.of(side), OpenMode::write));
  GODWIT_TRY_VOID(check_room(*file, image));
  return file;
}

Answer Slots::answer(Act act, const Facts& facts) const {
  const Side there = other(facts.running);
  switch (act) {
    case Act::done: return {};
    case Act::restart:
      return {.kind = Answer::Kind::restart, .details = fmt::format("side {} is tried next", side_name(there))};
    case Act::say_not_tried:
      return {.kind = Answer::Kind::not_tried,
              .details = fmt::format("side {} runs again: the boot loader never tried side {} ({}); check that its "
                                     "script reads the same state",
                                     side_name(facts.running), side_name(there), in_words(facts.boot))};
    case Act::say_fell_back:
      return {
          .kind = Answer::Kind::fell_back,
          .details = fmt::format("side {} was tried and fell back to side {}: it did not come up healthy ({}; {}){}",
                                 side_name(there), side_name(facts.running), attempts_used(facts, there),
                                 in_words(facts.boot), last_words(facts, there))};
    case Act::say_blocked:
      return {.kind = Answer::Kind::blocked,
              .details = fmt::format("side {} runs on trial and is not confirmed: side {} is the only good one and is "
                                     "not written",
                                     side_name(facts.running), side_name(there))};
    default:
      return {.kind = Answer::Kind::not_there,
              .details = fmt::format("no side holds the image ({})", in_words(facts.boot))};
  }
}

}  // namespace godwit::slots
