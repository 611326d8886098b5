/* A password in a URL is shown to nobody. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"

static const char *const urls[][2] = {
  {"postgresql://tc:s3cret@db.example:5432/tc", "postgresql://tc:***@db.example:5432/tc"},
  {"postgres://tc:a@h/d", "postgres://tc:*@h/d"},
  {"postgresql://tc:with@sign/and:more@h/d?sslmode=require", "postgresql://tc:***@h/d?sslmode=require"},
  {"postgresql://h/d?user=a&password=longer&sslmode=require", "postgresql://h/d?user=a&password=***&sslmode=require"},
  {"postgresql://h/d?sslpassword=longer", "postgresql://h/d?sslpassword=***"},
  {"postgresql://u:pw1@h/d?password=pw2&sslpassword=pw3&x=1", "postgresql://u:***@h/d?password=***&sslpassword=***&x=1"},
  {"postgresql://tc@%2Frun%2Fpostgresql:5433/tc", "postgresql://tc@%2Frun%2Fpostgresql:5433/tc"},
  {"postgresql://h:5432/tc", "postgresql://h:5432/tc"},
  {"postgresql://u:@h/d", "postgresql://u:@h/d"},
  {"postgresql:///?", "postgresql:///?"},
  {"sqlite:dir/a:b@c.db", "sqlite:dir/a:b@c.db"},
  {"memory:", "memory:"},
  {"", ""},
};

START_TEST(the_password_is_covered_and_nothing_else) {
  char url[128];
  (void)snprintf(url, sizeof url, "%s", urls[_i][0]);
  tci_url_hide(url);
  ck_assert_str_eq(url, urls[_i][1]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("secret");
  TCase *all = tcase_create("url");
  tcase_add_loop_test(all, the_password_is_covered_and_nothing_else, 0, (int)(sizeof urls / sizeof *urls));
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
