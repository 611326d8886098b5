/* verify.c - is a log whole, and does what is derived say the same?
 *
 * One walk over the log looks at each event and adds it up: how many of a kind, a sum of their places' hashes, how many in some rooms. What is derived must come to the same numbers. So
 * nothing has to be kept for each event, and no order of the walk matters. The log goes on meanwhile: the lists are compared at the seq that their own snapshot names, for which the sums are
 * led there, event by event, forwards or backwards.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"
#include "base/utf8.h"
#include "model/fail.h"
#include "model/kind.h"
#include "move/keyset.h"
#include "move/move.h"

#define ROOMS 1024    /* places; half of them are used */
#define MEET_TRIES 20 /* how often the log may run away from a snapshot */

/* What a list of a kind must come to. */
typedef struct tally {
  int64_t count;
  uint64_t sum; /* of the hashes of (createdAt, seq), whatever their order */
} tally;

typedef struct room_count {
  char *name; /* NULL: free */
  size_t len;
  int64_t tips, reactions;
} room_count;

typedef struct verifier {
  tci_move *move;
  tci_end end;
  tci_keyset keys;
  tally kinds[TC_KIND_MAX + 1];
  room_count rooms[ROOMS];
  size_t room_n;
  int64_t seq;      /* the walk is here */
  int64_t high_seq; /* and has been there */
  /* One portion of the walk. */
  int sign; /* 1, or -1: taken back */
  int rc;
  struct {
    int64_t seq, id, ref;
    uint32_t kind;
  } rows[TCI_MOVE_ROWS];
  size_t n;
  char first[400]; /* finding */
} verifier;

