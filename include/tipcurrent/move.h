/* move.h - logs on their way: backup, check, export, migration, import. For tools that stand beside an engine: none of this needs one, and nothing here is for the hot path.
 *
 * Each function works by itself on the storage that a URL names (tc_options.storage_url), blocks until it is done, and may be called from any thread, several at once. Where "beside whoever
 * has it open" stands, engines of other processes and of this one go on as if nothing was there.
 */
#ifndef TIPCURRENT_MOVE_H
#define TIPCURRENT_MOVE_H

#include "engine.h"
#include "event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a long call tells what it does. All of it may be zero; strings are borrowed for the call. The functions are called in the caller's thread and must not call back into the library. */
typedef struct tc_move_options {
  size_t size;
  /* A few times a second at most times: what is being done ("events"), how much of it, and of how much (0: not known). Non-zero stops the call with TC_EUSER. */
  int (*progress)(void *userdata, const char *what, int64_t done, int64_t total);
  void (*note)(void *userdata, const char *line); /* something that a person should read: a finding, or what did not come along. One line */
  void *userdata;                                 /* of both */
  uint32_t idempotency_ttl_s;                     /* as in tc_options. 0: 86400 */
  uint32_t flags;                                 /* 0 */
  const char *secret_key;                         /* of tc_import: as tc_webhook_options.secret_key; NULL: secrets of webhooks are kept as they are */
} tc_move_options;
#define TC_MOVE_OPTIONS_INIT \
  { sizeof(tc_move_options), 0, 0, 0, 0, 0, 0 }

