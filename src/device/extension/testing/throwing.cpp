// A step handler that breaks the rule that no exception crosses the border.
#include <stdexcept>

#include "godwit/step_handler.h"

namespace {
void install(const godwit_host*, const godwit_step*, godwit_outcome*) { throw std::runtime_error("the ball"); }
const godwit_step_handler kTable{sizeof(godwit_step_handler), nullptr, nullptr, nullptr, install, nullptr, nullptr};
}  // namespace

extern "C" const godwit_step_handler* godwit_step_handler_entry(std::uint32_t) { return &kTable; }
extern "C" std::int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_STEP_HANDLER;
  info->major = GODWIT_ABI;
  return 0;
}
