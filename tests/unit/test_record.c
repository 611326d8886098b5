/* Reading, checking and comparing records: cases O-28 to O-32 and O-38 as far as they need no server. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "model/fail.h"
#include "model/kind.h"
#include "model/record.h"
#include "tipcurrent/event.h"

#define TIP(members) "{\"roomId\":\"r\",\"senderId\":\"s\",\"recipientId\":\"p\"," members "}"
#define AMOUNT(text) TIP("\"amount\":" text)
#define MESSAGE(text) TIP("\"amount\":1,\"message\":" text)
#define FIRE "\xf0\x9f\x94\xa5"

static tci_buf scratch;
static tc_record record;

static void setup(void) { tci_buf_init(&scratch, 1 << 20); }
static void teardown(void) { tci_buf_free(&scratch); }

static int decode_len(uint32_t kind, const char *json, size_t len) {
  tci_fail_clear();
  memset(&record, 0x55, sizeof record);
  int rc = tci_record_decode(kind, json, len, &scratch, &record);
  ck_assert_msg(rc == TC_OK || record.kind == 0x55555555, "the output was written on failure");
  ck_assert(rc == TC_OK || *tci_fail_detail());
  return rc;
}

static int decode(const char *json) { return decode_len(TC_KIND_TIP, json, strlen(json)); }

static void expect_text(uint32_t column, const char *text) {
  if (!text) {
    ck_assert_ptr_null(record.text[column].ptr);
    return;
  }
  ck_assert_ptr_nonnull(record.text[column].ptr);
  ck_assert_uint_eq(record.text[column].len, strlen(text));
  ck_assert_int_eq(memcmp(record.text[column].ptr, text, strlen(text)), 0);
}

static void expect_refused(const char *json, const char *detail) {
  ck_assert_msg(decode(json) == TC_EINVAL, "accepted: %s", json);
  ck_assert_msg(!strcmp(tci_fail_detail(), detail), "%s: %s", json, tci_fail_detail());
}

START_TEST(a_tip_is_read) {
  ck_assert_int_eq(decode("{\"id\":9,\"roomId\":\"room-1\",\"senderId\":\"alice\",\"recipientId\":\"bob\",\"amount\":100.5,\"message\":\"hi \\\"" FIRE "\\\"\","
                          "\"metadata\":\"{\\\"a\\\":1}\",\"createdAt\":\"x\",\"other\":[{}]}"),
                   TC_OK);
  ck_assert_uint_eq(record.kind, TC_KIND_TIP);
  ck_assert_int_eq(record.amount, 10050);
  ck_assert_int_eq(record.id, 0);
  ck_assert_int_eq(record.seq, 0);
  ck_assert_int_eq(record.created_at_us, 0);
  ck_assert_uint_eq(record.flags, 0);
  expect_text(TC_COL_ROOM, "room-1");
  expect_text(TC_COL_USER, "alice");
  expect_text(TC_COL_PEER, "bob");
  expect_text(TC_COL_BODY, "hi \"" FIRE "\"");
  expect_text(TC_COL_TARGET, NULL);
  expect_text(TC_COL_METADATA, "{\"a\":1}");
  expect_text(TC_COL_KEY, NULL);
  ck_assert_int_eq(tci_record_validate(&record), TC_OK);
}
END_TEST

START_TEST(a_reaction_is_read) {
  static const char json[] = "{\"roomId\":\"r\",\"userId\":\"u\",\"emoji\":\"\\ud83d\\udd25\",\"targetId\":\"\",\"amount\":\"no\",\"senderId\":5}";
  ck_assert_int_eq(decode_len(TC_KIND_REACTION, json, sizeof json - 1), TC_OK);
  ck_assert_uint_eq(record.kind, TC_KIND_REACTION);
  ck_assert_int_eq(record.amount, 0);
  expect_text(TC_COL_ROOM, "r");
  expect_text(TC_COL_USER, "u");
  expect_text(TC_COL_PEER, NULL);
  expect_text(TC_COL_BODY, FIRE);
  expect_text(TC_COL_TARGET, "");
  expect_text(TC_COL_METADATA, NULL);
  ck_assert_int_eq(tci_record_validate(&record), TC_OK);
}
END_TEST

START_TEST(optional_members_may_be_null_empty_and_blank) {
  ck_assert_int_eq(decode(TIP("\"amount\":1,\"message\":null,\"metadata\":null")), TC_OK);
  expect_text(TC_COL_BODY, NULL);
  expect_text(TC_COL_METADATA, NULL);
  ck_assert_int_eq(decode(TIP("\"amount\":1,\"message\":\"\",\"metadata\":\"  \"")), TC_OK);
  expect_text(TC_COL_BODY, "");
  expect_text(TC_COL_METADATA, "  ");
}
END_TEST

START_TEST(o_28_exact_decimals) {
  static const struct {
    const char *json;
    int64_t amount;
  } taken[] = {
    {AMOUNT("100"), 10000},
    {AMOUNT("100.0"), 10000},
    {AMOUNT("1e2"), 10000},
    {AMOUNT("1E+2"), 10000},
    {AMOUNT("10000e-2"), 10000},
    {AMOUNT("\"100.00\""), 10000},
    {AMOUNT("\"\\u0031\\u00300.00\""), 10000},
    {AMOUNT("90071992547409.93"), 9007199254740993},
    {AMOUNT("92233720368547758.07"), INT64_MAX},
  };
  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
    ck_assert_msg(decode(taken[i].json) == TC_OK, "%s: %s", taken[i].json, tci_fail_detail());
    ck_assert_int_eq(record.amount, taken[i].amount);
  }
  expect_refused(AMOUNT("92233720368547758.08"), "amount: must be at most 92233720368547758.07");
  expect_refused(AMOUNT("99999999999999999.99"), "amount: must be at most 92233720368547758.07");
  expect_refused(AMOUNT("100000000000000000"), "amount: must be at most 92233720368547758.07");
  expect_refused(AMOUNT("1e17"), "amount: must be at most 92233720368547758.07");
  expect_refused(AMOUNT("-0"), "amount: must be greater than 0");
  expect_refused(AMOUNT("0"), "amount: must be greater than 0");
  expect_refused(AMOUNT("-1"), "amount: must be greater than 0");
  expect_refused(AMOUNT("0.001"), "amount: must have at most 2 decimals");
  expect_refused(AMOUNT("100.005"), "amount: must have at most 2 decimals");
}
END_TEST

START_TEST(o_29_what_is_not_a_number) {
  static const char *const no_json[] = {AMOUNT("NaN"), AMOUNT("Infinity"), AMOUNT("-"),    AMOUNT("+1"), AMOUNT(".5"),
                                        AMOUNT("1."),  AMOUNT("01"),       AMOUNT("0x10"), AMOUNT("1e"), AMOUNT("1_000")};
  for (size_t i = 0; i < sizeof no_json / sizeof no_json[0]; i++) {
    ck_assert_msg(decode(no_json[i]) == TC_EINVAL, "accepted: %s", no_json[i]);
    ck_assert_msg(!strncmp(tci_fail_detail(), "body: ", 6) && strstr(tci_fail_detail(), " at byte "), "%s: %s", no_json[i], tci_fail_detail());
  }
  static const char *const no_number[] = {AMOUNT("\"NaN\""),      AMOUNT("\"abc\""), AMOUNT("\"\""), AMOUNT("\" 1\""), AMOUNT("\"0x10\""),
                                          AMOUNT("\"1\\u0000\""), AMOUNT("true"),    AMOUNT("[]"),   AMOUNT("{}")};
  for (size_t i = 0; i < sizeof no_number / sizeof no_number[0]; i++) expect_refused(no_number[i], "amount: must be a number");
  expect_refused(AMOUNT("null"), "amount: is required");
  expect_refused(TIP("\"message\":\"x\""), "amount: is required");
}
END_TEST

START_TEST(o_29_exponents_and_a_million_digits_are_refused_at_once) {
  size_t digits = 1000000, len = 0;
  char *json = tci_alloc(digits + 200);
  ck_assert_ptr_nonnull(json);
  const char *heads[] = {"\"amount\":", "\"amount\":\""}, *tails[] = {"}", "\"}"};
  for (int i = 0; i < 2; i++) {
    len = (size_t)snprintf(json, 200, "{\"roomId\":\"r\",\"senderId\":\"s\",\"recipientId\":\"p\",%s", heads[i]);
    memset(json + len, '7', digits);
    memcpy(json + len + digits, tails[i], strlen(tails[i]));
    int64_t begin = tci_sys_monotonic_us(NULL);
    ck_assert_int_eq(decode_len(TC_KIND_TIP, json, len + digits + strlen(tails[i])), TC_EINVAL);
    ck_assert_int_lt(tci_sys_monotonic_us(NULL) - begin, 50000);
    ck_assert_str_eq(tci_fail_detail(), "amount: must be at most 92233720368547758.07");
  }
  tci_free(json);
  int64_t begin = tci_sys_monotonic_us(NULL);
  expect_refused(AMOUNT("1e1000000000"), "amount: must be at most 92233720368547758.07");
  expect_refused(AMOUNT("\"1e1000000000\""), "amount: must be at most 92233720368547758.07");
  expect_refused(AMOUNT("1e-1000000000"), "amount: must have at most 2 decimals");
  ck_assert_int_lt(tci_sys_monotonic_us(NULL) - begin, 50000);
}
END_TEST

START_TEST(o_30_objects) {
  ck_assert_int_eq(decode("{\"roomId\":\"r\",\"roomId\":\"s\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":\"x\",\"amount\":2}"), TC_OK);
  expect_text(TC_COL_ROOM, "s");
  ck_assert_int_eq(record.amount, 200);
  static const char *const bodies[] = {"null", "[]", "\"x\"", "", AMOUNT("1") " x", AMOUNT("1") AMOUNT("1")};
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    ck_assert_int_eq(decode(bodies[i]), TC_EINVAL);
    ck_assert_msg(!strncmp(tci_fail_detail(), "body: ", 6), "%s", tci_fail_detail());
  }
  expect_refused("[]", "body: a JSON object is expected at byte 0");
  expect_refused("{\"x\":", "body: the text ends too early at byte 5");
  expect_refused(TIP("\"amount\":1,\"metadata\":{\"a\":1}"), "metadata: must be a string");
  ck_assert_int_eq(decode(TIP("\"amount\":1,\"metadata\":\"{\\\"a\\\":1}\"")), TC_OK);
  expect_text(TC_COL_METADATA, "{\"a\":1}");
  char deep[100020] = "{\"x\":";
  memset(deep + 5, '[', 100000);
  ck_assert_int_eq(decode_len(TC_KIND_TIP, deep, 100005), TC_EINVAL);
}
END_TEST

START_TEST(o_31_nul_bad_utf_8_and_lone_surrogates) {
  expect_refused(MESSAGE("\"a\\u0000b\""), "message: must not contain U+0000");
  static const char *const bodies[] = {MESSAGE("\"\xc0\x80\""), MESSAGE("\"\xed\xa0\x80\""), MESSAGE("\"\xf5\x80\x80\x80\""),      MESSAGE("\"\xff\""),
                                       MESSAGE("\"\\ud83d\""),  MESSAGE("\"\\udc00x\""),     MESSAGE("\"\\ud83d\\ud83d\\udd25\""), MESSAGE("\"\x01\"")};
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) ck_assert_msg(decode(bodies[i]) == TC_EINVAL, "sample %zu", i);
}
END_TEST

/* `count` times `what`, as the member `name` of an object whose other members stand in `rest`. */
static int decode_repeated(uint32_t kind, const char *rest, const char *name, const char *what, size_t count) {
  tci_buf json;
  tci_buf_init(&json, 1 << 20);
  int bad = tci_buf_printf(&json, "{%s,\"%s\":\"", rest, name);
  for (size_t i = 0; i < count; i++) bad |= tci_buf_puts(&json, what);
  bad |= tci_buf_puts(&json, "\"}");
  ck_assert_int_eq(bad, 0);
  int rc = decode_len(kind, json.data, json.len);
  tci_buf_free(&json);
  return rc;
}

