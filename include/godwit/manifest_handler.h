/* The manifest-handler contract, ABI 1: how an update manifest of one version becomes a plan. Read common.h first.
 *
 * A manifest handler is a planner: a pure function from the manifest (and the device's components) to an ordered list
 * of steps. It runs nothing, reads no file and has no network; agent and installer do what the plan says. It is found
 * by id "microsoft/update-manifest:<version>", else "microsoft/update-manifest".
 *
 * Result codes: 1 planned; 0 refused, with extended_code and details. */
#ifndef GODWIT_MANIFEST_HANDLER_H
#define GODWIT_MANIFEST_HANDLER_H

#include "godwit/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is to be planned. */
typedef struct godwit_plan_request {
  uint32_t size;
  godwit_text manifest_json;   /* the update manifest: exactly the bytes that were signed */
  godwit_text components_json; /* {"components":[...],"selected":{"<file id>":["<component id>",...]}}: all components
                                * as the enumerator lists them, and for each child manifest those that it selected by
                                * the child's first compatibility set; absent: the device has no enumerator */
  /* Since minor version 2: */
  godwit_text children_json; /* {"<file id>":"<update manifest>"}: the manifests that reference steps name, checked by
                              * the hash in the signed manifest; absent: there are none */
} godwit_plan_request;

/* The table of a manifest handler; static, never freed. */
typedef struct godwit_manifest_handler {
  uint32_t size;
  /* Gives the plan through host->answer():
   *   {"steps":[{"path":"step_0","handler":"microsoft/script:1","files":["<file id>",...],
   *              "handlerProperties":{...},"component":{...}},
   *             {"path":"step_1","skip":"no component matches group=motors"}, ...]}
   * 1 to 100 steps in the order of work. `path` names the step in reports; steps with the same first part
   * ("step_0", "step_0/step_1") belong to one top-level step. `files` names entries of "files" of the manifest or of a
   * child; the host refuses a plan that names any other. "component" is left out for the device itself. A step with
   * "skip" (since minor version 2) has neither handler nor files: there is nothing to do, the sentence says why. */
  void (*plan)(const godwit_host* host, const godwit_plan_request* request, godwit_outcome* outcome);
} godwit_manifest_handler;

/* The entry function. Returns NULL if this extension does not speak `abi`. */
GODWIT_EXPORT const godwit_manifest_handler* godwit_manifest_handler_entry(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif /* GODWIT_MANIFEST_HANDLER_H */
