/* Its table ends after install(): a host must not read further. */
#include <stddef.h>

#include "godwit/step_handler.h"

static void install(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  (void)host;
  (void)step;
  outcome->result_code = 600;
}
static const struct {
  uint32_t size;
  godwit_step_act is_installed, download, backup, install;
} table = {sizeof table, NULL, NULL, NULL, install};

const godwit_step_handler* godwit_step_handler_entry(uint32_t abi) {
  return abi == GODWIT_ABI ? (const godwit_step_handler*)(const void*)&table : NULL;
}
int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_STEP_HANDLER;
  info->major = GODWIT_ABI;
  info->minor = 0;
  return 0;
}
