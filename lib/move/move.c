#include "move/move.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "model/emoji.h"
#include "model/fail.h"
#include "storage/schemes.h"

#define IDEMPOTENCY_TTL_S 86400

static void log_nowhere(void *userdata, int32_t level, const char *line) {
  (void)userdata;
  (void)level;
  (void)line;
}

void tci_move_init(tci_move *move, const tc_move_options *options) {
  memset(move, 0, sizeof *move);
  move->o = *options;
  if (!move->o.idempotency_ttl_s) move->o.idempotency_ttl_s = IDEMPOTENCY_TTL_S;
  move->env = (tc_storage_env){sizeof move->env,
                               {sizeof(tc_clock), tci_sys_wall_us, tci_sys_monotonic_us, NULL},
                               {sizeof(tc_random), tci_sys_random, NULL},
                               {sizeof(tc_log), log_nowhere, NULL},
                               move->o.idempotency_ttl_s,
                               tci_fail_env,
                               tci_emoji_canonical};
  move->counts.size = sizeof move->counts;
}

int tci_move_progress(tci_move *move, const char *what, int64_t done, int64_t total) {
  if (!move->o.progress || !move->o.progress(move->o.userdata, what, done, total)) return TC_OK;
  return tci_fail(TC_EUSER, "stopped at %lld of %lld %s", (long long)done, (long long)total, what);
}

void tci_move_note(const tci_move *move, const char *format, ...) {
  char line[512];
  va_list args;
  if (!move->o.note) return;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  move->o.note(move->o.userdata, line);
}

int tci_move_ops(const char *url, const char *name, const tc_storage_ops **out) {
  *out = tci_storage_ops_of(url);
  return *out ? TC_OK : tci_fail(TC_ENOTSUP, "%s: no backend serves \"%.*s\"", name, (int)strcspn(url, ":") + 1, url);
}

int tci_move_look(tci_move *move, const char *url, tci_end *out) {
  memset(out, 0, sizeof *out);
  int rc = tci_move_ops(url, "storage_url", &out->ops);
  if (!rc && !TCI_OPS_HAVE(out->ops, open_read)) rc = tci_fail(TC_ENOTSUP, "storage_url: %s: cannot be read from outside", out->ops->scheme);
  return rc ? rc : out->ops->open_read(&out->storage, url, &move->env, &out->state);
}

void tci_move_close(tci_end *end) {
  if (end->storage) end->ops->close(end->storage);
  end->storage = NULL;
}
