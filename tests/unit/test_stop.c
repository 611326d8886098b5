/* How a front begins and how it ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front_kit.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

START_TEST(stop_lets_running_exchanges_finish) {
  front_start();
  int parked = client_open(), running = client_open(), begun = client_open();
  client_send(parked, GET("/echo"));
  ck_assert_int_eq(client_status(parked), 200);
  client_send(begun, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  (void)client_read(begun, 0);
  client_send(running, GET("/hold"));
  FRONT_WAIT(front_held() == 1);
  tcd_front_stop(front, 5000);
  ck_assert(client_ended(parked));
  ck_assert_int_eq(client_status(begun), 503);
  ck_assert(client_silent(running));
  front_release();
  ck_assert_ptr_nonnull(strstr(client_read(running, 0), "Connection: close\r\n"));
  close(begun);
  close(running);
  front_join();
  front_end();
}
END_TEST

START_TEST(second_stop_ends_at_once) {
  front_start();
  int fd = client_open();
  client_send(fd, GET("/hold"));
  FRONT_WAIT(front_held() == 1);
  tcd_front_stop(front, 3600000);
  tcd_front_stop(front, 0);
  front_join();
  ck_assert(client_ended(fd));
  front_release(); /* after run, before close: nobody may be hurt */
  front_end();
}
END_TEST

START_TEST(grace_ends_by_the_clock) {
  front_start();
  int fd = client_open();
  client_send(fd, GET("/hold"));
  FRONT_WAIT(front_held() == 1);
  tcd_front_stop(front, 1000);
  front_nap();
  ck_assert(client_silent(fd));
  while (client_silent(fd)) { /* the grace counts from when the front has seen the stop */
    front_advance(100);
    front_nap();
  }
  ck_assert(client_ended(fd));
  front_join();
  front_end();
}
END_TEST

START_TEST(addresses) {
  static const char *const bad[] = {"", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "::1:0", "[::1:0", "127.0.0.1:80 "};
  char error[256];
  tcd_front_options options = {.listen = NULL};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    options.listen = bad[i];
    error[0] = '\0';
    ck_assert_int_eq(tcd_front_open(&front, &options, error, sizeof error), TC_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "listen: "));
  }
  front_options.listen = ":0";
  front_start();
  int fd = client_open();
  client_send(fd, GET("/echo"));
  ck_assert_int_eq(client_status(fd), 200);
  options.listen = tcd_front_address(front); /* taken */
  tcd_front *other = NULL;
  ck_assert_int_eq(tcd_front_open(&other, &options, error, sizeof error), TC_ESTORAGE);
  ck_assert_ptr_null(other);
  front_end();
}
END_TEST

int main(void) {
  const TTest *const tests[] = {addresses, stop_lets_running_exchanges_finish, second_stop_ends_at_once, grace_ends_by_the_clock};
  Suite *suite = suite_create("stop");
  TCase *tcase = tcase_create("stop");
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) tcase_add_test(tcase, tests[i]);
  tcase_set_timeout(tcase, 60);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
