/* cells.h - the rollup inside: values in memory, in front of the facts of the storage.
 *
 * Design notes
 *  - A CELL is one value: (space, group, time, item) -> 128-bit sum and some counts. Its key is 24 bytes: 80 bits of keyed hash of the group (a room, or room, role and
 *    currency), 32 bits of time, 80 bits of keyed hash of the item, in big-endian order: a group's cells lie together on disk, ascending in time, whatever the ids look like, and
 *    the key in memory is the key on disk. The hash's key is random and kept with the facts.
 *  - The indexer's thread alone changes cells, under `mutex`, a few events at a time. So while it writes them down (spill.c) nothing changes and it needs no lock.
 *  - An event is applied in two steps: find every cell (may read the store, may fail; changes no value), then change them all (cannot fail). So a failure is no half event.
 *  - Changed cells hang from their GROUP, so that a reader finds those of a room and quarter, or of a board, without looking at all others. Readers lay them over what
 *    they scan in the store; `spilling` keeps the two from changing places meanwhile.
 *  - A group of a board also has its TOP (top.h).
 */
#ifndef TCI_ENGINE_ROLLUP_CELLS_H
#define TCI_ENGINE_ROLLUP_CELLS_H

#include "base/buf.h"
#include "engine/rollup/hours.h"
#include "engine/rollup/rollup.h"
#include "engine/rollup/top.h"
#include "engine/rollup/waiting.h"

/* Spaces of facts. Stored: numbers never change while the derived file's version is the same. */
enum { TCI_SPACE_ROLLUP = 1, TCI_SPACE_EMOJI, TCI_SPACE_RECIPIENT, TCI_SPACE_BOARD, TCI_SPACE_TOP, TCI_SPACE_GOAL, TCI_SPACE_META, TCI_SPACE_PAST };

/* n[] of a cell, by space. */
enum { TCI_N_TIPS = 0, TCI_N_REFUNDED, TCI_N_REACTIONS, TCI_N_UNIQUE, TCI_N_FRESH = TCI_N_UNIQUE + TCI_UNIQUES, TCI_N_ROLLUP = TCI_N_FRESH + TCI_UNIQUES };
enum { TCI_N_COUNT = 0, TCI_N_SEQ, TCI_N_PAST }; /* of a board's day, seq: when the sum became what it is. The others have a count alone */
/* Of a board: the same, and of the last day that changed it, 0: none, the day's own. standing.h. */
enum { TCI_N_DAY = TCI_N_PAST, TCI_N_DAY_COUNT, TCI_N_DAY_SEQ, TCI_N_DAY_LOW, TCI_N_DAY_HIGH, TCI_N_BOARD };
enum { TCI_N_MET_SEQ = 1, TCI_N_MET, TCI_N_GOAL }; /* of a goal: the event that first met the target, 0: none yet; and with which sum, or count */
#define TCI_N_MAX TCI_N_ROLLUP
size_t tci_cell_n(uint32_t space);

#define TCI_CELL_KEY 24
typedef struct tci_cell_key {
  uint8_t bytes[TCI_CELL_KEY];
} tci_cell_key;

typedef struct tci_hash {
  uint64_t h, g;
} tci_hash;

typedef struct tci_cell {
  tci_cell_key key; /* first: tables look at it */
  struct tci_cell *next_dirty;
  uint32_t used;  /* the spill after which it was found last */
  uint32_t dirty; /* the spill that is to write it, counted from 1; of a past one: clean */
  uint8_t space;
  uint16_t name_len;
  tci_int128 sum;
  int64_t n[]; /* tci_cell_n(space), and behind them the item's text */
} tci_cell;

/* What hangs together: a room's quarter, a board, the goals. */
typedef struct tci_group {
  tci_cell_key key; /* its item is zero */
  struct tci_group *next_dirty;
  tci_cell *dirty;
  uint32_t used;
  uint8_t listed; /* in the list of groups with something dirty */
  uint8_t board, top_dirty;
  tci_top top; /* of a board */
} tci_group;

/* Open addressing over objects that begin with their key. */
typedef struct tci_table_slot {
  uint64_t tag;
  void *at; /* NULL: free */
} tci_table_slot;
typedef struct tci_table {
  tci_table_slot *slots;
  size_t count, mask; /* mask: slots - 1; 0: no slots yet */
} tci_table;

