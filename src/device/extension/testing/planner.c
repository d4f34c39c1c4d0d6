/* A manifest handler that answers with the manifest it was given, so that a test writes the plan it wants to see. */
#include <stdio.h>
#include <unistd.h>

#include "godwit/manifest_handler.h"

static void plan(const godwit_host* host, const godwit_plan_request* request, godwit_outcome* outcome) {
  host->answer(host->context, request->manifest_json);
  outcome->result_code = 1;
  snprintf(outcome->details, sizeof outcome->details, "uid %ld", (long)geteuid());
}
static const godwit_manifest_handler table = {sizeof(godwit_manifest_handler), plan};

const godwit_manifest_handler* godwit_manifest_handler_entry(uint32_t abi) { return abi == GODWIT_ABI ? &table : 0; }
int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_MANIFEST_HANDLER;
  info->major = GODWIT_ABI;
  info->minor = GODWIT_ABI_MINOR;
  return 0;
}
