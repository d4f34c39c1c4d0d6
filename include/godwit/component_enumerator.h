/* The component-enumerator contract, ABI 1: which updatable parts (motors, cameras, ...) hang on this device now.
 * Read common.h first.
 *
 * An enumerator runs in the agent's half, unprivileged. At most one is registered. Both calls answer through
 * host->answer() with
 *   {"components":[{"id":"m-1","name":"left","group":"motors","manufacturer":"Contoso","model":"USB-M","version":"1.2",
 *                   "description":"...","properties":{"bus":"3"}}, ...]}
 * `id` is needed, unique and at most 128 bytes; all other members are optional; properties are strings; at most 100
 * components.
 *
 * Result codes: 1 listed (an empty list is a success); 0 failure, -1 cancelled. */
#ifndef GODWIT_COMPONENT_ENUMERATOR_H
#define GODWIT_COMPONENT_ENUMERATOR_H

#include "godwit/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The table of a component enumerator; static, never freed. */
typedef struct godwit_component_enumerator {
  uint32_t size;
  /* All components that are there now. */
  void (*list)(const godwit_host* host, godwit_outcome* outcome);
  /* Those that match every pair of `selector_json`, a flat object of strings such as {"group":"motors"}: a pair matches
   * id, name, group, manufacturer, model or a property. */
  void (*select)(const godwit_host* host, godwit_text selector_json, godwit_outcome* outcome);
} godwit_component_enumerator;

/* The entry function. Returns NULL if this extension does not speak `abi`. */
GODWIT_EXPORT const godwit_component_enumerator* godwit_component_enumerator_entry(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif /* GODWIT_COMPONENT_ENUMERATOR_H */