START_TEST(o_32_lengths_count_code_points) {
  static const struct {
    uint32_t kind;
    const char *rest, *name, *what;
    size_t most;
    const char *detail;
  } samples[] = {
    {TC_KIND_REACTION, "\"roomId\":\"r\",\"userId\":\"u\"", "emoji", FIRE, 100, "emoji: must be at most 100 characters"},
    {TC_KIND_REACTION, "\"roomId\":\"r\",\"userId\":\"u\"", "emoji", "\\ud83d\\udd25", 100, "emoji: must be at most 100 characters"},
    {TC_KIND_REACTION, "\"roomId\":\"r\",\"userId\":\"u\",\"emoji\":\"e\"", "targetId", "\xc3\xa9", 255, "targetId: must be at most 255 characters"},
    {TC_KIND_TIP, "\"roomId\":\"r\",\"senderId\":\"s\",\"recipientId\":\"p\",\"amount\":1", "message", FIRE, 1000, "message: must be at most 1000 characters"},
    {TC_KIND_TIP, "\"senderId\":\"s\",\"recipientId\":\"p\",\"amount\":1", "roomId", "\xc3\xa9", 255, "roomId: must be at most 255 characters"},
    {TC_KIND_TIP, "\"roomId\":\"r\",\"recipientId\":\"p\",\"amount\":1", "senderId", "x", 255, "senderId: must be at most 255 characters"},
    {TC_KIND_TIP, "\"roomId\":\"r\",\"senderId\":\"s\",\"amount\":1", "recipientId", FIRE, 255, "recipientId: must be at most 255 characters"},
    {TC_KIND_TIP, "\"roomId\":\"r\",\"senderId\":\"s\",\"recipientId\":\"p\",\"amount\":1", "metadata", FIRE, 16384, "metadata: must be at most 65536 bytes"},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    int rc = decode_repeated(samples[i].kind, samples[i].rest, samples[i].name, samples[i].what, samples[i].most);
    ck_assert_msg(rc == TC_OK, "%s: %s", samples[i].name, tci_fail_detail());
    ck_assert_int_eq(decode_repeated(samples[i].kind, samples[i].rest, samples[i].name, samples[i].what, samples[i].most + 1), TC_EINVAL);
    ck_assert_str_eq(tci_fail_detail(), samples[i].detail);
  }
}
END_TEST

