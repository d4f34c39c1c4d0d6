/* Two motors; select() gives what it was asked back, so that a test sees that it arrived. */
#include <string.h>

#include "godwit/component_enumerator.h"

static void list(const godwit_host* host, godwit_outcome* outcome) {
  static const char json[] =
      "{\"components\":[{\"id\":\"m-1\",\"group\":\"motors\"},{\"id\":\"m-2\",\"group\":\"motors\"}]}";
  const godwit_text answer = {json, sizeof json - 1};
  host->answer(host->context, answer);
  outcome->result_code = 1;
}
static void choose(const godwit_host* host, godwit_text selector_json, godwit_outcome* outcome) {
  host->answer(host->context, selector_json);
  outcome->result_code = 1;
}
static const godwit_component_enumerator table = {sizeof(godwit_component_enumerator), list, choose};

const godwit_component_enumerator* godwit_component_enumerator_entry(uint32_t abi) {
  return abi == GODWIT_ABI ? &table : 0;
}
int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_COMPONENT_ENUMERATOR;
  info->major = GODWIT_ABI;
  info->minor = GODWIT_ABI_MINOR;
  return 0;
}
