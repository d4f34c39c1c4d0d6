/* The step-handler contract, ABI 1: how one kind of step (microsoft/script:1, microsoft/apt:1, ...) is done on a
 * device. Read common.h first.
 *
 * A step handler runs as root in the installer's half, in a process of its own, without network unless its registration
 * grants it. All it gets was checked: the manifest's signature, this device's compatibility, and the hash of every
 * file.
 *
 * Order of the calls of one step: is_installed; when it is not: download, is_installed again after a restart, backup,
 * install, apply; restore when install or apply failed. Every one of them may come again, for the same workflow and
 * attempt, after the power was cut in its middle; it must then end in the same state as one undisturbed call. A
 * finished act is not asked again.
 *
 * A file that the step's handlerProperties name as "streamedFile" is not downloaded (since minor version 4). install()
 * asks for what it wants of it: result code 609 and, through host->answer(),
 *   {"file":"<name>","ranges":[{"offset":0,"length":4194304},...]}
 * with at most GODWIT_RANGES_MAX ranges in rising order, and GODWIT_PIECES_MAX bytes in all. install() is then called
 * again with these pieces, or without them after a cut: keep in work_dir how far you are, and ask for the very same
 * pieces until they were used, for then nothing is fetched twice.
 *
 * Result codes (outcome.result_code):
 *   is_installed  900 yes, 901 no
 *   download      500 done, 503 nothing to do
 *   backup       1000 done, 1001 this handler cannot; both count as success
 *   install       600 done, 603 already there, 605/606 reboot now/later, 607/608 restart the agent now/later,
 *                609 call again with the pieces that the answer names
 *   apply         700 done, 705/706 reboot now/later, 707/708 restart the agent now/later
 *   restore      1100 done, 1101 this handler cannot
 *   any           0 failure (extended_code and details say why), -1 cancelled */
#ifndef GODWIT_STEP_HANDLER_H
#define GODWIT_STEP_HANDLER_H

#include "godwit/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most bytes of a streamed file that one call may ask for. */
#define GODWIT_PIECES_MAX (64u * 1024u * 1024u)

/* One step of one update, as the signed manifest describes it. */
typedef struct godwit_step {
  uint32_t size;
  godwit_text handler_id;              /* "microsoft/script:1": an extension may be registered under several ids */
  godwit_text handler_properties_json; /* the step's "handlerProperties", an object; "{}" if it has none */
  godwit_text installed_criteria;      /* its member "installedCriteria"; absent when there is none */
  godwit_text component_json;          /* the component this step is for, an object; absent: the device itself */
  godwit_text work_dir;            /* folder of this step: root-owned, the files are in it, removed with the workflow */
  const godwit_file* const* files; /* the step's payload files, in the order of the manifest */
  size_t file_count;
  godwit_text workflow_id;
  godwit_text update_id_json; /* {"provider","name","version"} */
  uint32_t attempt;           /* 1 at first; counts the operator's retries of this workflow */
  uint32_t step_index;        /* place in the plan, from 0 */
} godwit_step;

/* One act. Must fill `outcome`. */
typedef void (*godwit_step_act)(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome);

/* The table of a step handler; static, never freed. A NULL act: is_installed answers 901, download 500,
 * backup 1001, restore 1101; install and apply must not both be NULL, the missing one answers 600 or 700. */
typedef struct godwit_step_handler {
  uint32_t size;
  godwit_step_act is_installed; /* is what this step wants in place? Changes nothing. Files may be missing. */
  godwit_step_act download;     /* prepare; the files are there already. No change outside work_dir. */
  godwit_step_act backup;       /* keep what restore needs */
  godwit_step_act install;      /* bring the new state onto the device */
  godwit_step_act apply;        /* switch to it */
  godwit_step_act restore;      /* go back to what backup kept */
} godwit_step_handler;

/* The entry function. Returns NULL if this extension does not speak `abi`. */
GODWIT_EXPORT const godwit_step_handler* godwit_step_handler_entry(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif /* GODWIT_STEP_HANDLER_H */
