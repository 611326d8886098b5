/* Lists against a plain model: random events, filters and pages, at every stage of being indexed, and while writers run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"

#define MODEL_MAX 30000

typedef struct row {
  int64_t seq, created_at_us;
  int room, sender, recipient;
} row;

typedef struct model {
  row rows[MODEL_MAX];
  size_t n;
  uint32_t random;
} model;

static uint32_t draw(model *m, uint32_t below) {
  m->random ^= m->random << 13;
  m->random ^= m->random >> 17;
  m->random ^= m->random << 5;
  return m->random % below;
}

static const char *name(char out[16], char what, int i) {
  (void)snprintf(out, 16, "%c%d", what, i);
  return out;
}

/* n tips with random clock steps, back too when jumps is set. */
static void grow(kit *k, model *m, int n, int jumps) {
  kit_answers *answers = kit_answers_new();
  for (int i = 0; i < n; i++) {
    char room[16], sender[16], recipient[16];
    row *r = &m->rows[m->n++];
    r->room = (int)draw(m, 3);
    r->sender = (int)draw(m, 20);
    r->recipient = (int)draw(m, 5);
    tc_tip_new tip = TC_TIP_NEW_INIT;
    tip.room_id = name(room, 'r', r->room);
    tip.sender_id = name(sender, 's', r->sender);
    tip.recipient_id = name(recipient, 'p', r->recipient);
    tip.amount = 1;
    ck_assert_int_eq(tc_tip_submit(k->engine, &tip, kit_done, answers), TC_OK);
    if (draw(m, 10) == 0) {
      ck_assert(kit_until_answers(answers, (size_t)i + 1));
      if (jumps && draw(m, 8) == 0) {
        kit_clock_set(kit_clock_wall() - (int64_t)(20 + draw(m, 100)) * 1000000);
      } else {
        kit_clock_add(draw(m, 3) * 1000);
      }
    }
  }
  ck_assert(kit_until_answers(answers, (size_t)n));
  for (int i = 0; i < n; i++) {
    row *r = &m->rows[m->n - (size_t)n + (size_t)i];
    tc_event *event = NULL;
    r->seq = answers->got[i].seq;
    ck_assert_int_eq(tc_tip_get(k->engine, answers->got[i].id, &event), TC_OK);
    ck_assert_int_eq(tc_event_seq(event), r->seq);
    ck_assert_int_eq(tc_event_int(event, TC_FIELD_CREATED_AT_US, &r->created_at_us), TC_OK);
    tc_event_unref(event);
  }
  kit_answers_free(answers);
}

static int list_order(const void *x, const void *y) {
  const row *a = x, *b = y;
  if (a->created_at_us != b->created_at_us) return a->created_at_us > b->created_at_us ? -1 : 1;
  return a->seq > b->seq ? -1 : 1;
}

static size_t expect(const model *m, int room, int sender, int recipient, row *out) {
  size_t n = 0;
  for (size_t i = 0; i < m->n; i++) {
    const row *r = &m->rows[i];
    if ((room < 0 || r->room == room) && (sender < 0 || r->sender == sender) && (recipient < 0 || r->recipient == recipient)) out[n++] = *r;
  }
  qsort(out, n, sizeof *out, list_order);
  return n;
}

static void compare_page(const tc_page *page, const row *rows, size_t n, size_t offset, size_t size) {
  size_t want = offset >= n ? 0 : n - offset < size ? n - offset : size;
  ck_assert_int_eq(tc_page_total(page), (int64_t)n);
  ck_assert_uint_eq(tc_page_count(page), want);
  for (size_t i = 0; i < want; i++) ck_assert_int_eq(tc_event_seq(tc_page_at(page, i)), rows[offset + i].seq);
  ck_assert_ptr_null(tc_page_at(page, want));
  ck_assert_int_eq(tc_page_next(page) != NULL, want > 0 && offset + size < n);
}

static void compare_random(kit *k, model *m, row *rows) {
  char room[16], sender[16], recipient[16];
  int f[3];
  for (int i = 0; i < 3; i++) f[i] = draw(m, 2) ? (int)draw(m, i == 0 ? 4 : 6) : -1;
  size_t n = expect(m, f[0], f[1], f[2], rows);
  tc_tip_query q = TC_TIP_QUERY_INIT;
  if (f[0] >= 0) q.room_id = name(room, 'r', f[0]);
  if (f[1] >= 0) q.sender_id = name(sender, 's', f[1]);
  if (f[2] >= 0) q.recipient_id = name(recipient, 'p', f[2]);
  q.page_size = (int32_t)draw(m, 50) + 1;
  q.page = draw(m, (uint32_t)(n / (size_t)q.page_size + 3));
  tc_page *page = NULL;
  ck_assert_int_eq(tc_tip_list(k->engine, &q, &page), TC_OK);
  compare_page(page, rows, n, (size_t)q.page * (size_t)q.page_size, (size_t)q.page_size);
  tc_page_free(page);
  /* The same walked by cursor. */
  char cursor[80] = "";
  q.page = 0;
  q.page_size = 200;
  for (size_t offset = 0; offset == 0 || cursor[0]; offset += 200) {
    q.after = cursor;
    ck_assert_int_eq(tc_tip_list(k->engine, &q, &page), TC_OK);
    compare_page(page, rows, n, offset, 200);
    const char *next = tc_page_next(page);
    (void)snprintf(cursor, sizeof cursor, "%s", next ? next : "");
    tc_page_free(page);
  }
}

