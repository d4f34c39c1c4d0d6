/* Has an entry function that knows no ABI. */
#include <stddef.h>

#include "godwit/step_handler.h"

const godwit_step_handler* godwit_step_handler_entry(uint32_t abi) {
  (void)abi;
  return NULL;
}
int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_STEP_HANDLER;
  info->major = GODWIT_ABI;
  info->minor = 0;
  return 0;
}