static void found(verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void found(verifier *v, const char *format, ...) {
  char line[400];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (!v->move->counts.findings) memcpy(v->first, line, sizeof line);
  if (v->move->counts.findings++ < TCI_MOVE_NOTES_MAX) tci_move_note(v->move, "%s", line);
}

/* What a function of the backend said: damage is a finding, and the check goes on; everything else ends it. */
static int take(verifier *v, int rc) {
  if (rc != TC_ECORRUPT) return rc;
  found(v, "%s", tci_fail_detail());
  return TC_OK;
}

static uint64_t hash_place(int64_t created_at_us, int64_t seq) {
  static const tci_sipkey key = {1, 2};
  int64_t place[2] = {created_at_us, seq};
  return tci_siphash(&key, place, sizeof place);
}

/* The room's counters, while there is a place for it; NULL: it is one of those that are not counted. */
static room_count *room_of(verifier *v, tc_text name, int may_add) {
  static const tci_sipkey key = {3, 4};
  size_t at = (size_t)tci_siphash(&key, name.ptr, name.len) % ROOMS;
  while (v->rooms[at].name && (v->rooms[at].len != name.len || memcmp(v->rooms[at].name, name.ptr, name.len) != 0)) at = (at + 1) % ROOMS;
  if (v->rooms[at].name || !may_add || v->room_n >= ROOMS / 2) return v->rooms[at].name ? &v->rooms[at] : NULL;
  v->rooms[at].name = tci_strndup(name.ptr, name.len);
  v->rooms[at].len = name.len;
  v->room_n++;
  if (!v->rooms[at].name) v->rc = tci_fail(TC_ENOMEM, "out of memory for a check");
  return v->rc ? NULL : &v->rooms[at];
}

static void add_up(verifier *v, const tc_record *record) {
  tally *kind = &v->kinds[record->kind];
  uint64_t hash = hash_place(record->created_at_us, record->seq);
  kind->count += v->sign;
  kind->sum = v->sign > 0 ? kind->sum + hash : kind->sum - hash;
  tc_text name = record->text[TC_COL_ROOM];
  /* A room counts from its first event on or not at all. */
  room_count *room = name.ptr && (record->kind == TC_KIND_TIP || record->kind == TC_KIND_REACTION) ? room_of(v, name, v->sign > 0) : NULL;
  if (room && record->kind == TC_KIND_TIP) room->tips += v->sign;
  if (room && record->kind == TC_KIND_REACTION) room->reactions += v->sign;
}

static void look_at(verifier *v, const tc_record *record) {
  long long seq = record->seq;
  int64_t before = 0;
  if (record->seq != v->seq + 1) found(v, "events %lld to %lld are missing", (long long)v->seq + 1, seq - 1);
  if (!tci_kind_of(record->kind)) found(v, "event %lld is of no kind that there is: %u", seq, record->kind);
  if (record->id < 1) found(v, "event %lld has the id %lld", seq, (long long)record->id);
  for (int i = 0; i < TC_COL_COUNT; i++) {
    tc_text text = record->text[i];
    if (text.ptr && (!tci_utf8_valid(text.ptr, text.len, NULL) || memchr(text.ptr, '\0', text.len))) found(v, "event %lld: column %d is no text", seq, i);
  }
  if (tci_keyset_put(&v->keys, record, &before)) v->rc = tci_fail(TC_ENOMEM, "out of memory for a check");
  if (before) found(v, "event %lld has the idempotency key of event %lld", seq, (long long)before);
  v->move->counts.keys += record->seq > v->high_seq && record->text[TC_COL_KEY].ptr;
  if (v->high_seq < record->seq) v->high_seq = record->seq;
}

static int take_row(const tc_record *record, void *arg) {
  verifier *v = arg;
  if (v->sign > 0) look_at(v, record);
  if (record->kind && record->kind <= TC_KIND_MAX) add_up(v, record);
  v->rows[v->n].seq = record->seq;
  v->rows[v->n].id = record->id;
  v->rows[v->n].ref = record->ref;
  v->rows[v->n++].kind = record->kind;
  v->seq = record->seq;
  return v->rc != TC_OK;
}

/* What a refund refers to. */
typedef struct tip_look {
  uint32_t kind;
  int64_t seq;
} tip_look;

static int take_tip(const tc_record *record, void *arg) {
  *(tip_look *)arg = (tip_look){record->kind, record->seq};
  return 1;
}

static int check_refund(verifier *v, size_t i) {
  tip_look tip = {0, 0};
  int64_t ref = v->rows[i].ref;
  int rc = ref > 0 && ref < v->rows[i].seq ? take(v, v->end.ops->read_log(v->end.storage, ref - 1, 1, take_tip, &tip)) : TC_OK;
  if (!rc && (tip.seq != ref || tip.kind != TC_KIND_TIP))
    found(v, "event %lld is a refund of event %lld, which is no tip", (long long)v->rows[i].seq, (long long)ref);
  return rc;
}

/* By its id each event of this portion that is indexed must be found, and no other one. */
static int check_ids(verifier *v) {
  tc_snapshot *snapshot = NULL;
  int64_t index_seq = 0;
  int rc = TC_OK;
  for (size_t i = 0; i < v->n && !rc; i++) {
    if (v->rows[i].kind == TC_KIND_REFUND) rc = check_refund(v, i);
  }
  if (rc || v->end.state.index_seq < 0) return rc;
  rc = v->end.ops->snapshot(v->end.storage, &snapshot, &index_seq);
  for (size_t i = 0; i < v->n && !rc && v->rows[i].seq <= index_seq; i++) {
    int64_t seq = 0;
    rc = v->end.ops->find_id(snapshot, v->rows[i].kind, v->rows[i].id, &seq);
    if (!rc && seq != v->rows[i].seq) {
      found(v, "events %lld and %lld are both number %lld of kind %u, or the index says so", (long long)v->rows[i].seq, (long long)seq,
            (long long)v->rows[i].id, v->rows[i].kind);
    } else if (rc == TC_ENOTFOUND) {
      found(v, "event %lld is not in the index by its id %lld", (long long)v->rows[i].seq, (long long)v->rows[i].id);
      rc = TC_OK;
    } else {
      rc = take(v, rc);
    }
  }
  v->end.ops->snapshot_end(snapshot);
  return rc;
}

/* From where the walk is to upto_seq, or to the log's end, which is where nothing more comes. */
static int walk(verifier *v, int64_t upto_seq) {
  int rc = TC_OK;
  v->sign = 1;
  do {
    int64_t left = upto_seq - v->seq;
    v->n = 0;
    rc = v->end.ops->read_log(v->end.storage, v->seq, left < TCI_MOVE_ROWS ? (size_t)left : TCI_MOVE_ROWS, take_row, v);
    rc = take(v, rc ? rc : v->rc);
    if (!rc) rc = check_ids(v);
    int64_t end = v->end.state.log_seq;
    if (!rc) rc = tci_move_progress(v->move, "events", v->seq, end > v->seq ? end : v->seq);
  } while (!rc && v->n && v->seq < upto_seq);
  return rc;
}

/* Takes back what was added up behind seq. */
static int walk_back(verifier *v, int64_t seq) {
  int64_t was = v->seq;
  int rc = TC_OK;
  v->sign = -1;
  v->seq = seq;
  do {
    v->n = 0;
    rc = v->end.ops->read_log(v->end.storage, v->seq, was - v->seq < TCI_MOVE_ROWS ? (size_t)(was - v->seq) : TCI_MOVE_ROWS, take_row, v);
    rc = take(v, rc ? rc : v->rc);
  } while (!rc && v->n && v->seq < was);
  v->seq = seq;
  return rc;
}

/* A list, and what it came to. */
typedef struct list_look {
  tally sums;
  tc_position last;
  int out_of_order;
} list_look;

static int take_position(const tc_position *at, void *arg) {
  list_look *list = arg;
  const tc_position *last = &list->last;
  if (list->sums.count && (at->created_at_us > last->created_at_us || (at->created_at_us == last->created_at_us && at->seq >= last->seq)))
    list->out_of_order = 1;
  list->sums.count++;
  list->sums.sum += hash_place(at->created_at_us, at->seq);
  list->last = *at;
  return 0;
}

static int check_kind(verifier *v, tc_snapshot *snapshot, uint32_t kind) {
  tc_filter filter = {.kind = kind};
  list_look list = {{0, 0}, {0, 0}, 0};
  int64_t length = 0;
  const char *name = tci_kind_of(kind) ? tci_kind_of(kind)->name : "unknown";
  int rc = take(v, v->end.ops->scan(snapshot, &filter, NULL, take_position, &list));
  if (!rc) rc = take(v, v->end.ops->count(snapshot, &filter, &length));
  if (rc) return rc;
  if (list.out_of_order) found(v, "the list of kind %u (%s) is out of order", kind, name);
  if (list.sums.count != v->kinds[kind].count || list.sums.sum != v->kinds[kind].sum) {
    found(v, "the list of kind %u (%s) has %lld events that are not those %lld of the log", kind, name, (long long)list.sums.count,
          (long long)v->kinds[kind].count);
  }
  if (length != v->kinds[kind].count)
    found(v, "kind %u (%s) is counted as %lld events, not %lld", kind, name, (long long)length, (long long)v->kinds[kind].count);
  return TC_OK;
}

static int check_room(verifier *v, tc_snapshot *snapshot, const room_count *room) {
  const struct {
    uint32_t kind;
    int64_t count;
  } wanted[] = {{TC_KIND_TIP, room->tips}, {TC_KIND_REACTION, room->reactions}};
  int rc = TC_OK;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted && !rc && room->len; i++) { /* an empty text as a filter matches nothing */
    tc_filter filter = {.kind = wanted[i].kind};
    int64_t length = 0;
    filter.text[TC_COL_ROOM] = (tc_text){room->name, room->len};
    rc = take(v, v->end.ops->count(snapshot, &filter, &length));
    if (!rc && length != wanted[i].count) {
      found(v, "room %.100s has %lld events of kind %u in the index, not %lld", room->name, (long long)length, wanted[i].kind, (long long)wanted[i].count);
    }
  }
  return rc;
}