START_TEST(what_is_missing_or_of_another_type_is_named_in_order) {
  expect_refused("{}", "roomId: is required");
  expect_refused("{\"roomId\":null}", "roomId: is required");
  expect_refused("{\"roomId\":5,\"senderId\":6}", "roomId: must be a string");
  expect_refused("{\"roomId\":true}", "roomId: must be a string");
  expect_refused("{\"roomId\":\"\"}", "roomId: must not be blank");
  expect_refused("{\"roomId\":\" \\t\\u3000\"}", "roomId: must not be blank");
  expect_refused("{\"roomId\":\"r\",\"amount\":0}", "senderId: is required");
  expect_refused("{\"roomId\":\"r\",\"senderId\":\"s\"}", "recipientId: is required");
  expect_refused(MESSAGE("5"), "message: must be a string");
  ck_assert_int_eq(decode_len(TC_KIND_REACTION, "{\"roomId\":\"r\",\"userId\":\"u\",\"emoji\":\" \"}", 39), TC_EINVAL);
  ck_assert_str_eq(tci_fail_detail(), "emoji: must not be blank");
  ck_assert_int_eq(decode_len(77, "{}", 2), TC_EINVAL);
  ck_assert_str_eq(tci_fail_detail(), "kind: there is no kind 77");
}
END_TEST

