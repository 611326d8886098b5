/* engine_kit.h - what the engine's tests share: backends to run on, a clock that only the test moves, a storage that fails on command, and collectors of answers. */
#ifndef ENGINE_KIT_H
#define ENGINE_KIT_H

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tipcurrent.h"
#include "tipcurrent/sys/storage.h"

#define KIT_BACKENDS 2 /* 0: memory, 1: SQLite in a directory of its own, or PostgreSQL in a schema of its own where kit_server() is not NULL */
const char *kit_server(void);

typedef struct kit {
  char dir[64];
  char url[256];
  tc_options options; /* to change before kit_open */
  tc_engine *engine;
} kit;

void kit_init(kit *k, int backend); /* fake clock at 2024-01-15T10:30:45.123Z, both clocks move together */
void kit_open(kit *k);              /* without threads where the environment has KIT_NO_THREADS: then kit_until runs the engine */
void kit_close(kit *k);             /* the engine only: kit_open opens the same files again */
void kit_forget_index(kit *k);      /* what is derived is gone; the engine is closed */
void kit_clean(kit *k);             /* the engine and the directory */

void kit_clock_set(int64_t wall_us);
void kit_clock_add(int64_t us);
int64_t kit_clock_wall(void);

/* A storage whose calls go to the real one, except when told otherwise. Set kit.options.storage_ops = kit_faulty(backend) before kit_open. */
typedef struct kit_faults {
  atomic_int append_code;    /* 0: pass on; TC_EBUSY, TC_ESTORAGE: nothing is stored; TC_EUNKNOWN: see lost */
  atomic_int unknown_stored; /* with TC_EUNKNOWN: 1: it was stored, only the reply was lost */
  atomic_int outcome_code;   /* 0: append_outcome tells */
  atomic_int derive_code;
  atomic_int append_calls, derive_calls;
  atomic_int hold; /* 1: append waits until it is 0 */
} kit_faults;
extern kit_faults kit_fault;
const tc_storage_ops *kit_faulty(int backend);

/* Creates one tip; a failure fails the test. */
int64_t kit_tip(kit *k, const char *room, const char *sender, int64_t amount, const char *key);
int kit_try_tip(kit *k, const char *room, int64_t amount, const char *key, int64_t *id, int32_t *replayed);

/* Answers of submits, in the order they came. */
#define KIT_ANSWERS_MAX 20000
typedef struct kit_answers {
  pthread_mutex_t mutex;
  size_t n;
  struct {
    int code, replayed;
    int64_t seq, id;
  } got[KIT_ANSWERS_MAX];
} kit_answers;
kit_answers *kit_answers_new(void);
void kit_answers_free(kit_answers *answers);
void kit_done(const tc_result *result, void *answers);
/* Submits one tip of room "r"; a refusal fails the test. */
void kit_submit(kit *k, kit_answers *answers, const char *key);
size_t kit_answers_count(kit_answers *answers);

void kit_turn(void); /* runs an engine without threads once; nothing otherwise */
/* Waits (really) until condition(arg) or 20 s have passed; returns its last value. */
int kit_until(int (*condition)(void *arg), void *arg);
int kit_until_indexed(kit *k);
int kit_until_answers(kit_answers *answers, size_t n);

int kit_run(Suite *suite);

#endif
