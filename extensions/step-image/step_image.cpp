// The border of godwit/image:1: an image onto the side that does not run, tried at the next start, kept if healthy.
#include "core/model/outcome.hpp"
#include "godwit/author.hpp"
#include "godwit/step_handler.h"
#include "image_step.hpp"

#ifndef GODWIT_SLOTS_FILE
#define GODWIT_SLOTS_FILE "/etc/godwit/slots.toml"
#endif

namespace {

namespace author = godwit::author;
using godwit::step_image::Verb;

template <Verb kVerb>
void act_at_border(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  author::guarded(outcome, godwit::erc::handler_refused, [&] {
    const auto done = godwit::step_image::act(kVerb, GODWIT_SLOTS_FILE, *host, *step);
    author::say(outcome, done.result_code, done.extended_code, done.details);
  });
}

// Nothing to prepare (500), and the side that runs is the backup (1001): it is never written.
constexpr godwit_step_handler kTable{
    sizeof(godwit_step_handler), act_at_border<Verb::is_installed>, nullptr, nullptr, act_at_border<Verb::install>,
    act_at_border<Verb::apply>,  act_at_border<Verb::restore>};

}  // namespace

extern "C" {

const godwit_step_handler* godwit_step_handler_entry(std::uint32_t abi) {
  return abi == GODWIT_ABI ? &kTable : nullptr;
}

std::int32_t GetContractInfo(godwit_contract_info* info) { return author::describe(info, GODWIT_TYPE_STEP_HANDLER); }
}
