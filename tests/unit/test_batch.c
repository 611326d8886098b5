/* Batches, amounts and layouts: what bindings stand on. Batches also run on an engine without threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"

#define TIP(room) "{\"roomId\":\"" room "\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":\"1.50\"}\n"

static int try_submit(tc_engine *engine, uint32_t kind, const char *lines, size_t len, tc_batch **out) {
  tc_batch_options options = TC_BATCH_OPTIONS_INIT;
  options.kind = kind;
  return tc_batch_submit(engine, &options, lines, len, out);
}

static tc_batch *submit(kit *k, uint32_t kind, const char *lines) {
  tc_batch *batch = NULL;
  ck_assert_msg(try_submit(k->engine, kind, lines, strlen(lines), &batch) == TC_OK, "%s", tc_last_error());
  ck_assert_ptr_nonnull(batch);
  return batch;
}

static char *many_lines(size_t n) {
  static const char line[] = TIP("r");
  char *lines = malloc(n * (sizeof line - 1) + 1);
  ck_assert_ptr_nonnull(lines);
  for (size_t i = 0; i < n; i++) memcpy(lines + i * (sizeof line - 1), line, sizeof line);
  return lines;
}

START_TEST(each_line_has_its_answer) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  tc_batch *batch = submit(&k, TC_KIND_TIP,
                           TIP("r") "\n \t\r\n"
                                    "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":1.505}\n"
                                    "not json\n"
                                    "{\"roomId\":\"q\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":7,\"idempotencyKey\":\"k\"}\n"
                                    "{\"roomId\":\"q\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":7,\"idempotency\\u004bey\":\"k\"}\n"
                                    "{\"roomId\":\"q\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":8,\"idempotencyKey\":\"k\"}\n"
                                    "{\"roomId\":\"q\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":8,\"idempotencyKey\":8}\n"
                                    "{\"roomId\":\"q\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":8,\"idempotencyKey\":\"a\\u0000b\"}\n"
                                    "{\"roomId\":\"last\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":7}");
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  ck_assert_str_eq(tc_last_error(), "");
  const struct {
    int code, replayed;
    const char *detail;
  } expected[] = {{TC_OK, 0, ""},
                  {TC_EINVAL, 0, "amount: must have at most 2 decimals"},
                  {TC_EINVAL, 0, "body: "},
                  {TC_OK, 0, ""},
                  {TC_OK, 1, ""},
                  {TC_EMISMATCH, 0, "Idempotency-Key: "},
                  {TC_EINVAL, 0, "idempotencyKey: must be a string"},
                  {TC_EINVAL, 0, "idempotencyKey: must not contain control characters"},
                  {TC_OK, 0, ""}};
  ck_assert_uint_eq(tc_batch_count(batch), sizeof expected / sizeof *expected);
  ck_assert_uint_eq(tc_batch_failed(batch), 5);
  for (size_t i = 0; i < tc_batch_count(batch); i++) {
    const tc_result *result = tc_batch_at(batch, i);
    ck_assert_ptr_nonnull(result);
    ck_assert_uint_eq(result->size, sizeof *result);
    ck_assert_int_eq(result->code, expected[i].code);
    ck_assert_int_eq(result->replayed, expected[i].replayed);
    ck_assert_msg(!strncmp(result->detail, expected[i].detail, strlen(expected[i].detail)), "%zu: %s", i, result->detail);
    ck_assert((result->code == TC_OK) == (result->event != NULL));
  }
  ck_assert_int_eq(tc_event_id(tc_batch_at(batch, 0)->event), 1);
  ck_assert_int_eq(tc_event_seq(tc_batch_at(batch, 3)->event), tc_event_seq(tc_batch_at(batch, 4)->event));
  ck_assert_str_eq(tc_event_str(tc_batch_at(batch, 8)->event, TC_FIELD_ROOM_ID), "last");
  ck_assert_ptr_null(tc_batch_at(batch, tc_batch_count(batch)));
  /* Answers outlive the engine. */
  kit_close(&k);
  ck_assert_int_eq(tc_batch_wait(batch, 0), TC_OK);
  ck_assert_str_eq(tc_event_str(tc_batch_at(batch, 8)->event, TC_FIELD_ROOM_ID), "last");
  tc_batch_free(batch);
  kit_clean(&k);
}
END_TEST