/* A snapshot whose seq the sums have been led to. */
static int meet(verifier *v, tc_snapshot **out) {
  for (int i = 0; i < MEET_TRIES; i++) {
    int64_t index_seq = 0;
    int rc = v->end.ops->snapshot(v->end.storage, out, &index_seq);
    if (rc) return rc;
    if (index_seq == v->seq) return TC_OK;
    /* Not while a snapshot is held: it is let go, and taken again where the index will hardly have moved. */
    int64_t ahead = index_seq - v->seq;
    v->end.ops->snapshot_end(*out);
    *out = NULL;
    rc = ahead > 0 ? walk(v, index_seq) : walk_back(v, index_seq);
    if (rc) return rc;
  }
  tci_move_note(v->move, "the log grows too fast for its lists to be compared with it: they were not");
  return TC_OK;
}

static int check_lists(verifier *v) {
  tc_snapshot *snapshot = NULL;
  int rc = TC_OK;
  if (v->end.state.index_seq < 0) {
    if (v->seq) tci_move_note(v->move, "there is no index that fits the log: it is made anew when the log is opened");
    return TC_OK;
  }
  rc = meet(v, &snapshot);
  for (uint32_t kind = 1; kind <= TC_KIND_MAX && snapshot && !rc; kind++) {
    if (v->kinds[kind].count || tci_kind_of(kind)) rc = check_kind(v, snapshot, kind);
  }
  for (size_t i = 0; i < ROOMS && snapshot && !rc; i++) {
    if (v->rooms[i].name) rc = check_room(v, snapshot, &v->rooms[i]);
  }
  v->end.ops->snapshot_end(snapshot);
  return rc;
}

static int count_document(int64_t id, tc_text doc, void *arg) {
  (void)id;
  (void)doc;
  ++*(int64_t *)arg;
  return 0;
}

static int check_documents(verifier *v) {
  int rc = TC_OK;
  for (uint32_t kind = 1; kind <= TC_CONFIG_EVENT_TYPE && !rc; kind++)
    rc = take(v, v->end.ops->config_read(v->end.storage, kind, count_document, &v->move->counts.documents));
  return rc;
}

static int check_all(verifier *v) {
  int rc = tci_move_progress(v->move, "files", 0, 0);
  if (!rc) rc = take(v, v->end.ops->check(v->end.storage));
  if (!rc) rc = walk(v, INT64_MAX);
  v->move->counts.log_seq = v->move->counts.events = v->seq;
  if (!rc) rc = check_lists(v);
  if (!rc) rc = check_documents(v);
  if (!rc && v->keys.full) tci_move_note(v->move, "more keys than fit into memory stand in the log within their time: not all of them were compared");
  return rc;
}

int tci_verify(tci_move *move, const char *url) {
  verifier *v = tci_zalloc(sizeof *v);
  if (!v || tci_keyset_init(&v->keys, (int64_t)move->o.idempotency_ttl_s * 1000000)) {
    tci_free(v);
    return tci_fail(TC_ENOMEM, "out of memory for a check");
  }
  v->move = move;
  int rc = tci_move_look(move, url, &v->end);
  if (!rc) rc = check_all(v);
  if (!rc && move->counts.findings) rc = tci_fail(TC_ECORRUPT, "%s", v->first);
  tci_move_close(&v->end);
  for (size_t i = 0; i < ROOMS; i++) tci_free(v->rooms[i].name);
  tci_keyset_free(&v->keys);
  tci_free(v);
  return rc;
}
