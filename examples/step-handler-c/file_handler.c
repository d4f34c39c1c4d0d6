/* contoso/file:1: puts the step's one file into a folder of the device.
 *
 * The folder is said when the extension is registered (--option folder=/etc/contoso). The file in place keeps its name;
 * beside it stand NAME.version (what installedCriteria said), and while an update is under way NAME.new and
 * NAME.before. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "godwit/step_handler.h"

enum { PATH_SIZE = 512 };

/* Facility 3 (step handlers), component 0x33 (from 0x20 on they are yours), numbers of our own. */
#define CODE_USAGE 0x33300001u
#define CODE_COPY 0x33300002u
#define CODE_SWITCH 0x33300003u

static void fail(godwit_outcome* outcome, uint32_t code, const char* what, const char* where) {
  outcome->result_code = 0;
  outcome->extended_code = code;
  snprintf(outcome->details, sizeof outcome->details, "%s: %s", where, what);
}

/* The value of one option. Enough for values without quotes and backslashes; anything else is refused. 0: found. */
static int option(const godwit_host* host, const char* name, char* value, size_t size) {
  char json[4096];
  char key[80];
  const char* from;
  const char* to;
  if (host->size < offsetof(godwit_host, options_json) + sizeof(godwit_text)) return -1; /* a host older than 1.2 */
  if (host->options_json.size >= sizeof json) return -1;
  memcpy(json, host->options_json.data, host->options_json.size); /* a godwit_text is not NUL-terminated */
  json[host->options_json.size] = '\0';
  snprintf(key, sizeof key, "\"%s\":\"", name);
  from = strstr(json, key);
  if (from == NULL) return -1;
  from += strlen(key);
  to = strchr(from, '"');
  if (to == NULL || memchr(from, '\\', (size_t)(to - from)) != NULL || (size_t)(to - from) >= size) return -1;
  memcpy(value, from, (size_t)(to - from));
  value[to - from] = '\0';
  return 0;
}

/* folder/NAME + suffix, or a refusal in `outcome`. 0: made. */
static int place(const godwit_host* host, const godwit_step* step, const char* suffix, char* path,
                 godwit_outcome* outcome) {
  char folder[PATH_SIZE];
  int length;
  if (step->file_count != 1) {
    fail(outcome, CODE_USAGE, "name exactly one file in the step", "contoso/file:1");
    return -1;
  }
  if (option(host, "folder", folder, sizeof folder) != 0) {
    fail(outcome, CODE_USAGE, "register this extension with --option folder=/some/folder", "contoso/file:1");
    return -1;
  }
  length =
      snprintf(path, PATH_SIZE, "%s/%.*s%s", folder, (int)step->files[0]->name.size, step->files[0]->name.data, suffix);
  if (length < 0 || length >= PATH_SIZE) {
    fail(outcome, CODE_USAGE, "the path is too long", folder);
    return -1;
  }
  return 0;
}

/* Whole and on disk, or not there: a power cut leaves the old content under `to`. 0: written. */
static int write_durably(const char* to, const char* data, size_t size, FILE* from) {
  char chunk[65536];
  char part[PATH_SIZE + 8];
  size_t got;
  FILE* out;
  int wrong = 0;
  snprintf(part, sizeof part, "%s.part", to);
  out = fopen(part, "wb");
  if (out == NULL) return -1;
  if (from == NULL) wrong = fwrite(data, 1, size, out) != size;
  while (from != NULL && !wrong && (got = fread(chunk, 1, sizeof chunk, from)) > 0)
    wrong = fwrite(chunk, 1, got, out) != got;
  wrong |= (from != NULL && ferror(from)) || fflush(out) != 0 || fsync(fileno(out)) != 0;
  wrong |= fclose(out) != 0;
  return wrong || rename(part, to) != 0 ? -1 : 0;
}

static void is_installed(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  char path[PATH_SIZE];
  char known[256];
  size_t size = 0;
  FILE* file;
  if (place(host, step, ".version", path, outcome) != 0) return;
  file = fopen(path, "rb");
  if (file != NULL) {
    size = fread(known, 1, sizeof known, file);
    fclose(file);
  }
  outcome->result_code =
      file != NULL && size == step->installed_criteria.size && memcmp(known, step->installed_criteria.data, size) == 0
          ? 900
          : 901;
}

static void backup(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  char path[PATH_SIZE];
  char before[PATH_SIZE];
  FILE* file;
  if (place(host, step, "", path, outcome) != 0 || place(host, step, ".before", before, outcome) != 0) return;
  file = fopen(path, "rb");
  outcome->result_code = 1000;
  if (file == NULL) {
    unlink(before); /* the first install ever: restore has nothing to bring back */
    return;
  }
  if (write_durably(before, NULL, 0, file) != 0) fail(outcome, CODE_COPY, "cannot be written", before);
  fclose(file);
}

static void install(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  char path[PATH_SIZE];
  char source[PATH_SIZE];
  FILE* file;
  if (place(host, step, ".new", path, outcome) != 0) return;
  snprintf(source, sizeof source, "%.*s", (int)step->files[0]->path.size, step->files[0]->path.data);
  file = fopen(source, "rb");
  if (file == NULL) {
    fail(outcome, CODE_COPY, "cannot be read", source);
    return;
  }
  outcome->result_code = 600;
  if (write_durably(path, NULL, 0, file) != 0) fail(outcome, CODE_COPY, "cannot be written", path);
  fclose(file);
}

/* The same act may come again after a power cut: when NAME.new is gone, it has been switched already. */
static void apply(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  char path[PATH_SIZE];
  char fresh[PATH_SIZE];
  char version[PATH_SIZE];
  if (place(host, step, "", path, outcome) != 0 || place(host, step, ".new", fresh, outcome) != 0 ||
      place(host, step, ".version", version, outcome) != 0)
    return;
  if (access(fresh, F_OK) == 0 && rename(fresh, path) != 0) {
    fail(outcome, CODE_SWITCH, "cannot be replaced", path);
    return;
  }
  if (write_durably(version, step->installed_criteria.data, step->installed_criteria.size, NULL) != 0) {
    fail(outcome, CODE_SWITCH, "cannot be written", version);
    return;
  }
  outcome->result_code = 700;
}

static void restore(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  char path[PATH_SIZE];
  char before[PATH_SIZE];
  char fresh[PATH_SIZE];
  char version[PATH_SIZE];
  if (place(host, step, "", path, outcome) != 0 || place(host, step, ".before", before, outcome) != 0 ||
      place(host, step, ".new", fresh, outcome) != 0 || place(host, step, ".version", version, outcome) != 0)
    return;
  unlink(fresh);
  unlink(version); /* asks for a full install next time, whatever was in place */
  if (access(before, F_OK) == 0 && rename(before, path) != 0) {
    fail(outcome, CODE_SWITCH, "cannot be brought back", path);
    return;
  }
  outcome->result_code = 1100;
}

static const godwit_step_handler table = {sizeof table, is_installed, NULL, backup, install, apply, restore};

const godwit_step_handler* godwit_step_handler_entry(uint32_t abi) { return abi == GODWIT_ABI ? &table : NULL; }

int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_STEP_HANDLER;
  info->major = GODWIT_ABI;
  info->minor = GODWIT_ABI_MINOR;
  return 0;
}