/* Something for the indexer's thread. */
typedef struct tci_rollup_job {
  struct tci_rollup_job *next;
  int (*run)(tci_rollup *rollup, void *arg);
  void *arg;
  int rc, done;
  char detail[256];
} tci_rollup_job;

struct tci_rollup {
  tc_engine *engine;
  int shadow; /* it computes anew for a comparison: no store behind it, no boards, no uniques from earlier */
  tci_sipkey key;
  tci_hash all, standard; /* of room "" and of the default currency: both an empty text */

  pthread_mutex_t mutex; /* of all that follows up to `spilling`, against readers */
  tci_table cells, groups;
  tci_group *dirty_groups;
  size_t dirty_cells, dirty_of[TCI_SPACE_PAST + 1]; /* in all, by space */
  uint64_t bytes, bytes_max;                        /* of cells and groups */
  uint32_t now;                                     /* spills so far: what `used` means */
  uint32_t quarters_from, days_from; /* cells of these times and later are all in memory, or do not exist. TCI_NEVER: every one must be looked for */
  int whole;                         /* the same of cells without a time */
  uint64_t *ever;                    /* ever.c; NULL: nothing is known */
  size_t ever_mask;
  int ever_filling; /* it does not know all that the store has yet */
  tci_cell_key ever_from;
  uint32_t newest_quarter, newest_day;
  uint32_t dirty_from, dirty_to; /* quarters that have something dirty lie in [from, to] */
  tci_hours hours;
  int64_t fills_left; /* events that may be read again to fill their tables */

  pthread_rwlock_t spilling; /* held for reading while the store is scanned; for writing while it changes. By tci_rollup_hold and _release */
  pthread_mutex_t gate;      /* held while one waits for it */

  /* Indexer's thread only. */
  int64_t stored_seq;                          /* the store's cursor */
  int64_t dirty_since_us, tops_dirty_since_us; /* monotonic; 0: nothing is dirty */
  int64_t tops_seq;                            /* the stored tops have everything up to here */
  int64_t retry_at_us;
  int failed;
  int follows;    /* another node counts */
  int keyed;      /* key is that of the facts */
  tci_buf values; /* a spill's */
  tci_waiting waiting;
  _Atomic int64_t seq, ready_at_seq;
  _Atomic int64_t mended_seq, mend_to_seq; /* mend.c: tops have everything up to the first; it is done when that is the second */

  pthread_mutex_t jobs_mutex;
  pthread_cond_t job_done;
  tci_rollup_job *jobs; /* those that wait, the first to come first */
};

#define TCI_FILL_MAX 1000000
#define TCI_NEVER UINT32_MAX
#define TCI_ALL_TIME 0u /* no event's day */

/* ---- keys.c ---- */
tci_hash tci_hash_of(const tci_rollup *rollup, tc_text text);
/* Of several things one. tag: what they are. */
tci_hash tci_hash_mix(uint64_t tag, tci_hash first, tci_hash second);
tci_cell_key tci_cell_key_of(tci_hash group, uint32_t time, tci_hash item);
tci_cell_key tci_cell_key_next(tci_cell_key key); /* the first key that is larger; zero when there is none */
uint32_t tci_key_time(const tci_cell_key *key);
tci_hash tci_key_group(const tci_cell_key *key); /* as much of it as a key has */
uint32_t tci_quarter_of(int64_t us);             /* clamped; 2^31 is 1970 */
uint32_t tci_day_of(int64_t us);
int64_t tci_quarter_start_us(uint32_t quarter);
tci_hash tci_board_hash(const tci_rollup *rollup, tci_hash room, int role, tci_hash currency);
/* The group hash of ROLLUP, EMOJI and RECIPIENT. */
tci_hash tci_space_hash(uint32_t space, tci_hash room);

