/* A step handler that does what its properties say: {"do":"<behaviour>"}. One behaviour per way to go wrong. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "godwit/step_handler.h"

static int wants(const godwit_step* step, const char* behaviour) {
  char needle[64];
  snprintf(needle, sizeof needle, "\"do\":\"%s\"", behaviour);
  const size_t length = strlen(needle);
  for (size_t i = 0; i + length <= step->handler_properties_json.size; ++i)
    if (memcmp(step->handler_properties_json.data + i, needle, length) == 0) return 1;
  return 0;
}

static godwit_text text(const char* t) {
  const godwit_text made = {t, strlen(t)};
  return made;
}

static void say(godwit_outcome* outcome, int32_t code, const char* details) {
  outcome->result_code = code;
  snprintf(outcome->details, sizeof outcome->details, "%s", details);
}

/* Appends one line to <work_dir>/<name>, so that a test can count what ran. */
static void note(const godwit_step* step, const char* name, const char* line) {
  char path[4096];
  snprintf(path, sizeof path, "%.*s/%s", (int)step->work_dir.size, step->work_dir.data, name);
  FILE* file = fopen(path, "a");
  if (file == NULL) return;
  fprintf(file, "%s\n", line);
  fclose(file);
}

/* Leaves a child behind that ignores SIGTERM; its number goes to <work_dir>/child. */
static void leave_child(const godwit_step* step) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    setpgid(0, 0);
    for (;;) sleep(1);
  }
  char line[32];
  snprintf(line, sizeof line, "%ld", (long)child);
  note(step, "child", line);
}

/* Can a datagram leave for the loopback address? Not in a network namespace whose loopback is down. */
static int has_network(void) {
  struct sockaddr_in to;
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(0x7F000001);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const int failed = sendto(fd, "x", 1, 0, (const struct sockaddr*)&to, sizeof to) < 0;
  close(fd);
  return !failed;
}

static void wait_for_cancel(const godwit_host* host, godwit_outcome* outcome) {
  while (!host->cancelled(host->context)) usleep(5000);
  say(outcome, -1, "stopped as asked");
}

static void misbehave(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  if (wants(step, "abort")) abort();
  if (wants(step, "exit")) exit(7);
  if (wants(step, "hang"))
    for (;;) sleep(1);
  if (wants(step, "hang_with_child")) {
    leave_child(step);
    for (;;) sleep(1);
  }
  if (wants(step, "crash_with_child")) {
    leave_child(step);
    abort();
  }
  if (wants(step, "garbage")) {
    const char* nonsense = "\x00\x00\x00\x04nope";
    if (write(3, nonsense, 8) != 8) exit(9);
    sleep(5);
  }
  if (wants(step, "huge_length")) {
    if (write(3, "\x7f\xff\xff\xff", 4) != 4) exit(9);
    sleep(5);
  }
  if (wants(step, "bad_answer")) host->answer(host->context, text("[1,2"));
  if (wants(step, "invalid_text")) {
    host->log(host->context, GODWIT_LOG_INFO, text("caf\xe9"));
    say(outcome, 600, "d\xe9j\xe0 vu");
  }
  if (wants(step, "flood"))
    for (int i = 0; i < 20000; ++i) host->log(host->context, GODWIT_LOG_INFO, text("again"));
  if (wants(step, "unterminated")) memset(outcome->details, 'x', sizeof outcome->details);
  if (wants(step, "print")) {
    printf("said to stdout\n");
    fflush(stdout);
    fprintf(stderr, "said to stderr\n");
  }
}

/* Asks for "ent" and the last byte of "content", and says what came. */
static void take_pieces(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  const godwit_file* file = step->files[0];
  if (file->piece_count == 0) {
    host->answer(host->context,
                 text(wants(step, "stream_beyond")
                          ? "{\"file\":\"a\",\"ranges\":[{\"offset\":5,\"length\":3}]}"
                          : "{\"file\":\"a\",\"ranges\":[{\"offset\":3,\"length\":3},{\"offset\":6,\"length\":1}]}"));
    say(outcome, 609, "");
    return;
  }
  char path[4096];
  char bytes[16] = {0};
  snprintf(path, sizeof path, "%.*s", (int)file->pieces_path.size, file->pieces_path.data);
  FILE* pieces = fopen(path, "r");
  if (pieces == NULL || fread(bytes, 1, sizeof bytes - 1, pieces) == 0) snprintf(bytes, sizeof bytes, "nothing");
  if (pieces != NULL) fclose(pieces);
  char line[256];
  snprintf(line, sizeof line, "%s of %lu pieces, path '%.*s', hash %.*s", bytes, (unsigned long)file->piece_count,
           (int)file->path.size, file->path.data, (int)file->sha256.size, file->sha256.data);
  say(outcome, 600, line);
}

static void install(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  say(outcome, 600, "installed");
  misbehave(host, step, outcome);
  if (wants(step, "stream") || wants(step, "stream_beyond")) take_pieces(host, step, outcome);
  if (wants(step, "nothing")) memset(&outcome->result_code, 0, sizeof outcome->result_code);
  if (wants(step, "wrong_code")) outcome->result_code = 900;
  if (wants(step, "wait")) wait_for_cancel(host, outcome);
  if (wants(step, "late")) {
    while (!host->cancelled(host->context)) usleep(5000);
  }
  if (wants(step, "leave_child")) leave_child(step);
  if (wants(step, "network")) say(outcome, 600, has_network() ? "network" : "no network");
  if (wants(step, "environment"))
    say(outcome, 600,
        getenv("LD_PRELOAD") != NULL || getenv("SECRET_OF_THE_HOST") != NULL ? "inherited" : getenv("GODWIT_CALL"));
  if (wants(step, "fail")) {
    say(outcome, 0, "the valve is stuck");
    outcome->extended_code = 0x32000007;
  }
  if (wants(step, "progress"))
    for (uint64_t i = 0; i <= 1000; ++i) host->progress(host->context, i, 1000);
  if (wants(step, "note") && outcome->result_code > 0) note(step, "ran", "install");
}

static void apply(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  char line[256];
  snprintf(line, sizeof line, "%.*s %u %u %.*s %lu", (int)step->workflow_id.size, step->workflow_id.data, step->attempt,
           step->step_index, (int)step->installed_criteria.size,
           step->installed_criteria.data == NULL ? "" : step->installed_criteria.data, (unsigned long)step->file_count);
  say(outcome, 700, line);
  host->log(host->context, GODWIT_LOG_INFO, text("applied"));
}

static const godwit_step_handler table = {sizeof(godwit_step_handler), NULL, NULL, NULL, install, apply, NULL};

const godwit_step_handler* godwit_step_handler_entry(uint32_t abi) { return abi == GODWIT_ABI ? &table : NULL; }

int32_t GetContractInfo(godwit_contract_info* info) {
  info->type = GODWIT_TYPE_STEP_HANDLER;
  info->major = GODWIT_ABI;
  info->minor = 7; /* a minor version of the future is accepted */
  return 0;
}
