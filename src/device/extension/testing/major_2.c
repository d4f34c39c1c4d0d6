/* Built for a contract that does not exist yet. */
#include "godwit/step_handler.h"

const godwit_step_handler* godwit_step_handler_entry(uint32_t abi) {
  return abi == 2 ? (const godwit_step_handler*)0 : (const godwit_step_handler*)0;
}
int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_STEP_HANDLER;
  info->major = 2;
  info->minor = 0;
  return 0;
}
