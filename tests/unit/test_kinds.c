/* The later kinds: how they read, what is refused, what they show. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "model/event.h"
#include "model/fail.h"
#include "model/kind.h"
#include "model/money.h"
#include "model/record.h"

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

static int decode(uint32_t kind, const char *json, tc_record *record, tci_buf *scratch) {
  tci_buf_init(scratch, strlen(json));
  tci_fail_clear();
  return tci_record_decode(kind, json, strlen(json), scratch, record);
}

static const struct {
  uint32_t kind;
  const char *json, *shown; /* NULL: refused */
  const char *detail;
} readings[] = {
  {TC_KIND_FOLLOW, "{\"type\":\"whatever\",\"roomId\":\"r\",\"userId\":\"u\"}",
   "{\"id\":5,\"type\":\"follow\",\"roomId\":\"r\",\"userId\":\"u\",\"targetId\":null,\"message\":null,\"count\":0,\"metadata\":null,\"createdAt\":\"1970-01-"
   "01T00:00:00.000Z\"}",
   NULL},
  {TC_KIND_RAID, "{\"roomId\":\"r\",\"userId\":\"u\",\"targetId\":\"t\",\"message\":\"\",\"count\":\"25e1\",\"metadata\":\"m\"}",
   "{\"id\":5,\"type\":\"raid\",\"roomId\":\"r\",\"userId\":\"u\",\"targetId\":\"t\",\"message\":\"\",\"count\":250,\"metadata\":\"m\",\"createdAt\":\"1970-01-"
   "01T00:00:00.000Z\"}",
   NULL},
  {TC_KIND_CUSTOM, "{\"type\":\"hype\",\"roomId\":\"r\",\"userId\":\"u\",\"count\":9007199254740991}",
   "{\"id\":5,\"type\":\"hype\",\"roomId\":\"r\",\"userId\":\"u\",\"targetId\":null,\"message\":null,\"count\":9007199254740991,\"metadata\":null,"
   "\"createdAt\":\"1970-01-01T00:00:00.000Z\"}",
   NULL},
  {TC_KIND_TIP, "{\"roomId\":\"r\",\"senderId\":\"s\",\"recipientId\":\"p\",\"amount\":1,\"currency\":\"EUR\"}",
   "{\"id\":5,\"roomId\":\"r\",\"senderId\":\"s\",\"recipientId\":\"p\",\"amount\":1.00,\"currency\":\"EUR\",\"message\":null,\"metadata\":null,"
   "\"createdAt\":\"1970-01-01T00:00:00.000Z\"}",
   NULL},
  {TC_KIND_CUSTOM, "{\"roomId\":\"r\",\"userId\":\"u\"}", NULL, "type: is required"},
  {TC_KIND_SUBSCRIBE, "{\"roomId\":\"r\",\"userId\":\"u\",\"count\":9007199254740992}", NULL, "count: must be at most 9007199254740991"},
  {TC_KIND_SUBSCRIBE, "{\"roomId\":\"r\",\"userId\":\"u\",\"count\":-1}", NULL, "count: must be a whole number from 0 on"},
  {TC_KIND_SUBSCRIBE, "{\"roomId\":\"r\",\"userId\":\"u\",\"count\":0.5}", NULL, "count: must be a whole number from 0 on"},
  {TC_KIND_SUBSCRIBE, "{\"roomId\":\"r\",\"userId\":\"u\",\"count\":1e400}", NULL, "count: must be at most 9223372036854775807"},
  {TC_KIND_SUBSCRIBE, "{\"roomId\":\"r\",\"userId\":\"u\",\"count\":\"\"}", NULL, "count: must be a number"},
  {TC_KIND_SUBSCRIBE, "{\"roomId\":\"r\",\"userId\":\"u\",\"count\":[]}", NULL, "count: must be a number"},
  {TC_KIND_TIP, "{\"roomId\":\"r\",\"senderId\":\"s\",\"recipientId\":\"p\",\"amount\":1,\"currency\":\"eur\"}", NULL, "currency: must be an ISO 4217 code"},
  {TC_KIND_TIP, "{\"roomId\":\"r\",\"senderId\":\"s\",\"recipientId\":\"p\",\"amount\":1,\"currency\":1}", NULL, "currency: must be a string"},
  {TC_KIND_REFUND, "{}", NULL, "kind: a refund is not made from JSON"},
  {TC_KIND_GOAL_REACHED, "{}", NULL, "kind: a goal is not made from JSON"},
  {TC_KIND_WEBHOOK_DISABLED, "{}", NULL, "kind: a webhook is not made from JSON"},
  {TC_KIND_CUSTOM + 1, "{}", NULL, "kind: there is no kind 10"},
  {0, "{}", NULL, "kind: there is no kind 0"},
};

START_TEST(what_callers_send) {
  tci_buf scratch;
  tc_record record;
  int rc = decode(readings[_i].kind, readings[_i].json, &record, &scratch);
  if (!readings[_i].shown) {
    ck_assert_int_eq(rc, TC_EINVAL);
    ck_assert_msg(!strncmp(tci_fail_detail(), readings[_i].detail, strlen(readings[_i].detail)), "%s", tci_fail_detail());
  } else {
    ck_assert_msg(!rc, "%s", tci_fail_detail());
    ck_assert_int_eq(tci_record_validate(&record), TC_OK);
    record.id = 5;
    tc_event *event = tci_event_from_row(&record);
    ck_assert_ptr_nonnull(event);
    ck_assert_str_eq(tc_event_json(event, NULL), readings[_i].shown);
    tc_event_unref(event);
  }
  tci_buf_free(&scratch);
}
END_TEST

