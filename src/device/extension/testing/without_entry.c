/* Says it is a step handler, and exports no entry function. */
#include "godwit/common.h"

int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_STEP_HANDLER;
  info->major = GODWIT_ABI;
  info->minor = 0;
  return 0;
}
