#include "engine/refunds.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/kind.h"
#include "model/money.h"

#define PAGE 1000
#define NOTE_MAX 160

typedef struct total {
  int64_t tip_seq; /* 0: free */
  int64_t amount;
  int64_t count;
} total;

struct tci_refunds {
  pthread_mutex_t mutex;
  total *totals;
  size_t cap, used; /* cap: 0 or a power of two, at most half full */
  int loaded;
  int64_t upto_seq; /* the log up to here is in it */
  int incomplete;   /* there was no memory for a total: to be read again */
};

static size_t place(const tci_refunds *r, int64_t tip_seq) {
  size_t at = (size_t)((uint64_t)tip_seq * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (r->cap - 1);
  while (r->totals[at].tip_seq && r->totals[at].tip_seq != tip_seq) at = (at + 1) & (r->cap - 1);
  return at;
}

static int reserve(tci_refunds *r) {
  if (r->used * 2 < r->cap) return TC_OK;
  tci_refunds larger = {.cap = r->cap ? r->cap * 2 : 64};
  larger.totals = tci_array(larger.cap, sizeof *larger.totals);
  if (!larger.totals) return TC_ENOMEM;
  for (size_t i = 0; i < r->cap; i++) {
    if (r->totals[i].tip_seq) larger.totals[place(&larger, r->totals[i].tip_seq)] = r->totals[i];
  }
  tci_free(r->totals);
  r->totals = larger.totals;
  r->cap = larger.cap;
  return TC_OK;
}

static int add(tci_refunds *r, const tc_record *refund) {
  if (reserve(r)) return TC_ENOMEM;
  total *of = &r->totals[place(r, refund->ref)];
  r->used += !of->tip_seq;
  of->tip_seq = refund->ref;
  of->count++;
  /* The writer keeps each sum within its tip; a damaged log must not wrap it around. */
  if (__builtin_add_overflow(of->amount, refund->amount, &of->amount)) of->amount = INT64_MAX;
  return TC_OK;
}

static void forget(tci_refunds *r) {
  tci_free(r->totals);
  r->totals = NULL;
  r->cap = r->used = 0;
  r->loaded = r->incomplete = 0;
}

/* With the mutex held. All that is in the log now; what is committed meanwhile comes by tci_refunds_follow, which waits. */
static int load(tc_engine *engine, tci_refunds *r) {
  int64_t upto_seq = atomic_load(&engine->log_seq); /* the tail had it before */
  tc_position at;
  tci_list_request request = {.filter = {.kind = TC_KIND_REFUND}, .size = PAGE};
  int rc = TC_OK, more = 1;
  forget(r);
  while (!rc && more) {
    tc_page *page = NULL;
    rc = tci_query_list(engine, &request, &page);
    size_t count = rc ? 0 : tc_page_count(page);
    for (size_t i = 0; i < count && !rc; i++) {
      const tc_record *record = &tc_page_at(page, i)->record;
      at = (tc_position){record->created_at_us, record->seq};
      if (record->seq <= upto_seq && add(r, record)) rc = tci_fail(TC_ENOMEM, "out of memory for the refunds");
    }
    request.after = &at;
    more = count == PAGE;
    tc_page_free(page);
  }
  if (rc) {
    forget(r);
    return rc;
  }
  r->loaded = 1;
  r->upto_seq = upto_seq;
  return TC_OK;
}

int tci_refunds_open(tc_engine *engine) {
  tci_refunds *r = tci_zalloc(sizeof *r);
  if (!r || pthread_mutex_init(&r->mutex, NULL)) {
    tci_free(r);
    return tci_fail(TC_ENOMEM, "out of memory for the refunds");
  }
  engine->refunds = r;
  return tci_engine_ready(engine) ? load(engine, r) : TC_OK;
}

void tci_refunds_free(tci_refunds *refunds) {
  if (!refunds) return;
  forget(refunds);
  (void)pthread_mutex_destroy(&refunds->mutex); /* fails only while locked */
  tci_free(refunds);
}

static int look(tc_engine *engine, int64_t tip_seq, total *out) {
  tci_refunds *r = engine->refunds;
  int rc = TC_OK;
  pthread_mutex_lock(&r->mutex);
  if (!r->loaded || r->incomplete) rc = load(engine, r);
  *out = !rc && r->cap ? r->totals[place(r, tip_seq)] : (total){0, 0, 0};
  pthread_mutex_unlock(&r->mutex);
  return rc;
}

int tci_refunds_of(tc_engine *engine, int64_t tip_seq, int64_t *amount) {
  total of;
  int rc = look(engine, tip_seq, &of);
  if (!rc) *amount = of.amount;
  return rc;
}

void tci_refunds_follow(tc_engine *engine, tc_event *const *events, size_t n) {
  tci_refunds *r = engine->refunds;
  for (size_t i = 0; i < n; i++) {
    const tc_record *record = &events[i]->record;
    if (record->kind != TC_KIND_REFUND) continue;
    pthread_mutex_lock(&r->mutex);
    if (r->loaded && record->seq > r->upto_seq) {
      if (add(r, record)) r->incomplete = 1; /* whoever asks next reads all again: nobody decides on less than the log says */
      r->upto_seq = record->seq;
    }
    pthread_mutex_unlock(&r->mutex);
  }
}

static void fail(tci_slot *slot, int code, const char *note) {
  slot->note = tci_alloc(NOTE_MAX);
  if (slot->note) (void)snprintf(slot->note, NOTE_MAX, "%s", note);
  slot->state = TCI_SLOT_FAILED;
  slot->code = code;
  slot->detail = slot->note ? slot->note : tc_strerror(code);
}

/* The refund of this tip that has the key and is young enough, a reference; NULL: none. The index knows more keys than the tail, and would only tell in the append. */
static tc_event *find_key(tc_engine *engine, const tc_record *wanted) {
  tc_event *found = NULL;
  tc_position at;
  tci_list_request request = {.filter = {.kind = TC_KIND_REFUND}, .size = PAGE};
  int more = 1;
  request.filter.text[TC_COL_TARGET] = wanted->text[TC_COL_TARGET];
  while (more && !found && wanted->text[TC_COL_KEY].ptr) {
    tc_page *page = NULL;
    size_t count = tci_query_list(engine, &request, &page) ? 0 : tc_page_count(page);
    for (size_t i = 0; i < count && !found; i++) {
      const tc_event *event = tc_page_at(page, i);
      at = (tc_position){event->record.created_at_us, event->record.seq};
      int young = event->record.created_at_us + engine->idempotency_ttl_us > wanted->created_at_us;
      if (young && tci_same_key(&event->record, wanted)) found = tc_event_ref(event);
    }
    request.after = &at;
    more = count == PAGE;
    tc_page_free(page);
  }
  return found;
}

/* The event is made anew, with the amount that was left to the writer. */
static int set_amount(tci_pending *item, int64_t amount) {
  tc_record record = item->event->record;
  record.amount = amount;
  tc_event *event = tci_event_new(&record);
  if (!event) return TC_ENOMEM;
  tc_event_unref(item->event);
  item->event = event;
  return TC_OK;
}

static void refuse(tc_engine *engine, tci_slot *slot, const tc_record *record, int64_t left, int64_t count) {
  char note[NOTE_MAX], asked_text[TCI_MONEY_TEXT_MAX], left_text[TCI_MONEY_TEXT_MAX];
  slot->known = find_key(engine, record);
  if (slot->known) {
    slot->state = TCI_SLOT_KNOWN;
    return;
  }
  if (left <= 0) {
    (void)snprintf(note, sizeof note, "tip %.*s: nothing is left to refund", (int)record->text[TC_COL_TARGET].len, record->text[TC_COL_TARGET].ptr);
    fail(slot, TC_ECONFLICT, note);
    return;
  }
  if (count >= TCI_REFUNDS_OF_TIP_MAX) {
    (void)snprintf(note, sizeof note, "tip %.*s: has %d refunds, and can have no more", (int)record->text[TC_COL_TARGET].len, record->text[TC_COL_TARGET].ptr,
                   TCI_REFUNDS_OF_TIP_MAX);
    fail(slot, TC_ELIMIT, note);
    return;
  }
  (void)tci_money_format(record->amount, asked_text);
  (void)tci_money_format(left, left_text);
  (void)snprintf(note, sizeof note, "amount: %s is more than the %s that is left", asked_text, left_text);
  fail(slot, TC_ELIMIT, note);
}

void tci_refunds_decide(tc_engine *engine, tci_batch *batch, uint32_t index) {
  tci_slot *slot = &batch->slots[index];
  const tc_record *record = &slot->item->event->record;
  tc_event *tip = NULL;
  total of = {0, 0, 0};
  for (uint32_t i = 0; i < index; i++) {
    const tci_slot *other = &batch->slots[i];
    const tc_record *before = &other->item->event->record;
    if ((other->state != TCI_SLOT_APPEND && other->state != TCI_SLOT_DEFERRED) || before->kind != TC_KIND_REFUND || before->ref != record->ref) continue;
    slot->state = TCI_SLOT_DEFERRED;
    return;
  }
  int rc = tci_query_seq_soon(engine, record->ref, &tip);
  if (!rc) rc = look(engine, record->ref, &of);
  if (!rc && tip->record.kind != TC_KIND_TIP) rc = tci_fail(TC_ECORRUPT, "event %lld is not a tip", (long long)record->ref);
  int64_t left = rc ? 0 : tip->record.amount - of.amount;
  tc_event_unref(tip);
  if (rc) {
    fail(slot, rc, tci_fail_detail());
  } else if (left <= 0 || record->amount > left || of.count >= TCI_REFUNDS_OF_TIP_MAX) {
    refuse(engine, slot, record, left, of.count);
  } else if (!record->amount && set_amount(slot->item, left)) {
    fail(slot, TC_ENOMEM, "out of memory for one event");
  }
}