START_TEST(other_kinds) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  tc_batch *batch = submit(&k, TC_KIND_REACTION, "{\"roomId\":\"r\",\"userId\":\"u\",\"emoji\":\"x\"}");
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  ck_assert_uint_eq(tc_event_kind(tc_batch_at(batch, 0)->event), TC_KIND_REACTION);
  tc_batch_free(batch);
  batch = submit(&k, 0, "{\"type\":\"raid\",\"roomId\":\"r\",\"userId\":\"u\",\"count\":3}\n{\"type\":\"nonsense\",\"roomId\":\"r\",\"userId\":\"u\"}");
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  ck_assert_uint_eq(tc_event_kind(tc_batch_at(batch, 0)->event), TC_KIND_RAID);
  ck_assert_int_eq(tc_batch_at(batch, 1)->code, TC_EINVAL);
  tc_batch_free(batch);
  int64_t tip = kit_tip(&k, "r", "a", 300, NULL);
  ck_assert_int_eq(tip, 1);
  batch = submit(&k, TC_KIND_REFUND,
                 "{\"tipId\":1,\"amount\":2}\n{\"tipId\":1,\"amount\":2}\n{\"tipId\":9}\n{\"tipId\":\"1\"}\n{}\nx\n{\"tipId\":1,\"reason\":\"all of it\"}");
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  static const int expected[] = {TC_OK, TC_ELIMIT, TC_ENOTFOUND, TC_EINVAL, TC_EINVAL, TC_EINVAL, TC_OK};
  for (size_t i = 0; i < 7; i++)
    ck_assert_msg(tc_batch_at(batch, i)->code == expected[i], "%zu: %d %s", i, tc_batch_at(batch, i)->code, tc_batch_at(batch, i)->detail);
  tc_batch_free(batch);
  kit_clean(&k);
}
END_TEST

START_TEST(calls_that_are_wrong) {
  kit k;
  tc_batch *batch = NULL;
  kit_init(&k, _i);
  kit_open(&k);
  ck_assert_int_eq(try_submit(k.engine, TC_KIND_TIP, "\n \n", 3, &batch), TC_EINVAL);
  ck_assert_int_eq(try_submit(k.engine, TC_KIND_TIP, NULL, 0, &batch), TC_EINVAL);
  ck_assert_int_eq(try_submit(k.engine, TC_KIND_TIP, "x", 1, NULL), TC_EINVAL);
  ck_assert_int_eq(try_submit(NULL, TC_KIND_TIP, "x", 1, &batch), TC_EINVAL);
  ck_assert_int_eq(try_submit(k.engine, TC_KIND_GOAL_REACHED, "x", 1, &batch), TC_EINVAL);
  char *lines = calloc(TC_BATCH_LINES_MAX + 1, 2);
  ck_assert_ptr_nonnull(lines);
  for (size_t i = 0; i <= TC_BATCH_LINES_MAX; i++) memcpy(lines + 2 * i, "x\n", 2);
  ck_assert_int_eq(try_submit(k.engine, TC_KIND_TIP, lines, 2 * (TC_BATCH_LINES_MAX + 1), &batch), TC_ELIMIT);
  ck_assert_int_eq(try_submit(k.engine, TC_KIND_TIP, lines, 2 * TC_BATCH_LINES_MAX, &batch), TC_OK);
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  ck_assert_uint_eq(tc_batch_failed(batch), TC_BATCH_LINES_MAX);
  tc_batch_free(batch);
  free(lines);
  batch = NULL;
  tc_batch_options options = TC_BATCH_OPTIONS_INIT;
  options.kind = TC_KIND_TIP;
  options.lines_max = 2;
  options.line_max_bytes = 70;
  ck_assert_int_eq(tc_batch_submit(k.engine, &options, "x\ny\n\nz", 6, &batch), TC_ELIMIT);
  ck_assert_str_eq(tc_last_error(), "lines: more than 2, nothing was stored");
  const char *two = TIP("a room with a long name, so that it does not fit") TIP("r");
  ck_assert_int_eq(tc_batch_submit(k.engine, &options, two, strlen(two), &batch), TC_OK);
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  ck_assert_int_eq(tc_batch_at(batch, 0)->code, TC_ELIMIT);
  ck_assert_str_eq(tc_batch_at(batch, 0)->detail, "line: longer than 70 bytes");
  ck_assert_int_eq(tc_batch_at(batch, 1)->code, TC_OK);
  tc_batch_free(batch);
  batch = NULL;
  options.lines_max = TC_BATCH_LINES_MAX + 1;
  ck_assert_int_eq(tc_batch_submit(k.engine, &options, "x", 1, &batch), TC_EINVAL);
  options.size = 1;
  ck_assert_int_eq(tc_batch_submit(k.engine, &options, "x", 1, &batch), TC_EINVAL);
  ck_assert_int_eq(tc_batch_submit(k.engine, NULL, "x", 1, &batch), TC_EINVAL);
  tc_shutdown(k.engine);
  ck_assert_int_eq(try_submit(k.engine, TC_KIND_TIP, "x", 1, &batch), TC_ECLOSED);
  ck_assert_ptr_null(batch);
  ck_assert_int_eq(tc_batch_wait(NULL, 0), TC_EINVAL);
  ck_assert_uint_eq(tc_batch_count(NULL) + tc_batch_failed(NULL), 0);
  ck_assert_ptr_null(tc_batch_at(NULL, 0));
  tc_batch_free(NULL);
  kit_clean(&k);
}
END_TEST

