/* What waits for a busy receiver is signed ahead, on another thread: the signatures are those of the moment of sending all the same. */
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"
#include "fake_transport_kit.h"
#include "webhook/sign.h"

#define TIPS 400
#define OLD "s3cret"
#define NEW "an0ther"

static fake_transport f;
static kit k;
static tc_webhook_options hooks;
static int by_old, by_new, wrong; /* of the dispatcher's thread; read when it is at rest */

static int is_signed_by(const tc_send *send, const char *secret) {
  char body[TCI_SIGNATURE_SIZE];
  const char *at = fake_header(send, "webhook-timestamp");
  tci_signer *signer = tci_signer_new((tc_text){secret, strlen(secret)});
  tci_buf standard;
  ck_assert_ptr_nonnull(signer);
  tci_buf_init(&standard, 256);
  ck_assert_int_eq(tci_sign_body(signer, send->body, body), TC_OK);
  ck_assert_int_eq(tci_sign_standard(signer, fake_header(send, "webhook-id"), atoll(at), send->body, &standard), TC_OK);
  int is = !strcmp(fake_header(send, "X-TipCurrent-Signature"), body) &&
           !strncmp(fake_header(send, "webhook-signature"), standard.data, standard.len) /* the one before signs along */;
  tci_signer_free(signer);
  tci_buf_free(&standard);
  return is;
}

static int checked_begin(void *userdata, tc_send *send) {
  if (is_signed_by(send, OLD)) by_old++;
  else if (is_signed_by(send, NEW)) by_new++;
  else wrong++;
  return f.ops.begin(userdata, send);
}

static int64_t open_with_backlog(int backend) {
  static tc_transport checked;
  tc_webhook_new new_hook = TC_WEBHOOK_NEW_INIT;
  tc_webhook *made = NULL;
  by_old = by_new = wrong = 0;
  fake_open(&f, 0);
  checked = f.ops;
  checked.begin = checked_begin;
  kit_init(&k, backend);
  hooks = (tc_webhook_options)TC_WEBHOOK_OPTIONS_INIT;
  hooks.transport = &checked;
  hooks.max_per_endpoint = 1;
  k.options.webhooks = &hooks;
  kit_open(&k);
  new_hook.url = "https://receiver.example/";
  new_hook.events = "*";
  new_hook.secret = OLD;
  ck_assert_msg(!tc_webhook_create(k.engine, &new_hook, &made, NULL), "%s", tc_last_error());
  int64_t id = tc_webhook_id(made);
  tc_webhook_unref(made);
  for (int i = 0; i < TIPS; i++) (void)kit_tip(&k, "r", "a", 100 + i, NULL);
  return id;
}

static void close_all(void) {
  kit_clean(&k);
  fake_close(&f);
}

static int has_begun(void *count) { return fake_begun(&f) >= *(int *)count; }

static void answer_all(int count) {
  pthread_mutex_lock(&f.mutex);
  f.auto_status = 200;
  pthread_mutex_unlock(&f.mutex);
  f.ops.wake(f.ops.userdata);
  ck_assert_msg(kit_until(has_begun, &count), "%d of %d were sent", fake_begun(&f), count);
}

START_TEST(all_are_signed) {
  (void)open_with_backlog(_i);
  answer_all(TIPS);
  close_all();
  ck_assert_int_eq(wrong, 0);
  ck_assert_int_eq(by_old, TIPS);
}
END_TEST

START_TEST(a_new_secret_counts_at_once) {
  int64_t id = open_with_backlog(_i);
  int one = 1;
  ck_assert(kit_until(has_begun, &one));
  tc_webhook_change change = TC_WEBHOOK_CHANGE_INIT;
  change.secret = NEW;
  ck_assert_msg(!tc_webhook_update(k.engine, id, &change, NULL), "%s", tc_last_error());
  answer_all(TIPS);
  close_all();
  ck_assert_int_eq(wrong, 0);
  ck_assert_int_eq(by_old, 1);
  ck_assert_int_eq(by_new, TIPS - 1);
}
END_TEST

START_TEST(a_removed_webhook_gets_no_more) {
  int64_t id = open_with_backlog(_i);
  int one = 1;
  ck_assert(kit_until(has_begun, &one));
  ck_assert_int_eq(tc_webhook_delete(k.engine, id), TC_OK);
  answer_all(1);
  (void)kit_tip(&k, "r", "a", 100, NULL);
  close_all();
  ck_assert_int_eq(by_old, 1);
  ck_assert_int_eq(wrong, 0);
}
END_TEST

START_TEST(a_close_in_the_middle_leaves_the_rest_owed) {
  (void)open_with_backlog(_i);
  int some = 20;
  answer_all(some);
  kit_close(&k);
  kit_open(&k);
  answer_all(TIPS);
  close_all();
  ck_assert_int_eq(wrong, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("signed ahead");
  TCase *all = tcase_create("all");
  suite_add_tcase(suite, all);
  tcase_add_loop_test(all, all_are_signed, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, a_new_secret_counts_at_once, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, a_removed_webhook_gets_no_more, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, a_close_in_the_middle_leaves_the_rest_owed, 1, KIT_BACKENDS); /* memory forgets */
  return kit_run(suite);
}