static tc_record goal(void) {
  tc_record record = {.kind = TC_KIND_GOAL_REACHED, .amount = 12345};
  record.text[TC_COL_ROOM] = text_of("r");
  record.text[TC_COL_TARGET] = text_of("7");
  record.text[TC_COL_BODY] = text_of("mic");
  return record;
}

START_TEST(what_the_engine_makes) {
  tc_record record = goal();
  int64_t value = -1;
  ck_assert_int_eq(tci_record_validate(&record), TC_OK);
  tc_event *event = tci_event_from_row(&record);
  ck_assert_str_eq(tc_event_json(event, NULL),
                   "{\"id\":0,\"type\":\"goal.reached\",\"goalId\":7,\"roomId\":\"r\",\"title\":\"mic\",\"amount\":123.45,\"count\":null,"
                   "\"createdAt\":\"1970-01-01T00:00:00.000Z\"}");
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_GOAL_ID, &value), TC_OK);
  ck_assert_int_eq(value, 7);
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_COUNT, &value), TC_ENOTFOUND);
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_TIP_ID, &value), TC_ENOTFOUND);
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_TITLE), "mic");
  ck_assert_ptr_null(tc_event_str(event, TC_FIELD_GOAL_ID));
  tc_event_unref(event);
  record.amount = 0;
  record.text[TC_COL_METADATA] = text_of("9223372036854775807");
  ck_assert_int_eq(tci_record_validate(&record), TC_OK);
  event = tci_event_from_row(&record);
  ck_assert_ptr_nonnull(strstr(tc_event_json(event, NULL), "\"amount\":null,\"count\":9223372036854775807,"));
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_COUNT, &value), TC_OK);
  ck_assert_int_eq(value, INT64_MAX);
  tc_event_unref(event);
}
END_TEST

START_TEST(numbers_are_digits) {
  static const char *const wrong[] = {"", "-1", "01", "1.0", "1e2", " 1", "9223372036854775808", "x"};
  tc_record record = goal();
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    record.text[TC_COL_TARGET] = text_of(wrong[i]);
    ck_assert_msg(tci_record_validate(&record) == TC_EINVAL, "'%s' was taken", wrong[i]);
  }
  record.text[TC_COL_TARGET].ptr = NULL;
  ck_assert_int_eq(tci_record_validate(&record), TC_EINVAL);
}
END_TEST

START_TEST(whole_numbers) {
  static const struct {
    const char *text;
    int64_t value; /* -1: refused */
  } cases[] = {
    {"0", 0},      {"0.000", 0}, {"7", 7}, {"7.0", 7}, {"70e-1", 7}, {"0.7e1", 7}, {"9223372036854775807", INT64_MAX}, {"9223372036854775808", -1}, {"7.5", -1},
    {"75e-2", -1}, {"-0", -1},   {"", -1}, {"07", -1}, {"1e99", -1}, {"0e99", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t value = -1;
    const char *reason = tci_whole_parse(cases[i].text, strlen(cases[i].text), &value);
    ck_assert_msg(!reason == (cases[i].value >= 0), "'%s'", cases[i].text);
    ck_assert_int_eq(value, cases[i].value);
  }
}
END_TEST

START_TEST(names_of_events) {
  static const struct {
    uint32_t kind;
    const char *name, *type;
  } names[] = {{TC_KIND_TIP, "tip.created", NULL},           {TC_KIND_REACTION, "reaction.created", NULL},
               {TC_KIND_REFUND, "tip.refunded", NULL},       {TC_KIND_GOAL_REACHED, "goal.reached", NULL},
               {TC_KIND_FOLLOW, "follow.created", "follow"}, {TC_KIND_SUBSCRIBE, "subscribe.created", "subscribe"},
               {TC_KIND_RAID, "raid.created", "raid"},       {TC_KIND_CUSTOM, "cheer.created", NULL}};
  char scratch[TCI_EVENT_NAME_SIZE];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    tc_record record = {.kind = names[i].kind};
    record.text[TC_COL_PEER] = text_of("cheer");
    ck_assert_str_eq(tci_event_name(&record, scratch), names[i].name);
    if (names[i].type) ck_assert_uint_eq(tci_kind_of_type(text_of(names[i].type)), names[i].kind);
  }
  ck_assert_uint_eq(tci_kind_of_type(text_of("tip.refunded")), 0);
  ck_assert_uint_eq(tci_kind_of_type(text_of("follows")), 0);
  ck_assert_uint_eq(tci_kind_of_type((tc_text){NULL, 0}), 0);
}
END_TEST

/* The amount of a refund that was left to the engine is no part of its request; a named one is. */
START_TEST(requests_of_refunds) {
  tc_record a = {.kind = TC_KIND_REFUND, .amount = 0, .ref = 3}, b = {.kind = TC_KIND_REFUND, .amount = 500, .ref = 3};
  a.text[TC_COL_METADATA] = b.text[TC_COL_METADATA] = text_of("rest");
  ck_assert(tci_record_same_request(&a, &b));
  b.text[TC_COL_METADATA].ptr = NULL;
  ck_assert(!tci_record_same_request(&a, &b));
  a.text[TC_COL_METADATA].ptr = NULL;
  ck_assert(!tci_record_same_request(&a, &b));
  a.amount = 500;
  ck_assert(tci_record_same_request(&a, &b));
  b.ref = 4;
  ck_assert(!tci_record_same_request(&a, &b));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("kinds");
  TCase *all = tcase_create("all");
  tcase_add_loop_test(all, what_callers_send, 0, (int)(sizeof readings / sizeof *readings));
  tcase_add_test(all, what_the_engine_makes);
  tcase_add_test(all, numbers_are_digits);
  tcase_add_test(all, whole_numbers);
  tcase_add_test(all, names_of_events);
  tcase_add_test(all, requests_of_refunds);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