/* _i: bit 0 backend, bit 1 whether the clock jumps back. */
START_TEST(lists_equal_a_plain_model) {
  kit k;
  model *m = calloc(1, sizeof *m);
  row *rows = calloc(MODEL_MAX, sizeof *rows);
  ck_assert(m && rows);
  m->random = 12345u + (uint32_t)_i;
  kit_init(&k, _i & 1);
  kit_open(&k);
  for (int round = 0; round < 12; round++) {
    grow(&k, m, 300, _i >> 1);
    for (int i = 0; i < 6; i++) compare_random(&k, m, rows); /* some indexed, some not */
    if (round % 4 == 3) ck_assert(kit_until_indexed(&k));
    for (int i = 0; i < 3; i++) compare_random(&k, m, rows);
  }
  if (_i & 1) {
    kit_close(&k);
    kit_open(&k);
    for (int i = 0; i < 10; i++) compare_random(&k, m, rows);
  }
  kit_clean(&k);
  free(rows);
  free(m);
}
END_TEST

typedef struct background {
  kit *k;
  atomic_int stop;
} background;

static void *keep_writing(void *arg) {
  background *b = arg;
  kit_answers *answers = kit_answers_new();
  size_t sent = 0;
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  while (!atomic_load(&b->stop) && sent < KIT_ANSWERS_MAX) {
    for (int i = 0; i < 50 && sent < KIT_ANSWERS_MAX; i++) sent += tc_tip_submit(b->k->engine, &tip, kit_done, answers) == TC_OK;
    kit_until_answers(answers, sent);
    kit_clock_add(1000);
  }
  kit_until_answers(answers, sent);
  kit_answers_free(answers);
  return NULL;
}

/* While a writer appends and the indexer follows, a walk by cursor shows every older event exactly once, and a first page has no hole. */
START_TEST(walks_are_whole_while_writers_run) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  background b = {.k = &k};
  pthread_t writer;
  ck_assert_int_eq(pthread_create(&writer, NULL, keep_writing, &b), 0);
  tc_tip_query q = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  q.room_id = "r";
  q.page_size = 500;
  for (int walk = 0; walk < 15; walk++) {
    char cursor[80] = "";
    int64_t expect_seq = 0;
    do {
      q.after = cursor;
      ck_assert_int_eq(tc_tip_list(k.engine, &q, &page), TC_OK);
      for (size_t i = 0; i < tc_page_count(page); i++) {
        int64_t seq = tc_event_seq(tc_page_at(page, i));
        if (expect_seq) ck_assert_int_eq(seq, expect_seq);
        expect_seq = seq - 1;
      }
      ck_assert_int_ge(tc_page_total(page), (int64_t)tc_page_count(page));
      const char *next = tc_page_next(page);
      (void)snprintf(cursor, sizeof cursor, "%s", next ? next : "");
      tc_page_free(page);
    } while (cursor[0]);
    ck_assert_int_eq(expect_seq, 0);
  }
  atomic_store(&b.stop, 1);
  ck_assert_int_eq(pthread_join(writer, NULL), 0);
  kit_clean(&k);
}
END_TEST

START_TEST(limits_of_paging_are_named) {
  kit k;
  kit_init(&k, 0);
  kit_open(&k);
  kit_tip(&k, "r", "a", 1, NULL);
  tc_tip_query q = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  q.page_size = 1001;
  ck_assert_int_eq(tc_tip_list(k.engine, &q, &page), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "size"));
  q.page_size = 1000;
  q.page = 1000;
  ck_assert_int_eq(tc_tip_list(k.engine, &q, &page), TC_OK); /* far, legal, empty */
  ck_assert_uint_eq(tc_page_count(page), 0);
  ck_assert_int_eq(tc_page_total(page), 1);
  tc_page_free(page);
  q.page = 1001;
  ck_assert_int_eq(tc_tip_list(k.engine, &q, &page), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "after="));
  q.page = INT64_MAX;
  ck_assert_int_eq(tc_tip_list(k.engine, &q, &page), TC_EINVAL);
  q.page = 0;
  static const char *const bad[] = {"x", "1", "1.", ".1", "1.0", "01.1", "1.2.3", "1.99999999999999999999", "-0.1", " 1.1", "1.-1"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    q.after = bad[i];
    ck_assert_msg(tc_tip_list(k.engine, &q, &page) == TC_EINVAL, "after=%s was taken", bad[i]);
  }
  q.after = NULL;
  q.room_id = ""; /* a filter that matches nothing */
  ck_assert_int_eq(tc_tip_list(k.engine, &q, &page), TC_OK);
  ck_assert_int_eq(tc_page_total(page), 0);
  tc_page_free(page);
  kit_clean(&k);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("lists");
  TCase *tc = tcase_create("every backend");
  tcase_set_timeout(tc, 100);
  tcase_add_loop_test(tc, lists_equal_a_plain_model, 0, 2 * KIT_BACKENDS);
  tcase_add_loop_test(tc, walks_are_whole_while_writers_run, 0, KIT_BACKENDS);
  tcase_add_test(tc, limits_of_paging_are_named);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
