/* What every Godwit extension shares: text, outcome, what the host offers, and the contract question.
 *
 * An extension is a shared library in plain C clothes. It is never loaded into the agent or the installer: each call
 * runs in a new process, made for this one call, that loads the library, asks GetContractInfo(), asks the entry
 * function of its type for a table, calls one function of the table and ends. So
 *   - a crash, a hang or a leak is a failed call with a code, never a dead agent;
 *   - nothing that is kept in memory survives a call. Keep state in files, and make every act repeatable: after a
 *     power cut the same call comes again.
 *
 * Rules of these headers, for ever:
 *   - strict C99 only; host and extension may come from different compilers and C++ runtimes;
 *   - every struct (godwit_text and godwit_range, plain pairs, aside) starts with `size`, set by whoever fills the
 * struct, and grows only at its end; a reader looks at `size` before it looks at a member that a later minor version
 * added;
 *   - nothing that is allocated on one side is freed on the other; no exception crosses;
 *   - text is UTF-8, a pointer and a byte count, not NUL-terminated; {NULL, 0} is "absent", {"", 0} is "empty";
 *   - pointers are valid only until the call returns, in both directions;
 *   - all functions are called from one thread; an extension may start threads of its own, but these may call only
 *     log(), progress() and cancelled(), and must have ended when the call returns.
 * Changing the meaning of a member needs ABI 2 and a second entry function, not an edit here. */
#ifndef GODWIT_COMMON_H
#define GODWIT_COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI number that these headers describe: the argument of every entry function, and `major` of the contract. */
#define GODWIT_ABI 1u
/* Additions within ABI 1: `minor` of the contract. A host accepts every minor version of a major that it knows. */
#define GODWIT_ABI_MINOR 5u

#if defined(__GNUC__)
#define GODWIT_EXPORT __attribute__((visibility("default")))
#else
#define GODWIT_EXPORT
#endif

/* UTF-8 text that belongs to somebody else. */
typedef struct godwit_text {
  const char* data;
  size_t size;
} godwit_text;

/* A piece of a file (since minor version 3). A plain pair like godwit_text: it never grows. */
typedef struct godwit_range {
  uint64_t offset;
  uint64_t length; /* at least 1 */
} godwit_range;

/* How many pieces one call may name. */
#define GODWIT_RANGES_MAX 4096u

/* The five types of extensions. Values are stored and never reused. */
#define GODWIT_TYPE_STEP_HANDLER 1u
#define GODWIT_TYPE_MANIFEST_HANDLER 2u
#define GODWIT_TYPE_CONTENT_DOWNLOADER 3u
#define GODWIT_TYPE_DOWNLOAD_HANDLER 4u
#define GODWIT_TYPE_COMPONENT_ENUMERATOR 5u

/* Which contract an extension was built for. */
typedef struct godwit_contract_info {
  uint32_t size;  /* set by the host before the call; the extension writes no further than this */
  uint32_t type;  /* GODWIT_TYPE_... */
  uint32_t major; /* GODWIT_ABI */
  uint32_t minor; /* GODWIT_ABI_MINOR */
} godwit_contract_info;

/* Exported by every extension. Fills `info` and returns 0; any other number means "cannot say", and the extension is
 * refused. Must have no side effects: it is called before anything else, at registration too. */
GODWIT_EXPORT int32_t GetContractInfo(godwit_contract_info* info);

/* Levels of log(): debug is for the author, info for an operator who asks, warning for one who should know, error for
 * one who must act. */
#define GODWIT_LOG_DEBUG 0u
#define GODWIT_LOG_INFO 1u
#define GODWIT_LOG_WARNING 2u
#define GODWIT_LOG_ERROR 3u

/* What the host offers during a call. */
typedef struct godwit_host {
  uint32_t size;
  void* context; /* first argument of each function below */

  /* One line for the log of the half that runs the extension. At most 8 KiB, longer is cut; after some thousand lines
   * in one call the rest is counted instead of kept. */
  void (*log)(void* context, uint32_t level, godwit_text message);

  /* How far the call is. `total_bytes` 0: unknown. May be called as often as one likes; the host thins it out. */
  void (*progress)(void* context, uint64_t done_bytes, uint64_t total_bytes);

  /* Not 0 once the call should end early: the deployment was cancelled, or the time is over. Ask at least once a
   * second. Whoever does not end within the grace time (some seconds) is killed, with all processes it started. */
  int32_t (*cancelled)(void* context);

  /* Gives the JSON answer of a call that has one (each header says which and what shape). At most 1 MiB. The last call
   * counts. */
  void (*answer)(void* context, godwit_text json);

  /* Since minor version 2: what was said of this extension when it was registered on the device (extension register
   * --option name=value): a flat JSON object of strings, {} if nothing was said. Look at `size` first. */
  godwit_text options_json;
} godwit_host;

/* Room for `details`, with the closing NUL. */
#define GODWIT_DETAILS_SIZE 1024u

/* How a call ended; filled by the extension. All zero before the call, `size` aside: an extension that fills nothing
 * has failed. */
typedef struct godwit_outcome {
  uint32_t size;
  int32_t result_code;    /* > 0 success, 0 failure, -1 cancelled; the numbers are in docs/reference/handlers.md */
  uint32_t extended_code; /* facility << 28 | component << 20 | value; 0 on success */
  char details[GODWIT_DETAILS_SIZE]; /* one sentence for a person: what happened, where, what to do; NUL-terminated */
} godwit_outcome;

/* One payload file, on disk and checked against the signed manifest by the host before the call. */
typedef struct godwit_file {
  uint32_t size;
  godwit_text id;      /* key of the file in the manifest */
  godwit_text name;    /* plain file name, no folder */
  godwit_text path;    /* where it lies; empty when it is not there yet (is_installed may come before the download), and
                        * always of a streamed file */
  uint64_t byte_count; /* as the manifest says */

  /* Since minor version 4, of a streamed file only (step_handler.h): the pieces of it that the last call of this act
   * asked for, one after the other in the file at `pieces_path`. The host has checked nothing but their length: compare
   * each byte with a hash from the signed manifest before it is used. */
  godwit_text pieces_path;
  const godwit_range* pieces;
  size_t piece_count; /* 0: none came along */

  /* Since minor version 5: 64 lower case hexadecimal digits, the hash that the signed manifest names for the file; also
   * while `path` is empty. */
  godwit_text sha256;
} godwit_file;

#ifdef __cplusplus
}
#endif

#endif /* GODWIT_COMMON_H */
