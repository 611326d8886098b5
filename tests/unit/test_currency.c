/* Currencies: the codes, what is stored and shown, lists, keys, and the log's own default. */
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"
#include "model/currency.h"

static kit k;

static void set_up(void) { kit_init(&k, 1); }

static void tear_down(void) { kit_clean(&k); }

static tc_text span(const char *text) { return (tc_text){text, strlen(text)}; }

START_TEST(codes_are_known_or_not) {
  static const char *const known[] = {"USD", "EUR", "JPY", "AED", "ZWG", "XXX", "XCG"};
  static const char *const unknown[] = {"", "usd", "Usd", "US", "USDX", "AAA", "ZZZ", "BTC", "HRK", "DEM", " US", "ED ", "D A"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) ck_assert_msg(tci_currency_known(span(known[i])), "%s", known[i]);
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) ck_assert_msg(!tci_currency_known(span(unknown[i])), "%s", unknown[i]);
  ck_assert(!tci_currency_known((tc_text){NULL, 0}));
  ck_assert(!tci_currency_known((tc_text){"US\0", 3}));
}
END_TEST

/* Creates a tip; its JSON holds `shown`, or names no currency at all. */
static int create(const char *currency, const char *key, const char *shown, int32_t *replayed) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  tip.room_id = tip.sender_id = tip.recipient_id = "r";
  tip.amount = 500;
  tip.currency = currency;
  tip.idempotency_key = key;
  int rc = tc_tip_create(k.engine, &tip, &event, replayed);
  if (rc) return rc;
  const char *json = tc_event_json(event, NULL), *at = strstr(json, "currency");
  ck_assert_msg(shown ? strstr(json, shown) != NULL : !at, "%s", json);
  ck_assert_pstr_eq(tc_event_str(event, TC_FIELD_CURRENCY), shown ? currency : NULL);
  tc_event_unref(event);
  return TC_OK;
}

static int64_t total(const char *currency, const char *room) {
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  query.currency = currency;
  query.room_id = room;
  ck_assert_int_eq(tc_tip_list(k.engine, &query, &page), TC_OK);
  int64_t n = tc_page_total(page);
  ck_assert_int_eq((int64_t)tc_page_count(page), n);
  tc_page_free(page);
  return n;
}

START_TEST(only_another_currency_is_shown) {
  kit_open(&k);
  ck_assert_str_eq(tc_engine_currency(k.engine), "USD");
  ck_assert_int_eq(create(NULL, NULL, NULL, NULL), TC_OK);
  ck_assert_int_eq(create("USD", NULL, NULL, NULL), TC_OK);
  ck_assert_int_eq(create("EUR", NULL, ",\"amount\":5.00,\"currency\":\"EUR\",\"message\":null", NULL), TC_OK);
  ck_assert_int_eq(create("eur", NULL, NULL, NULL), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "currency: "));
  ck_assert_int_eq(create("", NULL, NULL, NULL), TC_EINVAL);
  for (int i = 0; i < 2; i++) { /* from the tail, then from the index alone */
    ck_assert_int_eq(total(NULL, NULL), 3);
    ck_assert_int_eq(total("USD", NULL), 2);
    ck_assert_int_eq(total("USD", "r"), 2);
    ck_assert_int_eq(total("EUR", "r"), 1);
    ck_assert_int_eq(total("EUR", "s"), 0);
    ck_assert_int_eq(total("JPY", NULL), 0);
    ck_assert_int_eq(total("", NULL), 0);
    kit_close(&k);
    kit_open(&k);
  }
}
END_TEST

START_TEST(a_key_compares_the_currency) {
  int32_t replayed = -1;
  kit_open(&k);
  ck_assert_int_eq(create("EUR", "a", "\"EUR\"", NULL), TC_OK);
  ck_assert_int_eq(create("EUR", "a", "\"EUR\"", &replayed), TC_OK);
  ck_assert_int_eq(replayed, 1);
  ck_assert_int_eq(create(NULL, "a", NULL, NULL), TC_EMISMATCH);
  ck_assert_int_eq(create("JPY", "a", NULL, NULL), TC_EMISMATCH);
  ck_assert_int_eq(create(NULL, "b", NULL, NULL), TC_OK);
  ck_assert_int_eq(create("USD", "b", NULL, &replayed), TC_OK);
  ck_assert_int_eq(replayed, 1);
}
END_TEST

static void open_with(const char *currency, const char *gives) {
  k.options.storage_url = k.url;
  k.options.currency = currency;
  k.engine = NULL;
  int rc = tc_open(&k.engine, &k.options);
  if (!gives) {
    ck_assert_int_eq(rc, TC_EINVAL);
    ck_assert_msg(strstr(tc_last_error(), "currency: ") != NULL, "%s", tc_last_error());
    ck_assert_ptr_null(k.engine);
    return;
  }
  ck_assert_msg(!rc, "%s", tc_last_error());
  ck_assert_str_eq(tc_engine_currency(k.engine), gives);
}

START_TEST(the_log_remembers_its_default) {
  open_with("eur", NULL);
  open_with("", NULL);
  open_with("EUR", "EUR");
  kit_close(&k);
  open_with(NULL, "EUR");
  kit_close(&k);
  open_with("JPY", "JPY"); /* nothing is stored yet */
  ck_assert_int_eq(create("JPY", NULL, NULL, NULL), TC_OK);
  ck_assert_int_eq(create("USD", NULL, "\"currency\":\"USD\"", NULL), TC_OK);
  kit_close(&k);
  open_with("EUR", NULL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "JPY"));
  open_with(NULL, "JPY");
  ck_assert_int_eq(total("JPY", NULL), 1);
  ck_assert_int_eq(total("USD", NULL), 1);
  kit_close(&k);
  open_with("JPY", "JPY");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("currencies");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, codes_are_known_or_not);
  tcase_add_test(all, only_another_currency_is_shown);
  tcase_add_test(all, a_key_compares_the_currency);
  tcase_add_test(all, the_log_remembers_its_default);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
