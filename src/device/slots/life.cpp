#include "device/slots/life.hpp"

namespace godwit::slots {

Stage stage_of(const Facts& facts, const Image& image) {
  const Side here = facts.running;
  const Side there = other(here);
  const auto holds_image = [&](Side side) {
    const auto& held = facts.contents.of(side);
    return held && held->image == image;
  };
  const bool is_good = facts.boot.good == here;
  if (holds_image(here)) return is_good ? Stage::good : Stage::on_trial;
  if (!is_good) return Stage::blocked;

  const bool is_whole = holds_image(there);
  if (facts.boot.trial == there) {
    if (!is_whole) return Stage::open;
    // A loader that only counts leaves it at that: it will not start the side again.
    if (facts.boot.attempts_left == 0) return Stage::fell_back;
    return facts.boot.attempts_left >= facts.contents.of(there)->attempts ? Stage::due : Stage::retrying;
  }
  if (facts.boot.trial) return Stage::open;  // a trial of the running, good side: left over, and cleared by closing
  if (facts.boot.failed == there) return is_whole ? Stage::fell_back : Stage::open;
  if (is_whole) return Stage::whole;
  return facts.contents.of(there) ? Stage::open : Stage::closed;
}

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::open: return "open";
    case Stage::closed: return "closed";
    case Stage::written: return "written";
    case Stage::whole: return "whole";
    case Stage::due: return "due";
    case Stage::retrying: return "retrying";
    case Stage::fell_back: return "fell_back";
    case Stage::on_trial: return "on_trial";
    case Stage::healthy: return "healthy";
    case Stage::good: return "good";
    case Stage::blocked: return "blocked";
  }
  return "?";
}

std::string_view act_name(Act act) {
  switch (act) {
    case Act::close: return "close";
    case Act::write: return "write";
    case Act::read_back: return "read_back";
    case Act::mark_try: return "mark_try";
    case Act::check_health: return "check_health";
    case Act::confirm: return "confirm";
    case Act::give_back: return "give_back";
    case Act::done: return "done";
    case Act::restart: return "restart";
    case Act::say_not_there: return "say_not_there";
    case Act::say_not_tried: return "say_not_tried";
    case Act::say_fell_back: return "say_fell_back";
    case Act::say_blocked: return "say_blocked";
  }
  return "?";
}

}  // namespace godwit::slots