START_TEST(more_lines_than_the_queue_holds) {
  kit k;
  kit_init(&k, _i);
  k.options.max_pending_bytes = 20000;
  kit_open(&k);
  char *lines = many_lines(3000);
  tc_batch *batch = submit(&k, TC_KIND_TIP, lines);
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  ck_assert_uint_eq(tc_batch_count(batch), 3000);
  ck_assert_uint_eq(tc_batch_failed(batch), 0);
  for (size_t i = 0; i < 3000; i++) ck_assert_int_eq(tc_event_id(tc_batch_at(batch, i)->event), (int64_t)i + 1);
  tc_batch_free(batch);
  free(lines);
  kit_clean(&k);
}
END_TEST

START_TEST(freed_before_its_answers) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  char *lines = many_lines(500);
  tc_batch_free(submit(&k, TC_KIND_TIP, lines));
  free(lines);
  kit_close(&k); /* commits what was accepted, and frees what is left of the batch: the leak checker looks */
  kit_open(&k);
  if (_i) { /* memory: forgets */
    tc_event *event = NULL;
    ck_assert_int_eq(tc_tip_get(k.engine, 500, &event), TC_OK);
    tc_event_unref(event);
  }
  kit_clean(&k);
}
END_TEST

START_TEST(waiting_has_an_end) {
  kit k;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  kit_open(&k);
  if (!(k.options.flags & TC_NO_THREADS)) atomic_store(&kit_fault.hold, 1);
  tc_batch *batch = submit(&k, TC_KIND_TIP, TIP("r"));
  ck_assert_int_eq(tc_batch_wait(batch, 0), TC_ETIMEOUT);
  ck_assert_ptr_null(tc_batch_at(batch, 0));
  if (atomic_load(&kit_fault.hold)) ck_assert_int_eq(tc_batch_wait(batch, 20), TC_ETIMEOUT);
  atomic_store(&kit_fault.hold, 0);
  ck_assert_int_eq(tc_batch_wait(batch, 20000), TC_OK);
  ck_assert_int_eq(tc_batch_at(batch, 0)->code, TC_OK);
  tc_batch_free(batch);
  atomic_store(&kit_fault.append_code, TC_ESTORAGE);
  batch = submit(&k, TC_KIND_TIP, TIP("r") TIP("s"));
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  ck_assert_int_eq(tc_batch_at(batch, 1)->code, TC_ESTORAGE);
  ck_assert_uint_eq(tc_batch_failed(batch), 2);
  atomic_store(&kit_fault.append_code, 0);
  tc_batch_free(batch);
  kit_clean(&k);
}
END_TEST

START_TEST(a_disk_that_hangs_does_not_hold_the_call) {
  kit k;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  k.options.max_pending_bytes = 20000;
  k.options.create_deadline_ms = 50;
  kit_open(&k);
  if (k.options.flags & TC_NO_THREADS) { /* there the caller would hang in the disk itself */
    kit_clean(&k);
    return;
  }
  atomic_store(&kit_fault.hold, 1);
  char *lines = many_lines(3000);
  tc_batch *batch = submit(&k, TC_KIND_TIP, lines); /* comes back, with a full queue behind it */
  free(lines);
  ck_assert_uint_gt(tc_batch_failed(batch), 2000);
  ck_assert_int_eq(tc_batch_wait(batch, 0), TC_ETIMEOUT);
  atomic_store(&kit_fault.hold, 0);
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  const tc_result *last = tc_batch_at(batch, 2999);
  ck_assert_int_eq(last->code, TC_EBUSY);
  ck_assert_str_ne(last->detail, "");
  tc_batch_free(batch);
  kit_clean(&k);
}
END_TEST

