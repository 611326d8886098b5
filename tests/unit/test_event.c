/* The event object: one allocation, one JSON, counted references. */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "model/event.h"
#include "model/fail.h"
#include "model/kind.h"

#define FIRE "\xf0\x9f\x94\xa5"

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

static tc_record tip(void) {
  tc_record record;
  memset(&record, 0, sizeof record);
  record.kind = TC_KIND_TIP;
  record.amount = 10050;
  record.text[TC_COL_ROOM] = text_of("room-1");
  record.text[TC_COL_USER] = text_of("alice");
  record.text[TC_COL_PEER] = text_of("bob");
  return record;
}

static void expect_json(const tc_event *event, const char *json) {
  size_t len = 0;
  ck_assert_str_eq(tc_event_json(event, &len), json);
  ck_assert_uint_eq(len, strlen(json));
  ck_assert_ptr_eq(tc_event_json(event, NULL), tc_event_json(event, &len));
}

START_TEST(a_tip_in_json) {
  tc_record record = tip();
  record.text[TC_COL_BODY] = text_of("say \"hi\" " FIRE " a/b\n");
  record.text[TC_COL_METADATA] = text_of("{\"a\":1}");
  record.text[TC_COL_KEY] = text_of("secret-key");
  tc_event *event = tci_event_new(&record);
  ck_assert_ptr_nonnull(event);
  tci_event_commit(event, 12, 3, 1705314645123456);
  expect_json(event, "{\"id\":3,\"roomId\":\"room-1\",\"senderId\":\"alice\",\"recipientId\":\"bob\",\"amount\":100.50,\"message\":\"say \\\"hi\\\" " FIRE
                     " a/b\\n\",\"metadata\":\"{\\\"a\\\":1}\",\"createdAt\":\"2024-01-15T10:30:45.123Z\"}");
  ck_assert_uint_eq(tc_event_kind(event), TC_KIND_TIP);
  ck_assert_int_eq(tc_event_seq(event), 12);
  ck_assert_int_eq(tc_event_id(event), 3);
  tc_event_unref(event);
}
END_TEST

START_TEST(a_reaction_in_json) {
  tc_record record;
  memset(&record, 0, sizeof record);
  record.kind = TC_KIND_REACTION;
  record.id = 7;
  record.text[TC_COL_ROOM] = text_of("r");
  record.text[TC_COL_USER] = text_of("u");
  record.text[TC_COL_BODY] = text_of(FIRE);
  tc_event *event = tci_event_from_row(&record);
  ck_assert_ptr_nonnull(event);
  expect_json(event, "{\"id\":7,\"roomId\":\"r\",\"userId\":\"u\",\"emoji\":\"" FIRE
                     "\",\"targetId\":null,\"metadata\":null,\"createdAt\":\"1970-01-01T00:00:00.000Z\"}");
  tc_event_unref(event);
  record.text[TC_COL_TARGET] = text_of("");
  event = tci_event_from_row(&record);
  ck_assert_ptr_nonnull(event);
  ck_assert_ptr_nonnull(strstr(tc_event_json(event, NULL), ",\"targetId\":\"\","));
  tc_event_unref(event);
}
END_TEST

START_TEST(ids_of_any_width_fit_and_the_json_is_whole_before_the_commit_too) {
  static const struct {
    int64_t id;
    const char *head;
  } samples[] = {
    {1, "{\"id\":1,\"roomId\""},
    {1234567890, "{\"id\":1234567890,\"roomId\""},
    {INT64_MAX, "{\"id\":9223372036854775807,\"roomId\""},
    {INT64_MIN, "{\"id\":-9223372036854775808,\"roomId\""},
  };
  tc_record record = tip();
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    tc_event *event = tci_event_new(&record);
    ck_assert_ptr_nonnull(event);
    expect_json(event, "{\"id\":0,\"roomId\":\"room-1\",\"senderId\":\"alice\",\"recipientId\":\"bob\",\"amount\":100.50,\"message\":null,\"metadata\":null,"
                       "\"createdAt\":\"1970-01-01T00:00:00.000Z\"}");
    tci_event_commit(event, 1, samples[i].id, INT64_MAX);
    size_t len;
    const char *json = tc_event_json(event, &len);
    ck_assert_msg(!strncmp(json, samples[i].head, strlen(samples[i].head)), "%s", json);
    ck_assert_uint_eq(len, strlen(json));
    ck_assert_str_eq(json + len - 26, "9999-12-31T23:59:59.999Z\"}");
    ck_assert_uint_le((size_t)(json + len + 1 - (const char *)event), event->size_bytes);
    tc_event_unref(event);
  }
}
END_TEST

