/* rebuild.c - what quarters must be, from the log once more, beside what was kept.
 *
 * Backwards, some hours at a time: their events are counted in a shadow, a second rollup without a store, then the kept cells of those hours are compared with it in one
 * walk over all. People are counted by hours, so an hour is never cut.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/nodes.h"
#include "engine/page.h"
#include "engine/rollup/cells.h"

#define SHADOW_BYTES (UINT64_C(256) << 20) /* the hours of one piece end when half of it is full */
#define HOUR_EVENTS_MAX 20000000           /* an hour larger than this cannot be rebuilt */
#define PAGE 1000

/* A kept value that is not what it must be. */
typedef struct fix {
  struct fix *next;
  tci_cell_key key;
  uint32_t space;
  tci_value value; /* name: owned, behind the struct */
  char name[];
} fix;

typedef struct piece {
  tci_rollup *rollup, *shadow;
  int64_t from_us, to_us; /* hours */
  uint32_t space;
  fix *fixes;
  int64_t changed;
  int rc;
} piece;

static int apply(tci_rollup *shadow, const tc_record *record) {
  tci_ahead ahead;
  tci_rollup_look_ahead(shadow, record, &ahead);
  return tci_rollup_apply(shadow, record, &ahead);
}

static int count_row(const tc_record *row, void *arg) {
  piece *p = arg;
  p->rc = apply(p->shadow, row);
  return p->rc != TC_OK;
}

static int is_in(const piece *p, int64_t us) { return us >= p->from_us && us < p->to_us; }

/* Refunds count where their tips do; so all that came after these hours began are looked at. */
static int count_refunds(piece *p) {
  tc_position after = {INT64_MAX, INT64_MIN};
  tci_list_request request = {.filter = {.kind = TC_KIND_REFUND}, .after = &after, .size = PAGE};
  int rc = TC_OK, end = 0;
  while (!rc && !end) {
    tc_page *page = NULL;
    rc = tci_query_list(p->rollup->engine, &request, &page);
    if (rc) break;
    for (size_t i = 0; i < page->n && !rc; i++) {
      const tc_record *refund = &page->events[i]->record;
      tc_event *tip = NULL;
      after = (tc_position){refund->created_at_us, refund->seq};
      if (refund->seq > atomic_load(&p->rollup->seq)) continue;
      rc = tci_query_seq(p->rollup->engine, refund->ref, &tip);
      if (!rc && is_in(p, tip->record.created_at_us)) rc = apply(p->shadow, refund);
      tc_event_unref(tip);
    }
    end = page->n < PAGE;
    tc_page_free(page);
  }
  return rc;
}

/* The hours before p->to_us with something in them, until the shadow is full enough or the range's begin is reached: then that is p->from_us. */
static int count_hours(piece *p, int64_t least_us) {
  int rc = TC_OK;
  for (p->from_us = p->to_us; !rc && p->shadow->bytes < SHADOW_BYTES / 2;) {
    int64_t latest_us, hour_us;
    rc = tci_rollup_latest(p->rollup, p->from_us, &latest_us);
    if (rc) break;
    if (latest_us < least_us) {
      p->from_us = least_us;
      break;
    }
    hour_us = latest_us - (latest_us % TCI_HOUR_US + TCI_HOUR_US) % TCI_HOUR_US;
    rc = tci_rollup_replay(p->rollup, hour_us, hour_us + TCI_HOUR_US, HOUR_EVENTS_MAX, count_row, p);
    if (!rc) rc = p->rc;
    p->from_us = hour_us;
  }
  return rc;
}

/* Puts what is known of people into `must`: what the shadow could not count stays as it is kept. 1: there is a difference; an unknown number that is known now is none. */
static int differs(uint32_t space, const tci_value *kept, tci_value *must) {
  int differ = kept->sum != must->sum;
  for (size_t i = 0; i < tci_cell_n(space); i++) {
    int people = space == TCI_SPACE_ROLLUP && i >= TCI_N_UNIQUE;
    if (people && must->n[i] < 0) must->n[i] = kept->n[i];
    if (kept->n[i] != must->n[i] && !(people && kept->n[i] < 0)) differ = 1;
  }
  return differ;
}

static int add_fix(piece *p, const tci_cell_key *key, const tci_value *value, tc_text name) {
  fix *made = tci_alloc(sizeof *made + name.len);
  if (!made) return p->rc = tci_fail(TC_ENOMEM, "out of memory for rebuilding statistics");
  *made = (fix){.next = p->fixes, .key = *key, .space = p->space, .value = *value};
  if (name.len) memcpy(made->name, name.ptr, name.len);
  made->value.name = (tc_text){made->name, name.len};
  p->fixes = made;
  return TC_OK;
}