typedef struct inside {
  tc_engine *engine;
  tc_batch *batch;
  int wait_code;
  atomic_int ran;
} inside;

static void submit_inside(const tc_result *result, void *userdata) {
  inside *in = userdata;
  ck_assert_int_eq(result->code, TC_OK);
  ck_assert_int_eq(try_submit(in->engine, TC_KIND_TIP, TIP("r"), strlen(TIP("r")), &in->batch), TC_OK);
  in->wait_code = tc_batch_wait(in->batch, -1);
  atomic_store(&in->ran, 1);
}

static int has_run(void *arg) { return atomic_load(&((inside *)arg)->ran); }

START_TEST(inside_a_completion) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  inside in = {.engine = k.engine};
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  ck_assert_int_eq(tc_tip_submit(k.engine, &tip, submit_inside, &in), TC_OK);
  ck_assert(kit_until(has_run, &in));
  ck_assert_int_eq(in.wait_code, TC_EINVAL);
  ck_assert_int_eq(tc_batch_wait(in.batch, -1), TC_OK);
  ck_assert_int_eq(tc_event_id(tc_batch_at(in.batch, 0)->event), 2);
  tc_batch_free(in.batch);
  kit_clean(&k);
}
END_TEST

typedef struct told {
  atomic_int times;
  size_t count, failed;
  int last_code, wait_code;
} told;

static void tell(tc_batch *batch, void *userdata) {
  told *t = userdata;
  t->count = tc_batch_count(batch);
  t->failed = tc_batch_failed(batch);
  t->last_code = tc_batch_at(batch, t->count - 1)->code;
  t->wait_code = tc_batch_wait(batch, -1); /* there is nothing to wait for any more, so it is allowed here */
  tc_batch_free(batch);
  atomic_fetch_add(&t->times, 1);
}

static int was_told(void *arg) { return atomic_load(&((told *)arg)->times); }

static int submit_telling(kit *k, const char *lines, told *t) {
  tc_batch_options options = TC_BATCH_OPTIONS_INIT;
  memset(t, 0, sizeof *t);
  options.kind = TC_KIND_TIP;
  options.done = tell;
  options.userdata = t;
  return tc_batch_submit(k->engine, &options, lines, strlen(lines), NULL);
}

START_TEST(whoever_cannot_wait_is_called) {
  kit k;
  told t;
  kit_init(&k, _i);
  k.options.max_pending_bytes = 20000;
  kit_open(&k);
  ck_assert_int_eq(submit_telling(&k, TIP("r") "not json\n" TIP("r"), &t), TC_OK);
  ck_assert(kit_until(was_told, &t));
  ck_assert_uint_eq(t.count, 3);
  ck_assert_uint_eq(t.failed, 1);
  ck_assert_int_eq(t.last_code, TC_OK);
  ck_assert_int_eq(t.wait_code, TC_OK);
  /* Nothing of it has to be waited for: it is said before the call returns. */
  ck_assert_int_eq(submit_telling(&k, "not json\n", &t), TC_OK);
  ck_assert_int_eq(atomic_load(&t.times), 1);
  ck_assert_int_eq(t.last_code, TC_EINVAL);
  /* What the call refuses is said by the call. */
  ck_assert_int_eq(submit_telling(&k, "\n", &t), TC_EINVAL);
  ck_assert_int_eq(atomic_load(&t.times), 0);
  kit_clean(&k);
}
END_TEST

typedef struct looking {
  tc_engine *engine;
  tc_status status;
  atomic_int times;
} looking;

static void look(tc_batch *batch, void *userdata) {
  looking *l = userdata;
  ck_assert_int_eq(tc_engine_status(l->engine, &l->status), TC_OK);
  tc_batch_free(batch);
  atomic_fetch_add(&l->times, 1);
}

static int has_looked(void *arg) { return atomic_load(&((looking *)arg)->times); }

