/* The download-handler contract, ABI 1: makes a payload from what the device has, so that less must be fetched
 * (microsoft/delta:1 makes it from an older version and a difference). Read common.h first.
 *
 * A download handler runs in the agent's half, unprivileged and without network. It is asked in two moves, so that
 * fetching stays with the agent: choose() names the related files that it needs, the agent fetches and checks them,
 * make() makes the target. The agent checks the result by size and SHA-256; whatever goes wrong, the full file is
 * fetched.
 *
 * Since minor version 3 make() may lack a few pieces of the target, for instance because its source is damaged there:
 * it answers 521 and, through host->answer(), {"ranges":[{"offset":0,"length":1048576},...]}, in rising order, not
 * overlapping, inside the target, at most GODWIT_RANGES_MAX. The agent fetches these pieces of the full file and calls
 * make() again with them; what lies at target_path stays as make() left it. A few rounds are allowed. An older agent
 * does not look at the answer and fetches the full file, as 521 says; a handler that never answers so is never called
 * again. Whether the agent knows pieces is told by `size` of godwit_make.
 *
 * Result codes:
 *   choose     520 can do it (the answer says what is needed), 521 fetch the full file
 *   make       520 target_path is made, 521 could not, fetch the full file
 *   completed  1 done
 *   any          0 failure (the same as 521, with a code and a sentence), -1 cancelled */
#ifndef GODWIT_DOWNLOAD_HANDLER_H
#define GODWIT_DOWNLOAD_HANDLER_H

#include "godwit/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One payload that could be made instead of fetched. */
typedef struct godwit_make {
  uint32_t size;
  godwit_text file_json;      /* the file's entry in the manifest, with "fileName", "sizeInBytes", "hashes" and
                               * "relatedFiles" {"<file id>":{"fileName","sizeInBytes","hashes","properties"}} */
  godwit_text target_path;    /* where make() writes the file; for completed(): where the verified payload lies */
  godwit_text work_dir;       /* for temporary files; a fetched related file lies there under its file id */
  godwit_text cache_dir;      /* the handler's own folder; what it keeps there survives workflows */
  godwit_text update_id_json; /* {"provider","name","version"} */
  /* Since minor version 3; for make() only. The pieces of the target that an earlier answer asked for lie one after the
   * other in the file at ranges_path. Their size is checked, their content is not: it is the target's hash that
   * decides. Absent and 0: nothing was asked for yet. */
  godwit_text ranges_path;
  const godwit_range* ranges;
  size_t range_count;
} godwit_make;

/* The table of a download handler; static, never freed. `completed` may be NULL. */
typedef struct godwit_download_handler {
  uint32_t size;
  /* Answers through host->answer(): {"related":["<file id>",...]}, in the order of wish; empty: nothing is needed. */
  void (*choose)(const godwit_host* host, const godwit_make* what, godwit_outcome* outcome);
  void (*make)(const godwit_host* host, const godwit_make* what, godwit_outcome* outcome);
  /* The update with this payload is installed: keep the file at target_path as a source for later, if wanted. */
  void (*completed)(const godwit_host* host, const godwit_make* what, godwit_outcome* outcome);
} godwit_download_handler;

/* The entry function. Returns NULL if this extension does not speak `abi`. */
GODWIT_EXPORT const godwit_download_handler* godwit_download_handler_entry(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif /* GODWIT_DOWNLOAD_HANDLER_H */