static int compare_kept(const tci_cell_key *key, const tci_value *kept, void *arg) {
  piece *p = arg;
  if (!is_in(p, tci_quarter_start_us(tci_key_time(key)))) return 0;
  tci_cell *cell = tci_table_find(&p->shadow->cells, key);
  tci_value must = {0};
  if (cell) {
    cell->used = 1; /* it has its counterpart */
    must.sum = cell->sum;
    memcpy(must.n, cell->n, tci_cell_n(p->space) * sizeof cell->n[0]);
  }
  int differ = differs(p->space, kept, &must);
  p->changed += differ;
  return differ || memcmp(kept->n, must.n, tci_cell_n(p->space) * sizeof must.n[0]) ? add_fix(p, key, &must, kept->name) : 0;
}

static int find_missing(void *object, void *arg) {
  static const int64_t none[TCI_N_MAX];
  piece *p = arg;
  const tci_cell *cell = object;
  tci_value must = {.sum = cell->sum};
  size_t bytes = tci_cell_n(cell->space) * sizeof cell->n[0];
  if (p->rc || cell->used || (!cell->sum && !memcmp(cell->n, none, bytes))) return 0;
  memcpy(must.n, cell->n, bytes);
  p->space = cell->space;
  p->changed++;
  (void)add_fix(p, &cell->key, &must, tci_cell_name(cell));
  return 0;
}

/* The group of a cell is named by the room alone, which the key does not tell: any group of the quarter does, since a spill follows at once. */
static int put_right(tci_rollup *rollup, const fix *f) {
  int rc = TC_OK;
  tci_cell_key of = tci_cell_key_of((tci_hash){0, 0}, tci_key_time(&f->key), (tci_hash){0, 0});
  tci_group *group = tci_group_take(rollup, &of, 0, &rc);
  tci_cell *cell = rc ? NULL : tci_cell_take(rollup, f->space, &f->key, (tc_text){NULL, 0}, f->value.name, &rc);
  if (rc) return rc;
  cell->sum = f->value.sum;
  memcpy(cell->n, f->value.n, tci_cell_n(f->space) * sizeof cell->n[0]);
  tci_cell_touch(rollup, group, cell);
  return TC_OK;
}

static int compare(piece *p) {
  static const tci_overlay nothing = {0};
  static const tci_cell_key first = {{0}}, last = {{0}};
  int rc = tci_rollup_spill(p->rollup, 0); /* so that all that is kept is in the store */
  for (p->space = TCI_SPACE_ROLLUP; p->space <= TCI_SPACE_RECIPIENT && !rc; p->space++) {
    rc = tci_overlay_walk(p->rollup, &nothing, p->space, &first, &last, compare_kept, p);
    if (!rc) rc = p->rc;
  }
  if (!rc) tci_table_sweep(&p->shadow->cells, find_missing, p);
  if (!rc) rc = p->rc;
  (void)pthread_mutex_lock(&p->rollup->mutex);
  for (const fix *f = p->fixes; f && !rc; f = f->next) rc = put_right(p->rollup, f);
  (void)pthread_mutex_unlock(&p->rollup->mutex);
  return rc || !p->fixes ? rc : tci_rollup_spill(p->rollup, 0);
}

typedef struct request {
  int64_t from_us, to_us;
  int64_t changed;
} request;

/* One piece; request->to_us comes down to where it began. */
static int rebuild_piece(tci_rollup *rollup, void *arg) {
  request *r = arg;
  piece p = {.rollup = rollup, .to_us = r->to_us};
  int rc = tci_rollup_new_shadow(&p.shadow, rollup, SHADOW_BYTES);
  if (!rc) rc = count_hours(&p, r->from_us);
  if (!rc) rc = count_refunds(&p);
  if (!rc) rc = compare(&p);
  for (fix *f = p.fixes, *next; f; f = next) {
    next = f->next;
    tci_free(f);
  }
  tci_rollup_free(p.shadow);
  if (rc) return rc;
  r->changed += p.changed;
  r->to_us = p.from_us;
  return TC_OK;
}

int tci_rollup_rebuild(tc_engine *engine, int64_t from_us, int64_t to_us, int64_t *changed) {
  tci_rollup *rollup;
  int rc = tci_rollup_usable(engine, &rollup);
  /* Whole hours, since people are counted by them; and nothing that overflows. */
  if (from_us < INT64_MIN / 4) from_us = INT64_MIN / 4;
  if (to_us > INT64_MAX / 4) to_us = INT64_MAX / 4;
  if (rc) return rc;
  if (!tci_nodes_leads(engine)) return tci_fail(TC_ECONFLICT, "another node counts: it alone can do so anew");
  request r = {.from_us = from_us - (from_us % TCI_HOUR_US + TCI_HOUR_US) % TCI_HOUR_US};
  to_us += TCI_HOUR_US - 1;
  r.to_us = to_us - (to_us % TCI_HOUR_US + TCI_HOUR_US) % TCI_HOUR_US;
  while (!rc && r.from_us < r.to_us) rc = tci_rollup_call(rollup, rebuild_piece, &r);
  if (!rc && changed) *changed = r.changed;
  return rc;
}
