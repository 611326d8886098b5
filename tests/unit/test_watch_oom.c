/* Notices and watches when memory ends: whichever allocation of a short life fails, nobody is told half of something, nothing is kept, and what was lost is said later. */
#include <stdlib.h>
#include <string.h>

#include "oom_kit.h"
#include "watch_kit.h"

/* ---- */

static _Atomic int state;

static int look(tc_engine *of, tc_text room, int64_t now_us, tcd_saying *saying) {
  const char *text = atomic_load(&state) ? "new" : "old";
  (void)of, (void)room;
  tcd_saying_put(saying, 0, (tc_text){text, 3});
  tcd_saying_put(saying, 1, (tc_text){"also", 4});
  tcd_saying_until(saying, now_us); /* it changes by itself: the engine has nothing to do with it, and its memory neither */
  return TC_OK;
}

static const tcd_watch watch = {TCD_TOPIC_BOARDS, UINT64_C(1) << TC_KIND_TIP, 1, 1, "t", look};
static ear ears[2];

static int is_gone(ear *who) {
  pthread_mutex_lock(&who->lock);
  int cut = who->cut;
  pthread_mutex_unlock(&who->lock);
  ck_assert(!cut || cut == TCD_CUT_MEMORY);
  return cut != 0;
}

/* From the joining of two until both know the new state; one that could not join or was cut off for want of memory comes again. Returns how many allocations that took. */
static int live_through(int fail) {
  static const char *const destinations[2] = {"/topic/leaderboards/a", "/topic/leaderboards"};
  int before = atomic_load(&oom_allocations), seen[2] = {0, 0}, joined[2] = {0, 0};
  atomic_store(&state, 0);
  oom_fail_at(fail ? before + fail : 0);
  for (int i = 0; i < 400 && !(seen[0] && seen[1]); i++) {
    for (int who = 0; who < 2; who++) {
      if (joined[who] && is_gone(&ears[who])) {
        leave(&ears[who]);
        joined[who] = 0;
      }
      if (!joined[who]) joined[who] = try_listen(&ears[who], destinations[who]) == TC_OK;
      if (joined[who]) seen[who] |= has(&ears[who], "new!;");
    }
    if (i == 3) atomic_store(&state, 1);
    pass_step();
  }
  int used = atomic_load(&oom_allocations) - before;
  ck_assert_msg(seen[0] && seen[1], "not both know after failure %d", fail);
  oom_fail_at(0);
  for (int who = 0; who < 2; who++) {
    size_t len;
    for (const char *text = heard(&ears[who]); *text; text += len + 1) {
      len = strcspn(text, ";");
      ck_assert_msg((len == 4 && (!strncmp(text, "old!", 4) || !strncmp(text, "new!", 4))) || (len == 5 && !strncmp(text, "also!", 5)), "%s", text);
    }
    leave(&ears[who]);
  }
  for (int i = 0; i < 3; i++) { /* rooms that nobody follows are forgotten */
    front_advance(61000);
    for (int j = 0; j < 20; j++) pass_step();
  }
  settle();
  return used;
}

START_TEST(whichever_allocation_fails) {
  watch_begin(&watch);
  (void)live_through(0); /* what is made once and kept is made now */
  int used = live_through(0);
  ck_assert_int_gt(used, 10);
  for (int fail = 1; fail <= used + 5; fail++) (void)live_through(fail);
  watch_end();
  ck_assert_int_eq(atomic_load(&oom_blocks), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("watch_oom");
  TCase *all = tcase_create("watch_oom");
  tcase_set_timeout(all, 240);
  tcase_add_test(all, whichever_allocation_fails);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