/* Who sends to many at once waits a moment for what is about to be committed: it must not wait for what he has already. */
START_TEST(what_is_committed_is_not_pending) {
  kit k;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  kit_open(&k);
  int holds = !(k.options.flags & TC_NO_THREADS);
  looking l = {.engine = k.engine, .status = TC_STATUS_INIT};
  tc_batch_options options = TC_BATCH_OPTIONS_INIT;
  options.kind = TC_KIND_TIP;
  options.done = look;
  options.userdata = &l;
  char *lines = many_lines(20);
  if (holds) atomic_store(&kit_fault.hold, 1); /* the writer is to give the last answer, and not the call */
  ck_assert_int_eq(tc_batch_submit(k.engine, &options, lines, strlen(lines), NULL), TC_OK);
  if (holds) atomic_store(&kit_fault.hold, 0);
  ck_assert(kit_until(has_looked, &l));
  ck_assert_int_eq(l.status.log_seq, 20);
  ck_assert_uint_eq(l.status.pending_events, 0);
  ck_assert_uint_gt(l.status.pending_bytes, 0); /* their memory is still taken */
  ck_assert_int_eq(kit_tip(&k, "r", "a", 100, NULL), 21);
  free(lines);
  kit_clean(&k);
}
END_TEST

/* Without a done the call waits for room: more_lines_than_the_queue_holds. */
START_TEST(whoever_cannot_wait_is_refused_what_has_no_room) {
  kit k;
  told t;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  k.options.max_pending_bytes = 20000;
  kit_open(&k);
  int holds = !(k.options.flags & TC_NO_THREADS);
  if (holds) atomic_store(&kit_fault.hold, 1);
  char *lines = many_lines(3000);
  ck_assert_int_eq(submit_telling(&k, lines, &t), TC_OK);
  ck_assert_int_eq(atomic_load(&t.times), 0);
  if (holds) atomic_store(&kit_fault.hold, 0);
  ck_assert(kit_until(was_told, &t));
  ck_assert_int_eq(atomic_load(&t.times), 1);
  ck_assert_uint_eq(t.count, 3000);
  ck_assert(t.failed > 1000 && t.failed < 3000);
  ck_assert_int_eq(t.last_code, TC_EBUSY);
  free(lines);
  kit_clean(&k);
}
END_TEST

START_TEST(amounts) {
  int64_t value = -1;
  char text[TC_AMOUNT_SIZE];
  ck_assert_int_eq(tc_amount_parse("1e2xx", 3, &value), TC_OK);
  ck_assert_int_eq(value, 10000);
  ck_assert_int_eq(tc_amount_parse("92233720368547758.07", 20, &value), TC_OK);
  ck_assert_int_eq(value, INT64_MAX);
  ck_assert_uint_eq(tc_amount_format(value, text), 20);
  ck_assert_str_eq(text, "92233720368547758.07");
  ck_assert_int_eq(tc_amount_parse("0.005", 5, &value), TC_EINVAL);
  ck_assert_str_eq(tc_last_error(), "amount: must have at most 2 decimals");
  ck_assert_int_eq(value, INT64_MAX);
  ck_assert_int_eq(tc_amount_parse("nan", 3, &value), TC_EINVAL);
  ck_assert_int_eq(tc_amount_parse(NULL, 0, &value), TC_EINVAL);
  ck_assert_int_eq(tc_amount_parse("1", 1, NULL), TC_EINVAL);
}
END_TEST

START_TEST(layouts) {
  size_t count = 0, seen = 0;
  const tc_abi_member *rows = tc_abi_layout(&count);
  ck_assert_uint_eq(tc_abi_version(), TC_ABI_VERSION);
  ck_assert_ptr_eq(tc_abi_layout(NULL), rows);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(rows[i].type, "tc_tip_new") != 0) continue;
    seen++;
    if (!*rows[i].name) ck_assert_uint_eq(rows[i].size_bytes, sizeof(tc_tip_new));
    if (!strcmp(rows[i].name, "amount")) {
      ck_assert_uint_eq(rows[i].offset_bytes, offsetof(tc_tip_new, amount));
      ck_assert_uint_eq(rows[i].size_bytes, sizeof(int64_t));
    }
  }
  ck_assert_uint_eq(seen, 10);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("batch");
  TCase *tcase = tcase_create("batch");
  tcase_add_loop_test(tcase, each_line_has_its_answer, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, other_kinds, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, calls_that_are_wrong, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, more_lines_than_the_queue_holds, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, freed_before_its_answers, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, waiting_has_an_end, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, a_disk_that_hangs_does_not_hold_the_call, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, inside_a_completion, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, whoever_cannot_wait_is_called, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, what_is_committed_is_not_pending, 0, KIT_BACKENDS);
  tcase_add_loop_test(tcase, whoever_cannot_wait_is_refused_what_has_no_room, 0, KIT_BACKENDS);
  tcase_add_test(tcase, amounts);
  tcase_add_test(tcase, layouts);
  suite_add_tcase(suite, tcase);
  return kit_run(suite);
}