START_TEST(a_scratch_too_small_is_no_crash) {
  tci_buf small;
  tci_buf_init(&small, 3);
  static const char json[] = MESSAGE("\"\\n\\n\"");
  ck_assert_int_eq(tci_record_decode(TC_KIND_TIP, json, sizeof json - 1, &small, &record), TC_ELIMIT);
  tci_buf_free(&small);
}
END_TEST

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

static tc_record valid_tip(void) {
  tc_record tip;
  memset(&tip, 0, sizeof tip);
  tip.kind = TC_KIND_TIP;
  tip.amount = 1;
  tip.text[TC_COL_ROOM] = text_of("r");
  tip.text[TC_COL_USER] = text_of("s");
  tip.text[TC_COL_PEER] = text_of("p");
  return tip;
}

static void expect_invalid(const tc_record *tip, const char *detail) {
  ck_assert_int_eq(tci_record_validate(tip), TC_EINVAL);
  ck_assert_str_eq(tci_fail_detail(), detail);
}

START_TEST(records_from_the_c_api_are_checked_by_the_same_rules) {
  tc_record tip = valid_tip();
  ck_assert_int_eq(tci_record_validate(&tip), TC_OK);
  tip.amount = 0;
  expect_invalid(&tip, "amount: must be greater than 0");
  tip.amount = INT64_MIN;
  expect_invalid(&tip, "amount: must be greater than 0");
  tip = valid_tip();
  tip.text[TC_COL_USER].ptr = NULL;
  expect_invalid(&tip, "senderId: is required");
  tip = valid_tip();
  tip.text[TC_COL_BODY] = text_of("\xff");
  expect_invalid(&tip, "message: must be valid UTF-8");
  tip.text[TC_COL_BODY] = (tc_text){"a\0b", 3};
  expect_invalid(&tip, "message: must not contain U+0000");
  tip = valid_tip();
  tip.text[TC_COL_TARGET] = text_of("t");
  expect_invalid(&tip, "text 4: a tip has none");
  tip = valid_tip();
  tip.kind = 0;
  expect_invalid(&tip, "kind: there is no kind 0");
  tip = valid_tip();
  tip.kind = TC_KIND_REACTION;
  tip.text[TC_COL_BODY] = text_of(FIRE);
  tip.text[TC_COL_PEER].ptr = NULL;
  expect_invalid(&tip, "amount: a reaction has none");
}
END_TEST