/* ---- table.c ---- */
uint64_t tci_table_tag(const tci_cell_key *key);
/* Has the place of a tag fetched into the cache, or (object) what is there. */
void tci_table_prefetch(const tci_table *table, uint64_t tag, int object);
void *tci_table_find(const tci_table *table, const tci_cell_key *key);
int tci_table_reserve(tci_table *table, size_t more); /* TC_OK or TC_ENOMEM */
void tci_table_add(tci_table *table, void *object);   /* room reserved; it is not there */
/* Takes out every object for which gone(object, arg): that function frees it. */
void tci_table_sweep(tci_table *table, int (*gone)(void *object, void *arg), void *arg);

/* ---- cells.c. Indexer's thread, under the mutex ---- */
/* From memory, or the store, or made with zeros. NULL: *rc says why. */
tci_cell *tci_cell_take(tci_rollup *rollup, uint32_t space, const tci_cell_key *key, tc_text prefix, tc_text name, int *rc);
/* The same with zeros, where it is known that the store has none. */
tci_cell *tci_cell_make(tci_rollup *rollup, uint32_t space, const tci_cell_key *key, tc_text name, int *rc);
/* board: with its top. NULL: *rc says why. */
tci_group *tci_group_take(tci_rollup *rollup, const tci_cell_key *key, int board, int *rc);
/* From memory alone. */
tci_group *tci_group_find(const tci_rollup *rollup, const tci_cell_key *key);
/* It has been changed. Cannot fail. */
void tci_cell_touch(tci_rollup *rollup, tci_group *group, tci_cell *cell);
void tci_group_touch(tci_rollup *rollup, tci_group *group);
int tci_cell_is_dirty(const tci_rollup *rollup, const tci_cell *cell);
tc_text tci_cell_name(const tci_cell *cell);
/* Frees what has not been touched for longest, of what is not dirty, until about `until` bytes are left. */
void tci_cells_evict(tci_rollup *rollup, uint64_t until);
void tci_cells_free(tci_rollup *rollup);

/* ---- ever.c: a filter of the cells of TCI_SPACE_BOARD that were ever written ---- */
void tci_ever_open(tci_rollup *rollup, uint64_t bytes); /* at most so many bytes */
int tci_ever_fill(
  tci_rollup *
    rollup); /* while ever_filling: a slice of what the store had at open. 1: there is more; 0: that was all, or it cannot be read now: with the next step. Indexer's thread */
void tci_ever_add(tci_rollup *rollup, const tci_cell_key *key);
int tci_ever_has(const tci_rollup *rollup, const tci_cell_key *key); /* 0: it is not in the store */

/* ---- value.c: a cell as the bytes of a fact ---- */
typedef struct tci_value {
  tci_int128 sum;
  int64_t n[TCI_N_MAX];
  tc_text name; /* borrowed */
} tci_value;
int tci_value_put(tci_buf *out, uint32_t space, tci_int128 sum, const int64_t *n, tc_text name); /* out->err */
int tci_value_get(tc_text bytes, uint32_t space, tci_value *out);                                /* 0, or -1: not ours */
int tci_put_varint(tci_buf *out, unsigned __int128 value);
int tci_get_varint(tc_text *bytes, unsigned __int128 *out); /* moves on; 0 or -1 */
unsigned __int128 tci_zigzag(tci_int128 value);
tci_int128 tci_unzigzag(unsigned __int128 value);

/* ---- apply.c ---- */
#define TCI_AHEAD_CELLS 6
#define TCI_AHEAD_GROUPS 5
/* What is worked out of an event before its turn. */
typedef struct tci_ahead {
  tci_hash room, user, peer, currency;
  uint64_t cells[TCI_AHEAD_CELLS], groups[TCI_AHEAD_GROUPS]; /* tags of what it will look for */
  int n_cells, n_groups;
} tci_ahead;
/* Cells lie anywhere in memory, and a tip needs some ten of them: asked for a few events early, first their places in the tables, then they themselves, they are there when its turn comes. Changes
 * nothing; under the mutex, like the others. */
void tci_rollup_look_ahead(const tci_rollup *rollup, const tc_record *record, tci_ahead *out);
void tci_rollup_look_again(const tci_rollup *rollup, const tci_ahead *ahead);
int tci_rollup_apply(tci_rollup *rollup, const tc_record *record, const tci_ahead *ahead); /* one event, all or nothing. Under the mutex */
int tci_rollup_tip_time(tci_rollup *rollup, const tc_record *refund, int64_t *created_at_us);

