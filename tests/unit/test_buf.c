#include <check.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tipcurrent/error.h"

START_TEST(appends_add_up_and_end_in_nul) {
  tci_buf buf;
  tci_buf_init(&buf, 1000);
  ck_assert_ptr_null(buf.data);
  ck_assert_int_eq(tci_buf_puts(&buf, "one "), 0);
  ck_assert_int_eq(tci_buf_append(&buf, "two\0", 4), 0);
  ck_assert_int_eq(tci_buf_append(&buf, NULL, 0), 0);
  ck_assert_int_eq(tci_buf_printf(&buf, " %d %s", 3, "four"), 0);
  ck_assert_uint_eq(buf.len, 15);
  ck_assert_int_eq(memcmp(buf.data, "one two\0 3 four", 16), 0);
  tci_buf_free(&buf);
}
END_TEST

START_TEST(the_maximum_can_be_reached_and_not_passed) {
  for (size_t max = 0; max < 300; max += 13) {
    tci_buf buf;
    tci_buf_init(&buf, max);
    for (size_t i = 0; i < max; i++) ck_assert_int_eq(tci_buf_append(&buf, "x", 1), 0);
    ck_assert_int_eq(tci_buf_append(&buf, "y", 1), TC_ELIMIT);
    ck_assert_uint_eq(buf.len, max);
    ck_assert_uint_le(buf.cap, max + 64);
    tci_buf_free(&buf);
  }
}
END_TEST

START_TEST(an_error_sticks_until_cleared) {
  tci_buf buf;
  tci_buf_init(&buf, 8);
  ck_assert_int_eq(tci_buf_puts(&buf, "12345"), 0);
  ck_assert_int_eq(tci_buf_puts(&buf, "6789"), TC_ELIMIT); /* all or nothing */
  ck_assert_int_eq(tci_buf_puts(&buf, "6"), TC_ELIMIT);
  ck_assert_int_eq(tci_buf_printf(&buf, "%d", 6), TC_ELIMIT);
  ck_assert_ptr_null(tci_buf_room(&buf, 1));
  ck_assert_str_eq(buf.data, "12345");
  tci_buf_clear(&buf);
  ck_assert_uint_eq(buf.len, 0);
  ck_assert_int_eq(tci_buf_printf(&buf, "%s", "12345678"), 0);
  ck_assert_str_eq(buf.data, "12345678");
  ck_assert_int_eq(tci_buf_printf(&buf, "%s", "9"), TC_ELIMIT);
  ck_assert_str_eq(buf.data, "12345678");
  tci_buf_free(&buf);
}
END_TEST

START_TEST(a_length_near_the_end_of_the_world_is_refused) {
  tci_buf buf;
  tci_buf_init(&buf, 100);
  ck_assert_int_eq(tci_buf_puts(&buf, "x"), 0);
  ck_assert_ptr_null(tci_buf_room(&buf, SIZE_MAX));
  ck_assert_int_eq(buf.err, TC_ELIMIT);
  tci_buf_free(&buf);
}
END_TEST

START_TEST(room_is_asked_for_and_then_told) {
  tci_buf buf;
  tci_buf_init(&buf, 1000);
  char *room = tci_buf_room(&buf, 500);
  ck_assert_ptr_nonnull(room);
  memcpy(room, "abc", 3);
  tci_buf_grow(&buf, 3);
  ck_assert_str_eq(buf.data, "abc");
  tci_buf_free(&buf);
}
END_TEST

START_TEST(the_front_can_be_dropped) {
  tci_buf buf;
  tci_buf_init(&buf, 100);
  tci_buf_consume(&buf, 5); /* nothing there: nothing done */
  ck_assert_int_eq(tci_buf_puts(&buf, "abcdef"), 0);
  tci_buf_consume(&buf, 0);
  tci_buf_consume(&buf, 2);
  ck_assert_str_eq(buf.data, "cdef");
  ck_assert_uint_eq(buf.len, 4);
  tci_buf_consume(&buf, 99);
  ck_assert_uint_eq(buf.len, 0);
  ck_assert_str_eq(buf.data, "");
  tci_buf_free(&buf);
  ck_assert_ptr_null(buf.data);
  tci_buf_free(&buf); /* again is fine */
}
END_TEST

START_TEST(many_small_appends_do_not_move_it_each_time) {
  tci_buf buf;
  int moves = 0;
  tci_buf_init(&buf, 1 << 20);
  for (size_t i = 0, cap = 0; i < 1 << 20; i++) {
    ck_assert_int_eq(tci_buf_append(&buf, "x", 1), 0);
    moves += buf.cap != cap;
    cap = buf.cap;
  }
  ck_assert_int_le(moves, 16);
  tci_buf_free(&buf);
}
END_TEST

START_TEST(memory_of_no_size_is_memory) {
  char *nothing = tci_alloc(0);
  ck_assert_ptr_nonnull(nothing);
  tci_free(nothing);
  tci_free(NULL);
  char *copy = tci_strndup("a\0b", 3);
  ck_assert_ptr_nonnull(copy);
  ck_assert_int_eq(memcmp(copy, "a\0b", 4), 0);
  tci_free(copy);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("buf");
  TCase *tests = tcase_create("buf");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, appends_add_up_and_end_in_nul);
  tcase_add_test(tests, the_maximum_can_be_reached_and_not_passed);
  tcase_add_test(tests, an_error_sticks_until_cleared);
  tcase_add_test(tests, a_length_near_the_end_of_the_world_is_refused);
  tcase_add_test(tests, room_is_asked_for_and_then_told);
  tcase_add_test(tests, the_front_can_be_dropped);
  tcase_add_test(tests, many_small_appends_do_not_move_it_each_time);
  tcase_add_test(tests, memory_of_no_size_is_memory);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
