/* scan.c - lists and their lengths. A filter is answered from one list, the shortest that holds all matches; what that list does not decide is compared with the event. */
#include <string.h>

#include "base/mem.h"
#include "model/filter.h"
#include "storage/postgres/postgres.h"

#define ROWS_FIRST 24 /* of postings at once: a page of a list whose events are years apart */
#define ROWS_MAX 512
#define COMPARE_FIRST 32 /* events compared at once */
#define COMPARE_MAX 512

/* ---- which list ---- */

static int lengths(tc_snapshot *snapshot, const tci_list_name *names, size_t n, int64_t *out) {
  tci_pg *pg = snapshot->pg;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_array(pg, TCI_PG_OID_INT8);
  tci_pg_array(pg, TCI_PG_OID_INT8);
  for (size_t i = 0; i < n; i++) {
    tci_pg_put8(pg, 0, names[i].h);
    tci_pg_put8(pg, 1, names[i].g);
  }
  int code = tci_pg_run(pg, TCI_PG_LENGTHS, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  for (size_t i = 0; i < n && !code; i++) out[i] = tci_pg_get8(result, (int)i, 0);
  PQclear(result);
  return code;
}

/* How a filter will be answered. */
typedef struct choice {
  tci_list_name list;
  int possible; /* 0: nothing can match */
  int exact;    /* all of the list matches */
} choice;

/* Where not one has a currency of its own, as in most logs, asking for those without says nothing. */
static int choose(tc_snapshot *snapshot, const tc_filter *filter, choice *out) {
  tci_list_name names[TCI_LISTS_MAX + 1];
  int64_t length[TCI_LISTS_MAX + 1] = {0}, shortest = INT64_MAX;
  int exact[TCI_LISTS_MAX];
  const tci_sipkey *key = &snapshot->storage->hash_key;
  size_t n = tci_lists_of_filter(key, filter, names, exact);
  memset(out, 0, sizeof *out);
  if (!n) return TC_OK;
  for (size_t i = 0; i < n && !filter->absent; i++) {
    if (!exact[i]) continue;
    *out = (choice){names[i], 1, 1};
    return TC_OK;
  }
  names[n] = tci_list_of_currencies(key, filter);
  int code = lengths(snapshot, names, n + 1, length);
  int plain = !filter->absent || !length[n];
  for (size_t i = 0; i < n && !code; i++) {
    if (out->exact || (length[i] >= shortest && !(plain && exact[i]))) continue;
    shortest = length[i];
    *out = (choice){names[i], length[i] > 0, plain && exact[i]};
  }
  return code;
}

/* ---- a list, newest first ---- */

typedef struct place {
  int64_t at, seq;
} place;

static int is_before(place a, place b) { return a.at != b.at ? a.at < b.at : a.seq < b.seq; }

/* A row that has been reached: its events that were not emitted yet, ascending. */
typedef struct open_row {
  struct open_row *next;
  size_t left;
  place at[TCI_PG_CHUNK_ENTRIES];
} open_row;

typedef struct walk {
  tc_snapshot *snapshot;
  tci_list_name list;
  place end;   /* rows whose greatest place is before this come next */
  place after; /* what is emitted is before this */
  int limit;
  PGresult *rows;
  int row, last; /* last: no rows come behind these */
  open_row *open;
} walk;

static int64_t second_end(int64_t us) {
  int64_t behind = us % TCI_PG_SECOND_US;
  if (behind < 0) behind += TCI_PG_SECOND_US;
  return us > INT64_MAX - TCI_PG_SECOND_US ? INT64_MAX : us - behind + TCI_PG_SECOND_US - 1;
}

static void begin(walk *w, tc_snapshot *snapshot, tci_list_name list, const tc_position *after) {
  place top = {INT64_MAX, INT64_MAX};
  *w = (walk){.snapshot = snapshot, .list = list, .end = top, .after = top, .limit = ROWS_FIRST};
  if (!after) return;
  w->after = (place){after->created_at_us, after->seq};
  /* Rows of a later second have nothing before it. */
  w->end.at = second_end(after->created_at_us);
}

static int more_rows(walk *w) {
  tci_pg *pg = w->snapshot->pg;
  PQclear(w->rows);
  w->rows = NULL;
  w->row = 0;
  tci_pg_begin(pg);
  tci_pg_int8(pg, w->list.h);
  tci_pg_int8(pg, w->list.g);
  tci_pg_int8(pg, w->end.at);
  tci_pg_int8(pg, w->end.seq);
  tci_pg_int8(pg, w->after.at);
  tci_pg_int8(pg, w->after.seq);
  tci_pg_int8(pg, w->limit);
  int code = tci_pg_run(pg, TCI_PG_POSTINGS, tci_pg_in_ms(TCI_PG_READ_MS), &w->rows);
  if (code) return code;
  w->last = PQntuples(w->rows) < w->limit;
  w->limit = w->limit * 2 < ROWS_MAX ? w->limit * 2 : ROWS_MAX;
  return TC_OK;
}

static int open_next(walk *w, place greatest) {
  tc_text bytes = tci_pg_get(w->rows, w->row++, 2);
  open_row *made = tci_alloc(sizeof *made);
  if (!made) {
    w->snapshot->storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  made->left = 0;
  for (size_t i = 0; i + 16 <= bytes.len && made->left < TCI_PG_CHUNK_ENTRIES; i += 16) {
    place at = {(int64_t)tci_pg_read8(bytes.ptr + i), (int64_t)tci_pg_read8(bytes.ptr + i + 8)};
    if (is_before(at, w->after)) made->at[made->left++] = at;
  }
  if (!bytes.ptr) made->at[made->left++] = greatest;
  made->next = w->open;
  w->open = made;
  w->end = greatest;
  return TC_OK;
}

static open_row **newest_of(walk *w) {
  open_row **newest = NULL;
  for (open_row **at = &w->open; *at;) {
    open_row *row = *at;
    if (!row->left) { /* read to its end */
      *at = row->next;
      tci_free(row);
      continue;
    }
    if (!newest || is_before((*newest)->at[(*newest)->left - 1], row->at[row->left - 1])) newest = at;
    at = &row->next;
  }
  return newest;
}

/* The next place. *found = 0: that was the end. */
static int next(walk *w, place *out, int *found) {
  for (;;) {
    open_row **newest = newest_of(w);
    place greatest = {INT64_MIN, INT64_MIN};
    if ((!w->rows || w->row == PQntuples(w->rows)) && !w->last) {
      int code = more_rows(w);
      if (code) return code;
    }
    int has_row = w->row < PQntuples(w->rows);
    if (has_row) greatest = (place){tci_pg_get8(w->rows, w->row, 0), tci_pg_get8(w->rows, w->row, 1)};
    if (newest && (!has_row || is_before(greatest, (*newest)->at[(*newest)->left - 1]))) {
      *out = (*newest)->at[--(*newest)->left];
      *found = 1;
      return TC_OK;
    }
    *found = 0;
    if (!has_row) return TC_OK;
    int code = open_next(w, greatest);
    if (code) return code;
  }
}

static void end(walk *w) {
  PQclear(w->rows);
  while (w->open) {
    open_row *row = w->open;
    w->open = row->next;
    tci_free(row);
  }
}

/* ---- what of it matches ---- */

typedef struct sieve {
  const tc_filter *filter;
  tc_position_fn position;
  void *arg;
  size_t n, room; /* waiting to be compared; at how many that is done */
  int stop;
  int64_t seqs[COMPARE_MAX];
} sieve;

static int compare(const tc_record *record, void *arg) {
  sieve *s = arg;
  tc_position at = {record->created_at_us, record->seq};
  if (tci_filter_matches(s->filter, record)) s->stop = s->position(&at, s->arg);
  return s->stop;
}

static int compare_all(tc_snapshot *snapshot, sieve *s) {
  int code = tci_pg_fetch(snapshot, s->seqs, s->n, compare, s);
  s->n = 0;
  s->room = s->room * 2 < COMPARE_MAX ? s->room * 2 : COMPARE_MAX;
  return code;
}

static int walk_list(tc_snapshot *snapshot, const tc_filter *filter, const choice *chosen, const tc_position *after, tc_position_fn position, void *arg) {
  walk w;
  sieve s = {.filter = filter, .position = position, .arg = arg, .room = COMPARE_FIRST};
  int found = 1;
  begin(&w, snapshot, chosen->list, after);
  int code = TC_OK;
  while (!code && !s.stop) {
    place at;
    code = next(&w, &at, &found);
    if (code || !found) break;
    tc_position place_of = {at.at, at.seq};
    if (chosen->exact) s.stop = position(&place_of, arg);
    else s.seqs[s.n++] = at.seq;
    if (s.n == s.room) code = compare_all(snapshot, &s);
  }
  if (!code && !s.stop && s.n) code = compare_all(snapshot, &s);
  end(&w);
  return code;
}

int tci_pg_scan(tc_snapshot *snapshot, const tc_filter *filter, const tc_position *after, tc_position_fn position, void *arg) {
  choice chosen;
  int code = choose(snapshot, filter, &chosen);
  return code || !chosen.possible ? code : walk_list(snapshot, filter, &chosen, after, position, arg);
}

static int count_one(const tc_position *position, void *arg) {
  (void)position;
  ++*(int64_t *)arg;
  return 0;
}

int tci_pg_count(tc_snapshot *snapshot, const tc_filter *filter, int64_t *out) {
  const tci_sipkey *key = &snapshot->storage->hash_key;
  tci_list_name names[2];
  choice chosen;
  int64_t length[2] = {0, 0}, count = 0;
  if (filter->absent && tci_list_beside_currency(key, filter, &names[0])) {
    names[1] = tci_list_of_currencies(key, filter);
    int code = lengths(snapshot, names, 2, length);
    if (!code) *out = length[0] - length[1];
    return code;
  }
  int code = choose(snapshot, filter, &chosen);
  if (!code && chosen.possible && chosen.exact) code = lengths(snapshot, &chosen.list, 1, &count);
  else if (!code && chosen.possible) code = walk_list(snapshot, filter, &chosen, NULL, count_one, &count);
  if (!code) *out = count;
  return code;
}
