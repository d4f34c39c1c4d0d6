// The border of godwit/image:1: an image onto the side that does not run, tried at the next start, kept if healthy.
#include "godwit/author.hpp"
#include "godwit/step_handler.h"
#include "image_step.hpp"
#include "support/options.hpp"

namespace {

namespace author = godwit::author;
using godwit::step_image::Verb;

constexpr std::string_view kSlotsFile = "/etc/godwit/slots.toml";

template <Verb kVerb>
author::Outcome act_as(const author::Host& host, const godwit_step& step) {
  return godwit::step_image::act(kVerb, author::option(host, "slots", kSlotsFile), host, step);
}

// Nothing to prepare (500), and the side that runs is the backup (1001): it is never written.
constexpr godwit_step_handler kTable{sizeof(godwit_step_handler),
                                     author::step_act<act_as<Verb::is_installed>>,
                                     nullptr,
                                     nullptr,
                                     author::step_act<act_as<Verb::install>>,
                                     author::step_act<act_as<Verb::apply>>,
                                     author::step_act<act_as<Verb::restore>>};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