/* ---- goal.c. The first two: indexer's thread, under the mutex ---- */
#define TCI_STAKES_MAX 100 /* TCI_GOALS_OF_ROOM_MAX */
typedef struct tci_stakes {
  tci_group *group;
  size_t n;
  struct {
    const struct tci_goal *goal;
    tci_cell *cell;
  } at[TCI_STAKES_MAX];
} tci_stakes;
/* The cells of the goals that a tip or refund counts for; tip_seq and tip_created_at_us are the tip's in both cases. */
int tci_stakes_take(tci_rollup *rollup, const tc_record *record, int64_t tip_seq, int64_t tip_created_at_us, tci_stakes *out);
void tci_stakes_change(tci_rollup *rollup, const tci_stakes *stakes, tci_int128 amount, int64_t tips, int64_t seq); /* cannot fail */
/* At open: which targets were met, as the store knows it. That may not have been said. */
int tci_rollup_tell_goals(const tci_rollup *rollup);

/* ---- mend.c: tops that were written before the cells of their boards. Indexer's thread ---- */
int tci_rollup_is_mending(const tci_rollup *rollup);
/* Under the mutex. */
int tci_rollup_mend(tci_rollup *rollup, const tc_record *const *records, size_t n);

/* ---- replay.c ---- */
/* The tips and reactions created in [from_us, to_us) that the cursor has passed, in the log's order, by way of the index; row does not call the storage. TC_ELIMIT: more
 * than max; TC_EBUSY: the index is not there yet. Indexer's thread. */
int tci_rollup_replay(tci_rollup *rollup, int64_t from_us, int64_t to_us, size_t max, tc_row_fn row, void *arg);
/* The created_at of the latest of them before before_us; INT64_MIN: there is none. */
int tci_rollup_latest(tci_rollup *rollup, int64_t before_us, int64_t *out);

/* ---- spill.c ---- */
int tci_rollup_spill(tci_rollup *rollup, int tops);              /* tops: them too. Without the mutex; nothing changes on failure */
int tci_rollup_put_meta(const tci_rollup *rollup, tci_buf *out); /* out->err */
int tci_rollup_get_meta(tci_rollup *rollup, tc_text bytes);      /* 0, or -1: not ours */

/* ---- rollup.c ---- */
/* Runs run(rollup, arg) on the indexer's thread, between its other work, and waits. What it returns, with its detail. */
int tci_rollup_call(tci_rollup *rollup, int (*run)(tci_rollup *rollup, void *arg), void *arg);
/* Of an open engine, or as a shadow of it. Frees take NULL. */
int tci_rollup_new(tci_rollup **out, tc_engine *engine, uint64_t bytes);
int tci_rollup_new_shadow(tci_rollup **out, const tci_rollup *of, uint64_t bytes); /* with the same keys, so the same cells */
void tci_rollup_free(tci_rollup *rollup);

/* ---- read.c ---- */
/* `spilling`, for a reader or (writes: 1) a spill. Held once a thread: a second time would wait for ever behind a spill. */
void tci_rollup_hold(tci_rollup *rollup, int writes);
void tci_rollup_release(tci_rollup *rollup);
/* Everything dirty of the given group and space, copied and sorted by key. */
typedef struct tci_overlay {
  tci_cell **cells; /* copies, owned */
  size_t n, cap;
} tci_overlay;
int tci_overlay_add(tci_overlay *overlay, const tci_group *group, uint32_t space); /* under the mutex */
void tci_overlay_sort(tci_overlay *overlay);
void tci_overlay_free(tci_overlay *overlay);
/* Walks [from, to) of a space in order, as store and overlay together have it. fn gets each value. Without the mutex, `spilling` held for reading. */
typedef int (*tci_value_fn)(const tci_cell_key *key, const tci_value *value, void *arg);
int tci_overlay_walk(tci_rollup *rollup, const tci_overlay *overlay, uint32_t space, const tci_cell_key *from, const tci_cell_key *to, tci_value_fn fn,
                     void *arg);
/* TC_OK, with the rollup, when it may be read. */
int tci_rollup_usable(tc_engine *engine, tci_rollup **out);

#endif