START_TEST(fields_are_found_by_the_kind) {
  tc_record record = tip();
  record.text[TC_COL_BODY] = text_of("");
  record.created_at_us = 5;
  tc_event *event = tci_event_from_row(&record);
  ck_assert_ptr_nonnull(event);
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_ROOM_ID), "room-1");
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_SENDER_ID), "alice");
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_RECIPIENT_ID), "bob");
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_MESSAGE), "");
  ck_assert_ptr_null(tc_event_str(event, TC_FIELD_METADATA));
  ck_assert_ptr_null(tc_event_str(event, TC_FIELD_USER_ID));
  ck_assert_ptr_null(tc_event_str(event, TC_FIELD_EMOJI));
  ck_assert_ptr_null(tc_event_str(event, TC_FIELD_AMOUNT));
  ck_assert_ptr_null(tc_event_str(event, 0));
  int64_t value = -1;
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_ROOM_ID, &value), TC_ENOTFOUND);
  ck_assert_int_eq(value, -1);
  ck_assert_str_ne(tci_fail_detail(), "");
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_AMOUNT, &value), TC_OK);
  ck_assert_int_eq(value, 10050);
  ck_assert_str_eq(tci_fail_detail(), "");
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_CREATED_AT_US, &value), TC_OK);
  ck_assert_int_eq(value, 5);
  tc_event_unref(event);

  record.kind = TC_KIND_REACTION;
  event = tci_event_from_row(&record);
  ck_assert_ptr_nonnull(event);
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_USER_ID), "alice");
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_EMOJI), "");
  ck_assert_ptr_null(tc_event_str(event, TC_FIELD_SENDER_ID));
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_AMOUNT, &value), TC_ENOTFOUND);
  tc_event_unref(event);
}
END_TEST

START_TEST(the_event_owns_its_texts) {
  char room[] = "room-1", key[] = "key";
  tc_record record = tip();
  record.text[TC_COL_ROOM] = (tc_text){room, 4}; /* not NUL-terminated at its end */
  record.text[TC_COL_KEY] = (tc_text){key, 3};
  tc_event *event = tci_event_new(&record);
  ck_assert_ptr_nonnull(event);
  memset(room, '#', sizeof room);
  memset(key, '#', sizeof key);
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_ROOM_ID), "room");
  ck_assert_str_eq(event->record.text[TC_COL_KEY].ptr, "key");
  ck_assert_ptr_null(strstr(tc_event_json(event, NULL), "key"));
  tc_event_unref(event);
}
END_TEST

START_TEST(an_unknown_kind_gives_no_event) {
  tc_record record = tip();
  record.kind = 63;
  ck_assert_ptr_null(tci_event_new(&record));
  ck_assert_ptr_null(tci_kind_of(63));
  ck_assert_str_eq(tci_kind_of(TC_KIND_TIP)->created, "tip.created");
  ck_assert_str_eq(tci_kind_of(TC_KIND_REACTION)->created, "reaction.created");
}
END_TEST

static void *take_and_drop(void *arg) {
  tc_event *event = arg;
  for (int i = 0; i < 10000; i++) tc_event_unref(tc_event_ref(event));
  tc_event_unref(event);
  return NULL;
}

START_TEST(references_count_over_threads) {
  tc_record record = tip();
  tc_event *event = tci_event_new(&record);
  ck_assert_ptr_nonnull(event);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_drop, tc_event_ref(event)), 0);
  for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  ck_assert_uint_eq(atomic_load(&event->refs), 1);
  ck_assert_ptr_eq(tc_event_ref(event), event);
  tc_event_unref(event);
  tc_event_unref(event); /* the last: AddressSanitizer tells when it leaks or is freed before */
  tc_event_unref(NULL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("event");
  TCase *tests = tcase_create("event");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, a_tip_in_json);
  tcase_add_test(tests, a_reaction_in_json);
  tcase_add_test(tests, ids_of_any_width_fit_and_the_json_is_whole_before_the_commit_too);
  tcase_add_test(tests, fields_are_found_by_the_kind);
  tcase_add_test(tests, the_event_owns_its_texts);
  tcase_add_test(tests, an_unknown_kind_gives_no_event);
  tcase_add_test(tests, references_count_over_threads);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