START_TEST(o_38_keys) {
  char key[1100];
  tc_record tip = valid_tip();
  for (size_t i = 0; i < 256; i++) memcpy(key + 4 * i, FIRE, 4);
  tip.text[TC_COL_KEY] = (tc_text){key, 255 * 4};
  ck_assert_int_eq(tci_record_validate(&tip), TC_OK);
  tip.text[TC_COL_KEY].len = 256 * 4;
  expect_invalid(&tip, "Idempotency-Key: must be at most 255 characters");
  tip.text[TC_COL_KEY].len = 0;
  expect_invalid(&tip, "Idempotency-Key: must not be empty");
  static const char *const controls[] = {"\x01", "a\tb", "a\x1f", "\x7f", "a\xc2\x80", "\xc2\x9f!"};
  for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
    tip.text[TC_COL_KEY] = text_of(controls[i]);
    expect_invalid(&tip, "Idempotency-Key: must not contain control characters");
  }
  tip.text[TC_COL_KEY] = (tc_text){"a\0", 2};
  expect_invalid(&tip, "Idempotency-Key: must not contain control characters");
  tip.text[TC_COL_KEY] = text_of("\xc3");
  expect_invalid(&tip, "Idempotency-Key: must be valid UTF-8");
  static const char *const fine[] = {" ", "550e8400-e29b-41d4-a716-446655440000", "\xc2\xa0", "\xc3\x82\xc3\xa0"};
  for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
    tip.text[TC_COL_KEY] = text_of(fine[i]);
    ck_assert_int_eq(tci_record_validate(&tip), TC_OK);
  }
}
END_TEST

