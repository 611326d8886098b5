/* java.h - the tables of the Java service TipCurrent, read as it left them: one view of the database for all that is asked. Nothing is written. */
#ifndef TCI_STORAGE_JAVA_H
#define TCI_STORAGE_JAVA_H

#include "tipcurrent/sys/storage.h"

typedef struct tci_java tci_java;

typedef struct tci_java_counts {
  int64_t tips, reactions, webhooks;
  int64_t keys;                               /* that have not expired */
  int64_t low_tip, low_reaction, low_webhook; /* the lowest ids; 0: there is none */
} tci_java_counts;

/* A row of webhooks. Texts as in the table, room NULL: all rooms. Valid for the callback. */
typedef struct tci_java_webhook {
  int64_t id, created_at_us, updated_at_us;
  int enabled;
  const char *room, *url, *event, *secret, *description;
} tci_java_webhook;

typedef int (*tci_java_line_fn)(const char *line, void *arg);
typedef int (*tci_java_webhook_fn)(const tci_java_webhook *webhook, void *arg);

/* Where an event stands in the order of the import: by time, then tips before reactions, then by id. kind 0: before the first. */
typedef struct tci_java_place {
  int64_t created_at_us, id;
  uint32_t kind;
} tci_java_place;

/* Any text of one line stands in env->fail. TC_ENOTFOUND: no table tips is in the search path; TC_ENOTSUP: this library is built without PostgreSQL; else as a backend's open. */
int tci_java_open(tci_java **out, const char *url, const tc_storage_env *env);
void tci_java_close(tci_java *java); /* takes NULL */
int tci_java_count(tci_java *java, tci_java_counts *out);
/* A line for each row that no record can hold: amounts beyond int64 hundredths or with a third decimal, absent texts and times, times beyond the years 1 to 9999, ids that are absent, below 1 or
 * there twice. */
int tci_java_misfits(tci_java *java, tci_java_line_fn fn, void *arg);
/* How many events stand at this place or before it. */
int tci_java_rank(tci_java *java, const tci_java_place *place, int64_t *out);
/* Begins to read the events behind this place, in order. */
int tci_java_begin(tci_java *java, const tci_java_place *after);
/* The next ones, at most 512; *n = 0: that was all. seq 0; with the idempotency key where it has not expired. fn's result is not looked at. */
int tci_java_next(tci_java *java, tc_row_fn fn, void *arg, size_t *n);
int tci_java_webhooks(tci_java *java, tci_java_webhook_fn fn, void *arg);

#endif
