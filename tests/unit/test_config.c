/* The option table: precedence, every kind of bad value, the file. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config/config.h"

static char error[TCD_CONFIG_ERROR_MAX];
static const char *const no_env[] = {NULL};

/* argv and env are lists that end with NULL. */
static int load(tcd_config *config, int *action, const char *const *argv, const char *const *env) {
  char *copy[32] = {"tipcurrentd"};
  int argc = 1;
  while (argv[argc - 1]) {
    copy[argc] = (char *)(uintptr_t)argv[argc - 1];
    argc++;
  }
  error[0] = '\0';
  return tcd_config_load(config, action, argc, copy, (char *const *)(uintptr_t)env, error, sizeof error);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void refused(const char *const *argv, const char *const *env, const char *word, const char *other) {
  tcd_config config;
  int action = 99;
  ck_assert_msg(load(&config, &action, argv, env) == -1, "%s was taken", argv[0] ? argv[0] : env[0]);
  ck_assert_int_eq(action, 99);
  ck_assert_msg(strstr(error, word) && strstr(error, other), "%s", error);
  ck_assert_ptr_null(strchr(error, '\n'));
}

static void file_with(char *path, const char *text) {
  (void)snprintf(path, 64, "/tmp/tc-config-XXXXXX");
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(defaults) {
  tcd_config config;
  int action;
  ck_assert_msg(!load(&config, &action, (const char *const[]){NULL}, no_env), "%s", error);
  ck_assert_int_eq(action, TCD_RUN);
  ck_assert_str_eq(config.listen, "127.0.0.1:8080");
  ck_assert_uint_eq(config.max_body_bytes, 1u << 20);
  ck_assert_uint_eq(config.idempotency_ttl_s, 86400);
  ck_assert_uint_eq(config.idempotency_mismatch, TCD_MISMATCH_ERROR);
  ck_assert_uint_eq(config.allow_unauthenticated, 0);
  tcd_config_free(&config);
}
END_TEST

START_TEST(precedence) {
  tcd_config config;
  int action;
  char path[64];
  file_with(path, "; ours\nkitchen_threads = 2\nmax_body_bytes = 2000\n[tipcurrent]\nlog_level = debug\nlisten = 127.0.0.1:1\n");
  const char *const env[] = {"TIPCURRENT_MAX_BODY_BYTES=3000", "TIPCURRENT_LISTEN=127.0.0.1:2", "TIPCURRENT_PORT=tcp://10.0.0.1:80", "OTHER=1", NULL};
  ck_assert_msg(!load(&config, &action, LIST("--config", path, "--listen=127.0.0.1:3", "--idempotency-mismatch", "replay"), env), "%s", error);
  ck_assert_uint_eq(config.kitchen_threads, 2);
  ck_assert_uint_eq(config.log_level, 3);
  ck_assert_uint_eq(config.max_body_bytes, 3000);
  ck_assert_str_eq(config.listen, "127.0.0.1:3");
  ck_assert_uint_eq(config.idempotency_mismatch, TCD_MISMATCH_REPLAY);
  tcd_config_free(&config);
  ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(bad_flags) {
  refused(LIST("--kitchen-threads", "0"), no_env, "kitchen_threads", "1 to 256");
  refused(LIST("--kitchen-threads", "257"), no_env, "--kitchen-threads", "257");
  refused(LIST("--kitchen-threads", "-1"), no_env, "--kitchen-threads", "-1");
  refused(LIST("--kitchen-threads", " 1"), no_env, "--kitchen-threads", " 1");
  refused(LIST("--kitchen-threads="), no_env, "--kitchen-threads", "\"\"");
  refused(LIST("--max-pending-bytes", "18446744073709551616"), no_env, "max_pending_bytes", "18446744073709551616");
  refused(LIST("--log-level", "inf"), no_env, "log_level", "error|warn|info|debug");
  refused(LIST("--log-level", "info|debug"), no_env, "log_level", "info|debug");
  refused(LIST("--origins", "a,,b"), no_env, "origins", "a,,b");
  refused(LIST("--storage", ""), no_env, "storage", "text");
  refused(LIST("--listen"), no_env, "--listen", "value");
  refused(LIST("--lisen", "x"), no_env, "--lisen", "--listen");
  refused(LIST("--max-bodybytes=1"), no_env, "--max-bodybytes", "--max-body-bytes");
  refused(LIST("-x"), no_env, "-x", "unexpected");
  refused(LIST("--"), no_env, "--", "unexpected");
  refused(LIST("--max-buffered-bytes", "1048576"), no_env, "max_buffered_bytes", "16777216");
  refused(LIST("--help", "--nonsense"), no_env, "--nonsense", "unknown");
}
END_TEST

START_TEST(bad_environment) {
  refused((const char *const[]){NULL}, LIST("TIPCURRENT_KITCHEN_THREADS=many"), "TIPCURRENT_KITCHEN_THREADS", "many");
  /* A stronger source does not hide the mistake. */
  refused(LIST("--kitchen-threads", "1"), LIST("TIPCURRENT_KITCHEN_THREADS=many"), "TIPCURRENT_KITCHEN_THREADS", "many");
  refused((const char *const[]){NULL}, LIST("TIPCURRENT_CONFIG=/nowhere/tc.conf"), "/nowhere/tc.conf", "cannot read");
}
END_TEST

START_TEST(bad_files) {
  static const struct {
    const char *text, *word, *other;
  } cases[] = {
    {"\n\nkitchen_threads = many\n", ":3", "many"},
    {"kitchen_thread = 1\n", ":1", "kitchen_threads"},
    {"[x]\nlog_level = info\n", "[x]", ":2"},
    {"nothing\n", ":1", "key = value"},
    {"log_level = info\nlog_level = info\n", ":2", "twice"},
    {"listen = 127.0.0.1:1\nnothing\nlog_level = loud\n", ":", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char path[64];
    file_with(path, cases[i].text);
    refused(LIST("--config", path), no_env, cases[i].word, cases[i].other);
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_int_eq(unlink(path), 0);
  }
}
END_TEST

/* inih's buffer is fixed; a longer line must be refused, not cut. */
START_TEST(a_long_line_is_refused) {
  char text[2000], path[64];
  (void)snprintf(text, sizeof text, "log_level = info\nstorage = sqlite:/%01900d\n", 7);
  file_with(path, text);
  refused(LIST("--config", path), no_env, ":2", "longer");
  ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(beyond_loopback_needs_a_word) {
  static const char *const wide[] = {"0.0.0.0:0", ":8080", "[::]:1", "192.168.0.1:80", "[::2]:1", "example.com:80", "128.0.0.1:1"};
  static const char *const local[] = {"127.0.0.1:0", "127.9.9.9:1", "[::1]:1", "localhost:65535"};
  static const char *const wrong[] = {"nowhere", "127.0.0.1", "127.0.0.1:",  "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:99999999999999",
                                      "::1:80",  "[::1]80",   "127.0.0.1:-1"};
  for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
    tcd_config config;
    int action;
    refused(LIST("--listen", wide[i]), no_env, wide[i], "--allow-unauthenticated");
    ck_assert_msg(!load(&config, &action, LIST("--allow-unauthenticated", "--listen", wide[i]), no_env), "%s", error);
    tcd_config_free(&config);
  }
  for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) ck_assert_msg(tcd_listen_is_loopback(local[i]), "%s", local[i]);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) refused(LIST("--listen", wrong[i], "--allow-unauthenticated"), no_env, wrong[i], "ADDRESS:PORT");
}
END_TEST

START_TEST(what_is_printed_can_be_read) {
  tcd_config config, again;
  int action;
  char path[64];
  file_with(path, "");
  ck_assert_msg(!load(&config, &action,
                      LIST("--check-config", "--log-level=warn", "--allow-unauthenticated", "--max-body-bytes", "4321", "--allowed-hosts", "a.example,b"),
                      no_env),
                "%s", error);
  ck_assert_int_eq(action, TCD_CHECK_CONFIG);
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  tcd_config_print(&config, file);
  ck_assert_int_eq(fclose(file), 0);
  ck_assert_msg(!load(&again, &action, LIST("--config", path), no_env), "%s", error);
  ck_assert_uint_eq(again.log_level, 1);
  ck_assert_uint_eq(again.allow_unauthenticated, 1);
  ck_assert_uint_eq(again.max_body_bytes, 4321);
  ck_assert_str_eq(again.allowed_hosts, "a.example,b");
  tcd_config_free(&config);
  tcd_config_free(&again);
  ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* What the code relies on: names that fit their buffers, one bit an option in file.c, defaults that pass their own checks (set_defaults). */
START_TEST(the_table_is_sound) {
  ck_assert_uint_lt(tcd_option_count, 64);
  for (size_t i = 0; i < tcd_option_count; i++) {
    const tcd_option *option = &tcd_options[i];
    ck_assert_uint_lt(strlen(option->name), TCD_OPTION_NAME_MAX);
    ck_assert_uint_eq(strspn(option->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(option->name));
    ck_assert_ptr_eq(tcd_option_find(option->name, strlen(option->name)), option);
    ck_assert_ptr_nonnull(option->help);
    for (size_t j = 0; j < i; j++) ck_assert_uint_ne(tcd_options[j].offset, option->offset);
  }
}
END_TEST

/* Meson runs tests in the build directory, against which __FILE__ stands. */
static char *read_document(void) {
  static const char document[] = "docs/configuration.md", here[] = "tests/unit/test_config.c";
  static char text[65536];
  char path[1024];
  size_t root = strlen(__FILE__) - (sizeof here - 1);
  ck_assert_str_eq(&__FILE__[root], here);
  (void)snprintf(path, sizeof path, "%.*s%s", (int)root, __FILE__, document);
  FILE *file = fopen(path, "r");
  ck_assert_msg(file != NULL, "cannot open %s", path);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  ck_assert_int_eq(fclose(file), 0);
  return text;
}

START_TEST(the_document_has_every_option) {
  char *document = read_document();
  for (size_t i = 0; i < tcd_option_count; i++) {
    char range[128], row[512];
    tcd_option_range(&tcd_options[i], range, sizeof range);
    if (tcd_options[i].choices) *strchr(range, '|') = '\0'; /* a table in Markdown has its own idea of that */
    (void)snprintf(row, sizeof row, "\n| `%s` | `%s` | %s", tcd_options[i].name, tcd_options[i].standard, range);
    ck_assert_msg(strstr(document, row) != NULL, "docs/configuration.md has no row that begins with: %s", row + 1);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("config");
  TCase *tests = tcase_create("config");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, defaults);
  tcase_add_test(tests, precedence);
  tcase_add_test(tests, bad_flags);
  tcase_add_test(tests, bad_environment);
  tcase_add_test(tests, bad_files);
  tcase_add_test(tests, a_long_line_is_refused);
  tcase_add_test(tests, beyond_loopback_needs_a_word);
  tcase_add_test(tests, what_is_printed_can_be_read);
  tcase_add_test(tests, the_table_is_sound);
  tcase_add_test(tests, the_document_has_every_option);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