/* What a call came to. Fill in size (TC_MOVE_COUNTS_INIT); what a function does not speak of stays 0. */
typedef struct tc_move_counts {
  size_t size;
  int64_t log_seq;    /* the last event that was copied or looked at */
  int64_t events;     /* how many this call did */
  int64_t documents;  /* webhooks, goals, event types and settings */
  int64_t owed;       /* webhook deliveries that are due or wait for another try */
  int64_t deliveries; /* rows of the delivery log */
  int64_t keys;       /* idempotency keys */
  int64_t irregular;  /* events that break a rule of their kind, and were kept as they are */
  int64_t left_out;   /* what did not come along; a note said of each what it was, up to a thousand of them */
  int64_t findings;   /* of a check: what is wrong; a note said of each, up to a thousand of them */
} tc_move_counts;
#define TC_MOVE_COUNTS_INIT \
  { sizeof(tc_move_counts), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Takes one event of an export; it is borrowed for the call, tc_event_ref keeps it. Non-zero ends the export with TC_EUSER. In the caller's thread; must not call back into the library but for tc_event_x. */
typedef int (*tc_export_fn)(void *userdata, const tc_event *event);

/* Walks a log, beside whoever has it open, in its order: fn gets the events behind after_seq (0: all) up to the log's end when the call began. kinds: bit mask of (1 << TC_KIND_X); 0: all. A
 * few thousand rows are in memory at a time. userdata is fn's own. options may be NULL; *out (may be NULL) is written on success: log_seq is where the next export goes on, events how many there
 * were. Any thread; blocks until it is done.
 * Errors: TC_EINVAL, TC_ENOTFOUND (there is no log), TC_ENOTSUP (memory:), TC_EBUSY (the database cannot be reached), TC_ESTORAGE, TC_ECORRUPT, TC_EVERSION (another release's), TC_EUSER (fn or
 * progress ended it), TC_ENOMEM. */
TC_API int tc_export(const char *storage_url, int64_t after_seq, uint64_t kinds, tc_export_fn fn, void *userdata, const tc_move_options *options,
                     tc_move_counts *out);

/* Copies a log with all that belongs to it into a directory, beside whoever has it open. The copy is as of one moment: every event that was acknowledged before the call began is in it, and none
 * twice. It has the files' names and opens by itself; webhooks that were on their way may be sent again out of it. The directory is made when it is missing, nothing in it is overwritten, and
 * what is on its way is called NAME.part. Until it is done the files cannot shrink. SQLite only: a PostgreSQL database is backed up by its own means.
 * options may be NULL; *out (may be NULL) is written on success. Any thread; blocks until it is done. Errors: TC_EINVAL, TC_ENOTFOUND (there is no log), TC_EEXISTS (a file of that name is there), TC_ENOTSUP (another backend),
 * TC_ESTORAGE, TC_ECORRUPT, TC_EVERSION, TC_EUSER (stopped), TC_ENOMEM. */
TC_API int tc_backup(const char *storage_url, const char *directory, const tc_move_options *options, tc_move_counts *out);

/* Checks a log beside whoever has it open, without changing anything: the files or tables themselves; that seq has no hole; ids, texts, references of refunds; that no idempotency key stands twice
 * within its time; that every event is found by its id in the index, the lists of all kinds have exactly the log's events in order, and the lengths of up to 512 rooms' lists are right; outside
 * effects. Statistics are not recomputed. Reads all of it once and looks up every event: some 100,000 events a second on SQLite. An index that is missing, or of another log or release, is not
 * wrong: it is made anew at the next open.
 * options may be NULL; *out (may be NULL) is written on success and with TC_ECORRUPT. Any thread; blocks until it is done. TC_ECORRUPT: it is damaged; tc_last_error tells the first finding, options->note each.
 * Errors else: TC_EINVAL, TC_ENOTFOUND (there is no log), TC_ENOTSUP (memory:), TC_EBUSY (the database cannot be reached), TC_ESTORAGE, TC_EVERSION (another release's), TC_EUSER (stopped), TC_ENOMEM. */
TC_API int tc_verify(const char *storage_url, const tc_move_options *options, tc_move_counts *out);

/* Carries a log over into another storage: every event with its seq, id, times, texts, keys and references; webhooks (secrets as they are, sealed ones with their seal), goals, event types and settings
 * with their numbers, and numbers that were given and taken back are not given again; what webhooks are owed, how far they are, and the delivery log of those that there are (its rows keep their
 * order and get new numbers). Nobody may have either log open. `to` must be empty, or hold half of a migration of this very log: then it goes on. Until the end no engine opens it. Everything is
 * written as safely as an engine would, and each event is read back and compared. The index is made when `to` is first opened.
 * options may be NULL; *out (may be NULL) is written on success. Any thread; blocks until it is done.
 * Errors: TC_EINVAL, TC_ENOTFOUND (there is no log `from`), TC_EEXISTS (`to` is not empty), TC_ECONFLICT (`to` is half of something else), TC_ENOTSUP (memory:, a foreign backend), TC_EBUSY
 * (somebody has one of them open, or `from` has grown), TC_ESTORAGE, TC_EUNKNOWN (a lost connection: go on), TC_ECORRUPT, TC_EVERSION, TC_EUSER (stopped: go on), TC_ENOMEM. */
TC_API int tc_migrate(const char *from_url, const char *to_url, const tc_move_options *options, tc_move_counts *out);

/* Takes over what the Java service has kept in its PostgreSQL database: tips and reactions in the order of their time with their ids, webhooks with theirs, and idempotency keys that have not
 * expired. Statistics are made from the events; delivery logs stay behind. The source is only read, in one view of it; the service should have stopped. to_url: nobody has it open, its ids must be
 * lower than the source's (an empty or a new log: they are). What no event can hold (an amount beyond 92233720368547758.07 or with a third decimal, an absent text, a time beyond the years 1 to
 * 9999, an id that is there twice) is told by notes, a line for each, and nothing is written. What is only against our rules (a negative amount, a blank text, a long one) is kept as it is and
 * marked (TC_FIELD_IRREGULAR); a webhook that we would refuse, or that would mean something else here, is kept disabled. Stopped or killed it goes on; until the end no engine opens the log.
 * options may be NULL; *out (may be NULL) is written on success. Any thread; blocks until it is done.
 * Errors: TC_EINVAL (rows do not fit, a bad URL), TC_ENOTFOUND (no table tips), TC_EEXISTS (ids are taken), TC_ECONFLICT (to_url is half of something else, or the source has changed), TC_ENOTSUP
 * (built without PostgreSQL, memory:), TC_EBUSY (somebody has to_url open, or its webhooks are behind), TC_ESTORAGE, TC_EUNKNOWN (a lost connection: go on), TC_ECORRUPT, TC_EVERSION, TC_EUSER
 * (stopped: go on), TC_ENOMEM. */
TC_API int tc_import(const char *from_url, const char *to_url, const tc_move_options *options, tc_move_counts *out);

#ifdef __cplusplus
}
#endif
#endif