START_TEST(the_request_is_all_but_its_key_and_numbers) {
  tc_record a = valid_tip(), b = valid_tip();
  b.text[TC_COL_ROOM] = (tc_text){"rx", 1}; /* by content, not by place */
  b.text[TC_COL_KEY] = text_of("k");
  b.seq = b.id = b.created_at_us = 7;
  ck_assert(tci_record_same_request(&a, &b));
  b.amount = 2;
  ck_assert(!tci_record_same_request(&a, &b));
  b = valid_tip();
  b.kind = TC_KIND_REACTION;
  ck_assert(!tci_record_same_request(&a, &b));
  for (uint32_t i = 0; i < TC_COL_COUNT; i++) {
    if (i == TC_COL_KEY) continue;
    b = valid_tip();
    b.text[i] = text_of("z");
    ck_assert_msg(!tci_record_same_request(&a, &b), "column %u", i);
    ck_assert_msg(!tci_record_same_request(&b, &a), "column %u", i);
  }
  b = valid_tip();
  b.text[TC_COL_BODY] = text_of("");
  ck_assert(!tci_record_same_request(&a, &b)); /* NULL is not "" */
  a.text[TC_COL_BODY] = (tc_text){"x", 0};
  ck_assert(tci_record_same_request(&a, &b));
}
END_TEST

START_TEST(details_are_cut_between_code_points) {
  char text[700];
  for (size_t shift = 0; shift < 4; shift++) {
    memset(text, 'x', sizeof text);
    for (size_t i = shift; i + 4 < sizeof text; i += 4) memcpy(text + i, FIRE, 4);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(tci_fail(TC_EBUSY, "%s", text), TC_EBUSY);
    size_t len = strlen(tci_fail_detail());
    ck_assert_uint_gt(len, 507);
    ck_assert_uint_le(len, 511);
    ck_assert_uint_eq((len - shift) % 4, 0);
  }
  (void)tci_fail(TC_EBUSY, "one %d", 1);
  (void)tci_fail(TC_EBUSY, "two: %s", tci_fail_detail());
  ck_assert_str_eq(tci_fail_detail(), "two: one 1");
  tci_fail_env(TC_ENOMEM, "%s", "");
  ck_assert_str_eq(tci_fail_detail(), "out of memory");
  tci_fail_clear();
  ck_assert_str_eq(tci_fail_detail(), "");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("record");
  TCase *tests = tcase_create("record");
  suite_add_tcase(suite, tests);
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, a_tip_is_read);
  tcase_add_test(tests, a_reaction_is_read);
  tcase_add_test(tests, optional_members_may_be_null_empty_and_blank);
  tcase_add_test(tests, o_28_exact_decimals);
  tcase_add_test(tests, o_29_what_is_not_a_number);
  tcase_add_test(tests, o_29_exponents_and_a_million_digits_are_refused_at_once);
  tcase_add_test(tests, o_30_objects);
  tcase_add_test(tests, o_31_nul_bad_utf_8_and_lone_surrogates);
  tcase_add_test(tests, o_32_lengths_count_code_points);
  tcase_add_test(tests, what_is_missing_or_of_another_type_is_named_in_order);
  tcase_add_test(tests, a_scratch_too_small_is_no_crash);
  tcase_add_test(tests, records_from_the_c_api_are_checked_by_the_same_rules);
  tcase_add_test(tests, o_38_keys);
  tcase_add_test(tests, the_request_is_all_but_its_key_and_numbers);
  tcase_add_test(tests, details_are_cut_between_code_points);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
